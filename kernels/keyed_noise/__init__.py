"""Randomness that is a hash of (seed, position, token): device functions that the kernels of sampling share."""
