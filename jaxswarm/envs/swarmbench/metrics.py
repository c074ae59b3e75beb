"""The benchmark's measures of coordination in one round, in O(N).

References:
    K. Ruan et al., Benchmarking LLMs' swarm intelligence, 2025.
"""

import jax
import jax.numpy as jnp

from jaxswarm.envs.grid import place
from jaxswarm.envs.swarmbench.codes import STAY, STEPS


def coordination(
    action: jax.Array,
    before: jax.Array,
    after: jax.Array,
    acting: jax.Array,
    present: jax.Array,
    shape: tuple[int, int],
) -> dict[str, jax.Array]:
    """Measure the coordination of one round.

    Args:
        action: ``int32[N]``, the chosen actions.
        before: ``int32[N, 2]``, positions before the round.
        after: positions after the round.
        acting: ``bool[N]``, agents present before the round.
        present: ``bool[N]``, agents present after the round.
        shape: of the map.

    Returns:
        ``directional_entropy`` of the moves in bits; ``stillness``, the share that stays;
        ``dominant_action``, the share of the most frequent of the four moves and staying;
        ``polarization``, the length of the mean move in [0, 1]; ``moving_distance``, mean cells
        moved; ``structure``, pairs of neighbours that stayed neighbours; ``pushes``, neighbours
        that an agent pushed one cell ahead of it.
    """
    total = jnp.maximum(jnp.sum(acting), 1)
    counts = jnp.sum(jax.nn.one_hot(action, 5) * acting[:, None], axis=0)  # SWITCH is none of them
    moving, coordinated = counts[:STAY], jnp.maximum(jnp.sum(counts), 1.0)
    share = moving / jnp.maximum(jnp.sum(moving), 1.0)
    entropy = -jnp.sum(jnp.where(share > 0, share * jnp.log2(jnp.maximum(share, 1e-9)), 0.0))
    mean_move = counts @ jnp.asarray(STEPS[:5], jnp.float32) / coordinated
    both = acting & present
    steps = jnp.sum(jnp.abs(after - before), axis=1)
    kept, pushed = _neighbors(action, before, after, acting, both, shape)
    return {
        "directional_entropy": entropy,
        "stillness": counts[STAY] / total,
        "dominant_action": jnp.max(counts) / coordinated,
        "polarization": jnp.linalg.norm(mean_move),
        "moving_distance": jnp.sum(jnp.where(both, steps, 0)) / jnp.maximum(jnp.sum(both), 1),
        "structure": kept,
        "pushes": pushed,
    }


def _neighbors(
    action: jax.Array,
    before: jax.Array,
    after: jax.Array,
    acting: jax.Array,
    both: jax.Array,
    shape: tuple[int, int],
) -> tuple[jax.Array, jax.Array]:
    """Number of pairs that stayed neighbours, and of neighbours that were pushed."""
    n = action.shape[0]
    ids = place(jnp.full(shape, n, jnp.int32), before, jnp.arange(n, dtype=jnp.int32), acting)
    padded = jnp.pad(ids, 1, constant_values=n)
    last = jnp.concatenate([after, jnp.full((1, 2), -9, jnp.int32)])
    there = jnp.concatenate([both, jnp.zeros(1, bool)])

    def ids_at(step: jax.Array) -> jax.Array:
        return padded[before[:, 0] + step[0] + 1, before[:, 1] + step[1] + 1]

    kept = jnp.int32(0)
    for step in STEPS[[1, 3]]:  # down and right: every pair once
        other = ids_at(step)
        near = jnp.sum(jnp.abs(after - last[other]), axis=1) == 1
        kept = kept + jnp.sum(both & there[other] & near)
    step = jnp.asarray(STEPS)[jnp.minimum(action, STAY)]
    other = padded[before[:, 0] + step[:, 0] + 1, before[:, 1] + step[:, 1] + 1]
    took = jnp.all(after == before + step, axis=1)
    gave = jnp.all(last[other] == before + 2 * step, axis=1)
    moved = (action < STAY) & both & there[other] & took & gave
    return kept, jnp.sum(moved, dtype=jnp.int32)
