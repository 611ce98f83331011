"""Matrices in 8 and 4 bits: how they are stored, and what multiplies with them."""
