"""The study: compose, measure, search, judge, track, report. The only room that knows Optuna, MLflow and Hydra."""
