"""Checks of learners' hyper-parameters."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.core import Tracer


def check_ranges(
    hyperparameters: Any, ranges: Mapping[str, tuple[float, float]], *, finite: bool = True
) -> None:
    """Refuse known values outside their closed range; traced values and ``None`` pass.

    Args:
        hyperparameters: has an attribute for every name in ``ranges``.
        ranges: name -> ``(low, high)``.
        finite: also refuse infinite values.

    Raises:
        ValueError: naming the value, what was expected and what came.

    Example:
        >>> from types import SimpleNamespace
        >>> check_ranges(SimpleNamespace(discount=1.5), {"discount": (0.0, 1.0)})
        Traceback (most recent call last):
        ...
        ValueError: discount: expected finite, within [0.0, 1.0], got 1.5
    """
    for name, (low, high) in ranges.items():
        given = getattr(hyperparameters, name)
        if given is None or isinstance(given, Tracer):
            continue
        array = np.asarray(given)
        inside = (array >= low) & (array <= high)
        if not np.all(inside & np.isfinite(array) if finite else inside):
            expected = "finite, within" if finite else "within"
            raise ValueError(f"{name}: expected {expected} [{low}, {high}], got {given}")


def check_positive_sizes(**sizes: int) -> None:
    """Refuse sizes below 1.

    Raises:
        ValueError: naming the size.
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
