"""Prompt lookup on the device: what followed the first occurrence of the longest suffix that occurred before."""
