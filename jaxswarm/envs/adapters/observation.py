"""What agents of an adapted environment see."""

from typing import Any, NamedTuple

import jax


class AdaptedObservation(NamedTuple):
    """Another library's observation, agents first.

    Attributes:
        view: the original, every leaf ``[N, ...]``; what the original gives once for all agents
            is repeated for each.
        agent_mask: ``bool[N]``.
    """

    view: Any
    agent_mask: jax.Array
