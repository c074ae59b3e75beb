"""Shared code of the experiments: what a system provides, how it is run, recorded and reported.

An experiment reproduces one published system. It is a folder ``experiments/NAME/`` of five files::

    __init__.py   NAME, TITLE, PAPER, SUBSTITUTES; imports harness.protocol only
    config.py     Config, a frozen dataclass with a help text for every field, and SCALES
    arms.py       run(config, progress) -> results: nested dicts of arrays
    claims.py     thresholds as named constants, claims(config, results) -> list of Claim
    figure.py     plot(config, results, path)

:func:`load` imports these files and checks them; :func:`run_and_record` runs an experiment and
writes ``runs/NAME/TIME``; ``python -m experiments`` does both and maintains
``results/REPRODUCTION.md``. The files of this package:

==============  ==================================================================================
protocol        what a system provides: :class:`Paper`, :class:`Experiment`, :func:`load`
claims          :class:`Claim`: a measurement compared with a threshold; :class:`ClaimList`
execute         :func:`run_and_record`
records         the files of one run: config, metrics (npz), claims, versions
report          the table in the terminal and the generated ``results/REPRODUCTION.md``
cli             ``python -m experiments list | run | reproduce | report``
compile         :func:`jit_fast_compile`, ``jax.jit`` that compiles sooner on CPUs
images          :func:`flattened`, for networks and attacks that take flat images
==============  ==================================================================================

Names are imported on first use, so that importing ``experiments.NAME`` does not import JAX.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.harness.claims import Claim, ClaimList, claim
    from experiments.harness.compile import jit_fast_compile
    from experiments.harness.execute import run_and_record
    from experiments.harness.protocol import (
        Description,
        Experiment,
        Outcome,
        Paper,
        Progress,
        describe,
        load,
    )

__all__ = [
    "Claim",
    "ClaimList",
    "Description",
    "Experiment",
    "Outcome",
    "Paper",
    "Progress",
    "claim",
    "describe",
    "jit_fast_compile",
    "load",
    "run_and_record",
]

_MODULES = {
    "Claim": "claims",
    "ClaimList": "claims",
    "claim": "claims",
    "jit_fast_compile": "compile",
    "run_and_record": "execute",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES.get(name, 'protocol')}")
    return getattr(module, name)
