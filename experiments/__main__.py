"""``python -m experiments``: the command line of :mod:`experiments.harness.cli`."""

import os
import sys

# OpenBLAS, which factorizes small matrices for jax on a CPU, waits for its threads by spinning: a
# bandit with 72 features took ten times as many CPU seconds. It reads this as it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from experiments.harness.cli import main

if __name__ == "__main__":
    sys.exit(main())
