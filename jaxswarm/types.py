"""Types that signatures share.

Shapes: ``N`` agents lead every leaf of stacked parameters.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
from jax.typing import ArrayLike

PyTree: TypeAlias = Any
"""Any nesting of tuples, lists, dicts and registered classes with arrays as leaves."""

Params: TypeAlias = Any
"""A pytree of learned weights; of ``N`` agents every leaf leads with ``N``."""

Key: TypeAlias = jax.Array
"""A typed key of ``jax.random.key``; it is consumed by the call that gets it."""

StepFn: TypeAlias = Callable[[jax.Array, Any, Any], tuple[Any, Any]]
"""``step(key, state, inputs) -> (state, info)``."""

EvaluateFn: TypeAlias = Callable[[Any], Any]
"""``evaluate(state) -> metrics``, a pytree of arrays."""

__all__ = ["ArrayLike", "EvaluateFn", "Key", "Params", "PyTree", "StepFn"]
