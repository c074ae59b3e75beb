"""Measures of coordination, taken from traces.

References: Y. Kim et al., Towards a science of scaling agent systems, 2025.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.systems.scaling_agents.engine import Trace


class Measures(NamedTuple):
    """Shape of the traces' leading axes; not a number where a denominator is 0.

    Attributes:
        overhead: turns more than the single agent's, relative to them. (The paper's printed
            overheads are those of its printed turns.)
        density: messages per turn.
        redundancy: mean cosine similarity of what two agents hold.
        efficiency: score over relative turns, ``S / (T / T_single)``.
        amplification: failures relative to the single agent's, ``(1 - S) / (1 - S_single)``.
        unrecovered: values that were never put right, per trace: own slips and lost context.
    """

    overhead: jax.Array
    density: jax.Array
    redundancy: jax.Array
    efficiency: jax.Array
    amplification: jax.Array
    unrecovered: jax.Array


def measures(trace: Trace, single: Trace) -> Measures:
    """Of traces against those of the single agent on the same tasks.

    Args:
        trace: leaves ``[..., S]``.
        single: the same, broadcast against ``trace``.
    """
    turns = trace.turns / single.turns
    unrecovered = jnp.sum((trace.slipped | trace.lost) & trace.done, axis=-1)
    return Measures(
        turns - 1.0,
        trace.messages / trace.turns,
        _similarity(trace.knows),
        trace.score / turns,
        jnp.where(single.score < 1.0, (1.0 - trace.score) / (1.0 - single.score), jnp.nan),
        unrecovered.astype(jnp.float32),
    )


def _similarity(knows: jax.Array) -> jax.Array:
    """``[...]``: mean cosine between the rows of ``[..., A, S]`` that are not empty; 0 for one."""
    x = knows.astype(jnp.float32)
    length = jnp.sqrt(jnp.sum(x, axis=-1))
    unit = x / jnp.maximum(length, 1.0)[..., None]
    there = jnp.sum(length > 0, axis=-1)
    total = jnp.sum(jnp.sum(unit, axis=-2) ** 2, axis=-1) - there
    return total / jnp.maximum(there * (there - 1), 1)
