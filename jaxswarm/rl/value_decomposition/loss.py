"""Temporal-difference loss of joint values over whole episodes, one term per objective.

Shapes: ``B`` episodes, ``T`` steps, ``N`` agents, ``A`` actions, ``m`` objectives, ``K`` joint
values.

References:
    T. Rashid et al., QMIX, 2018. H. van Hasselt et al., Deep reinforcement learning with double
    Q-learning, 2016. T. Hu et al., MO-MIX, 2023.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.rl.returns import masked_mean
from jaxswarm.rl.value_decomposition.episodes import Episodes
from jaxswarm.rl.value_decomposition.networks import ValueNetwork, team_sequence
from jaxswarm.types import Params


def td_loss(
    network: ValueNetwork,
    params: Params,
    target: Params,
    batch: Episodes,
    preference: jax.Array,
    discount: jax.Array | float,
    *,
    shared: bool,
    bootstrap: bool,
) -> jax.Array:
    """Mean over steps of ``Σ_k (Q_tot^k − r^k − γ Q̄_tot^k(s', a'))²``.

    Each agent's next action ``a'`` maximizes its preference-weighted values under the present
    weights; the target weights evaluate it.

    Args:
        network: of the team.
        params: weights that learn.
        target: weights of the targets.
        batch: leaves ``[B, …]``.
        preference: ``[B, N, m]``.
        discount: ``γ``.
        shared: agents share weights.
        bootstrap: whether a truncated episode goes on in the target; otherwise its last step counts
            as the end, and values are those of the time that is left.
    """
    by_time: Any = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), batch)
    q, target_q = (
        team_sequence(network, p["agent"], by_time.features, preference, shared=shared)
        for p in (params, target)
    )
    chosen = _take(q[:-1], by_time.action)
    score = jnp.sum(q[1:] * preference[None, :, :, None, :], axis=-1)
    best = _take(target_q[1:], jnp.argmax(score, axis=-1))
    present = by_time.present

    def mix(params: Params, values: jax.Array, steps: slice) -> tuple[jax.Array, jax.Array]:
        count = values.shape[0] * values.shape[1]
        given = (values, by_time.state[steps], present[steps])
        flat = [x.reshape(count, *x.shape[2:]) for x in given]
        mixed = network.mixer.mix(params["mixer"], *flat)
        joint, counts = (x.reshape(*values.shape[:2], *x.shape[1:]) for x in mixed)
        return joint, counts

    joint, counts = mix(params, chosen, slice(None, -1))
    following, _ = mix(target, best, slice(1, None))
    go_on = by_time.discount * (
        1.0 if bootstrap else (jnp.arange(len(q) - 1) < len(q) - 2)[:, None]
    )
    goal = by_time.reward[:, :, None] + discount * go_on[:, :, None, None] * following
    error = jnp.sum(jnp.square(joint - jax.lax.stop_gradient(goal)), axis=-1)
    return masked_mean(error, counts & by_time.valid[:, :, None])


def _take(q: jax.Array, action: jax.Array) -> jax.Array:
    """Values ``[…, N, m]`` of actions ``[…, N]`` from ``q [..., N, A, m]``."""
    picked = jax.nn.one_hot(action, q.shape[-2], dtype=q.dtype)
    return jnp.sum(q * picked[..., None], axis=-2)
