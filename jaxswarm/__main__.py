"""``python -m jaxswarm``: the command line, without arguments its help."""

import sys

from jaxswarm._cli import main

if __name__ == "__main__":
    sys.exit(main())
