"""Attention of a few query nodes a sequence over its cache, where a node of a tree sees what is above it."""
