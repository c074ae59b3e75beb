"""Programs of experiments: compiled sooner than XLA's defaults would have it."""

import os
from collections.abc import Callable
from typing import Any

import jax

LEVEL = "xla_backend_optimization_level"


def program(fn: Callable[..., Any]) -> Callable[..., Any]:
    """``jit`` for training loops of small networks, at LLVM's second level on CPUs.

    Learners compile in half to a third of the time and run no slower. Not for gossip on large
    arrays, whose loops need the third (benchmarks/README.md). A level in ``XLA_FLAGS`` stands.
    """
    if jax.default_backend() != "cpu" or LEVEL in os.environ.get("XLA_FLAGS", ""):
        return jax.jit(fn)
    return jax.jit(fn, compiler_options={LEVEL: 2})
