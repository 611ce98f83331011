"""The charts of the page, one kind a file. Each comes with the table of its numbers, for readers without scripts."""
