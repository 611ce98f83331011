"""The page that a run leaves: everything it found and how, in one file that needs no network."""
