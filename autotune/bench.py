"""`python -m autotune.bench`: measure one configuration against no speculation."""

import sys

from autotune.cli import main

if __name__ == "__main__":
    sys.exit(main("bench"))
