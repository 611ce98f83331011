"""`python -m autotune.sync [outputs]`: send the records that an absent MLflow server missed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autotune.tracking.leftovers import send_leftovers, waiting


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m autotune.sync", description=__doc__)
    parser.add_argument(
        "outputs", nargs="?", default="outputs", help="the outputs folder of the runs (default: outputs)"
    )
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds to wait for a server (default: 5)")
    given = parser.parse_args()
    spool = Path(given.outputs) / "spool"
    if not Path(given.outputs).is_dir():
        print(f"error: {given.outputs!r} is no folder; give the outputs folder of the runs", file=sys.stderr)
        return 2
    sent = send_leftovers(spool, given.timeout)
    left = len(waiting(spool))
    print(f"sent the records of {sent} runs" + (f"; {left} still wait for their server" if left else ""))
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
