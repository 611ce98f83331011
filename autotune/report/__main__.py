"""`python -m autotune.report DIR`: write the report of a finished run again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autotune.errors import UsageError
from autotune.report.write import write_report


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m autotune.report", description="Write the report of a finished run again."
    )
    parser.add_argument("folder", type=Path, help="the run's folder, such as outputs/2026-01-31/12-00-00")
    try:
        print(write_report(parser.parse_args().folder))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
