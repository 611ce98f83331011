"""A process of its own for the engine: it holds the weights, takes one call at a time, and may die without the
study.
"""
