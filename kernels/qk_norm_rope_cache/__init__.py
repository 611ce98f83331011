"""From the fused projection of a step to rotated queries, and keys and values in the cache."""
