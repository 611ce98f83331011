"""`python -m autotune.report DIR`: write the page of a finished run again, or those of a sweep and its jobs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autotune.errors import UsageError
from autotune.report.sweep.jobs import FILE, folders
from autotune.report.sweep.jobs import read as read_sweep
from autotune.report.sweep.write import write_comparison
from autotune.report.write import write_report


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m autotune.report", description="Write the page of a finished run again, or those of a sweep."
    )
    parser.add_argument("folder", type=Path, help="the folder of a run or a sweep, such as outputs/2026-01-31/12-00-00")
    try:
        for page in pages(parser.parse_args().folder):
            print(page)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def pages(folder: Path) -> list[Path]:
    """Of a sweep the jobs' first, as the comparison points to them."""
    if not (folder / FILE).is_file():
        return [write_report(folder)]
    return [*map(write_report, folders(read_sweep(folder))), write_comparison(folder)]


if __name__ == "__main__":
    sys.exit(main())
