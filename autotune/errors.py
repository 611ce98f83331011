"""The errors that end a run, told apart where they happen; each text is one line in two halves."""

from difflib import get_close_matches


class UsageError(ValueError):
    """The configuration cannot be run: printed as one line, exit status 2."""


class RunError(RuntimeError):
    """A legal run could not be finished: printed as one line, exit status 1."""


def nearest(wrong: str, allowed: list[str]) -> str:
    """The second half of an error about a name: the nearest right one if there is one, and what is allowed."""
    near = get_close_matches(str(wrong), allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(allowed) or 'nothing'}"
