"""Trees of drafted tokens: how they are written, made, laid out in flat arrays, and drawn.

The root is the last token of a sequence; it is drafted by nobody and has no index. Nodes 0, 1, ... follow, breadth-
first, at most 64 of them (`literal.MAX_NODES`). Knows nothing of tokens' values, models or requests.
"""
