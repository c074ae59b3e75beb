"""The observation of adapted environments."""

import inspect
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import checks


class AdaptedObservation(NamedTuple):
    """Another library's observation with agents on axis 0.

    Attributes:
        view: the original, every leaf ``[N, ...]``; leaves that the original gives once for all
            agents are repeated for each.
        agent_mask: ``bool[N]``.
    """

    view: Any
    agent_mask: jax.Array


class MaskedObservation(NamedTuple):
    """An :class:`AdaptedObservation` with the legal actions.

    Attributes:
        view: the original, every leaf ``[N, ...]``.
        action_mask: ``bool[N, A]``, legal actions.
        agent_mask: ``bool[N]``.
    """

    view: Any
    action_mask: jax.Array
    agent_mask: jax.Array


def adapted_spec(observation: AdaptedObservation) -> specs.Spec:
    """Spec of an observation whose view is made of NamedTuples, dataclasses and arrays.

    Raises:
        ValueError: naming a field of another kind.
    """
    mask = specs.BoundedArray(observation.agent_mask.shape, bool, False, True, "agent_mask")
    view = _spec(observation.view, "view")
    return specs.Spec(AdaptedObservation, "AdaptedObservation", view=view, agent_mask=mask)


def _spec(value: Any, name: str) -> specs.Spec:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        if value.dtype == jnp.bool_:
            return specs.BoundedArray(value.shape, bool, False, True, name)
        return specs.Array(value.shape, value.dtype, name)
    if not hasattr(value, "_fields") and not hasattr(value, "__dataclass_fields__"):
        raise ValueError(
            f"env: expected observations of arrays, got {checks.shown(value)} ({name})"
        )
    names = inspect.signature(type(value)).parameters
    fields = {field: _spec(getattr(value, field), field) for field in names}
    return specs.Spec(type(value), type(value).__name__, **fields)
