"""Word lists of the task generator: data only."""
