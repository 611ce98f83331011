"""Multi-token-prediction modules: one implementation, and a table of how the families differ."""
