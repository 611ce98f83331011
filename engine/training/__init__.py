"""Builds the embedded models. Knows nothing of workloads: documents come in as data, from whoever calls."""
