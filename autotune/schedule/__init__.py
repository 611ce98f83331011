"""How many tokens to draft at which number of running requests: measured, chosen with intervals, confirmed."""
