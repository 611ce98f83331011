"""What an engine tells those who run it: one log line an interval, and Prometheus metrics under vLLM's names.

Everything is read from counters when somebody asks; a step does no work for it.
"""
