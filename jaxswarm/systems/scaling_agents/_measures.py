"""Measures of coordination: overhead, density, redundancy, efficiency, error amplification.

References:
    Y. Kim et al., Towards a science of scaling agent systems, 2025.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.systems.scaling_agents.trace import Trace


class Measures(NamedTuple):
    """Measures of coordination, of the traces' leading axes; NaN where a denominator is 0.

    Attributes:
        overhead: turns more than the single agent's, relative to them. (The paper's printed
            overheads are those of its printed turns.)
        density: messages per turn.
        redundancy: mean cosine similarity of the sets of values that two agents hold.
        efficiency: score over relative turns, ``S / (T / T_single)``.
        amplification: failures relative to the single agent's, ``(1 - S) / (1 - S_single)``.
        unrecovered: values that were never corrected, per trace: own errors and lost context.
    """

    overhead: jax.Array
    density: jax.Array
    redundancy: jax.Array
    efficiency: jax.Array
    amplification: jax.Array
    unrecovered: jax.Array


def measures(trace: Trace, single: Trace) -> Measures:
    """Compute measures of traces, relative to the single agent's on the same tasks.

    Args:
        trace: leaves ``[..., S]``.
        single: the same, broadcast against ``trace``.

    Raises:
        ValueError: if one of them is no trace.
    """
    checks.instance("trace", trace, Trace, "scaling_agents.run_task(...)")
    checks.instance("single", single, Trace, "scaling_agents.run_task(...)")
    turns = trace.turns / single.turns
    unrecovered = jnp.sum((trace.own_error | trace.lost) & trace.done, axis=-1)
    return Measures(
        turns - 1.0,
        trace.messages / trace.turns,
        _similarity(trace.holds),
        trace.score / turns,
        jnp.where(single.score < 1.0, (1.0 - trace.score) / (1.0 - single.score), jnp.nan),
        unrecovered.astype(jnp.float32),
    )


def _similarity(holds: jax.Array) -> jax.Array:
    """Mean cosine ``[...]`` between the rows of ``[..., A, S]`` that are not empty; 0 for one."""
    x = holds.astype(jnp.float32)
    length = jnp.sqrt(jnp.sum(x, axis=-1))
    unit = x / jnp.maximum(length, 1.0)[..., None]
    count = jnp.sum(length > 0, axis=-1)
    total = jnp.sum(jnp.sum(unit, axis=-2) ** 2, axis=-1) - count
    return total / jnp.maximum(count * (count - 1), 1)
