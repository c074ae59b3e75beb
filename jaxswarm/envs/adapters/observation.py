"""The observation of adapted environments."""

from typing import Any, NamedTuple

import jax


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
