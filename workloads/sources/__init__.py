"""One file a source of prompts; see `workloads/registry.py` for what a source must have."""
