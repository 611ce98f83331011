"""The search: an Optuna study that survives being killed. Optuna is imported here and nowhere else."""
