"""What limits a result and what to try, in words, from its numbers alone."""
