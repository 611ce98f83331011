"""`python -m autotune`: search the knobs of a method, confirm the best, leave a report."""

import sys

from autotune.cli import main

if __name__ == "__main__":
    sys.exit(main("tune"))
