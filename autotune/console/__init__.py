"""What a person sees: progress while a study runs, a summary at its end."""
