"""The product of a gated feed-forward layer: silu(gate) * up."""
