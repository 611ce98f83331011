"""An error as a result: a run on a lent machine must not end at the first."""

import sys
import traceback

_shown: set[str] = set()


def line(error: Exception) -> str:
    """Its kind and first line. The traceback is printed once for errors that are alike."""
    said = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:200]
    if said not in _shown:
        _shown.add(said)
        traceback.print_exception(error, file=sys.stderr)
    return said
