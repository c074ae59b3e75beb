"""``python -m experiments``: the command line of :mod:`experiments.harness.cli`."""

import sys

from experiments.harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
