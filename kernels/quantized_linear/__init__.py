"""Matrix products whose weights are stored in 8 or 4 bits and expanded on the way to the multiplier."""
