"""Triton kernels, each beside its plain-torch reference.

This file imports nothing, on purpose: transformers probes for a package of this name, and Triton may only be imported
where a GPU path is chosen.
"""
