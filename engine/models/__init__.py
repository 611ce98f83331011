"""The target decoder and everything needed to load it from a Hugging Face folder."""
