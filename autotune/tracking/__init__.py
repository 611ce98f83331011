"""Records for MLflow. Everything is written to a spool file first and sent from there, so an absent server loses
nothing.

MLflow is imported in `sender` only, and never while something is measured.
"""
