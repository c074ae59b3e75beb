"""The command ``jaxswarm``: a demonstration, the published systems, launching of processes.

Without arguments it prints its help. Exit status: that of the command that it runs, 2 for a wrong
argument.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import jaxswarm

HELP = f"""\
jaxswarm {jaxswarm.__version__}: decentralized agents as arrays, in JAX.

usage: jaxswarm COMMAND [ARGUMENTS ...]

  demo [--agents N] [--rounds R] [--devices D]
                                   agents learn digits alone, on a ring, on an exponential graph and
                                   with a server; prints a table
  launch ...                       start several processes of one program (launch --help)

in a checkout of the sources (their folder, or JAXSWARM_SOURCES), which holds the experiments:

  list                             the published systems, and how long recorded runs took
  run NAME [OPTIONS]               run one with changed options (run NAME --help)
  reproduce NAME ... | --all       compare the claims of several with their thresholds
  report                           write results/REPRODUCTION.md anew

  --version, --help
"""
_EXPERIMENTS = ("list", "run", "reproduce", "report")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; ``sys.argv`` by default."""
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if command == "--version":
        print(jaxswarm.__version__)
        return 0
    if command == "demo":
        from jaxswarm import _demo

        return _demo.main(rest)
    if command == "launch":
        from jaxswarm import launch

        return launch.main(rest)
    if command in _EXPERIMENTS:
        return _experiments([command, *rest])
    from jaxswarm import errors

    known = ("demo", "launch", *_EXPERIMENTS)
    print(f"error: {errors.unknown('command', command, known)}", file=sys.stderr)
    return 2


def _experiments(arguments: list[str]) -> int:
    """Run ``python -m experiments`` of the checkout."""
    root = Path(os.environ.get("JAXSWARM_SOURCES", "."))
    if not (root / "experiments" / "harness" / "cli.py").exists():
        print(
            f"error: {arguments[0]}: expected a checkout of jaxswarm's sources, which holds the "
            f"published systems, found none in {root.resolve()}; they are no part of the installed "
            "package: run this in the checkout's folder, or set JAXSWARM_SOURCES to it",
            file=sys.stderr,
        )
        return 2
    # As experiments/__main__.py: before OpenBLAS is loaded, whose threads wait by spinning.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.chdir(root)
    sys.path.insert(0, str(Path.cwd()))
    from experiments.harness import cli

    return cli.main(arguments)
