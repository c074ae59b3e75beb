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

from jaxswarm import checks
from jaxswarm.rl.returns import masked_mean
from jaxswarm.rl.value_decomposition.episodes import Episodes, check_team_params
from jaxswarm.rl.value_decomposition.networks import ValueNetwork, team_sequence
from jaxswarm.rl.value_decomposition.preferences import check_preferences
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

    Raises:
        ValueError: for weights of another network, episodes of other sizes, preferences off the
            simplex, a discount outside ``[0, 1]``, or flags that are not ``bool``.
    """
    checks.instance("network", network, ValueNetwork, "rl.value_network_for(env)")
    checks.instance("shared", shared, bool)
    checks.instance("bootstrap", bootstrap, bool)
    check_team_params(network, params, shared)
    check_team_params(network, target, shared, "target")
    count = _check_batch(network, batch)
    preference = check_preferences("preference", preference, network.num_objectives)
    if preference.shape != (count, network.num_agents, network.num_objectives):
        raise ValueError(
            f"preference: expected one for each agent of {count} episodes, shape "
            f"{(count, network.num_agents, network.num_objectives)}, got {preference.shape}"
        )
    checks.real("discount", discount, 0.0, 1.0)
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


def _check_batch(network: ValueNetwork, batch: Any) -> int:
    """Check the sizes of episodes, and return their number ``B``.

    Raises:
        ValueError: naming the part whose shape differs, or actions and flags of another kind.
    """
    checks.instance("batch", batch, Episodes, "the episodes of a learner's buffer")
    shape = getattr(batch.action, "shape", ())
    if len(shape) != 3 or not all(shape[:2]):
        raise ValueError(
            f"batch.action: expected shape [B, T, N], got {checks.shown(batch.action)}"
        )
    count, steps, n = shape[0], shape[1], network.num_agents
    whole = (count, steps + 1)
    expected = {
        "features": (*whole, n, network.num_features),
        "state": (*whole, network.mixer.state_size),
        "present": (*whole, n),
        "action": (count, steps, n),
        "reward": (count, steps, network.num_objectives),
        "discount": (count, steps),
        "valid": (count, steps),
    }
    kinds = {"action": jnp.integer, "present": jnp.bool_, "valid": jnp.bool_}
    for name, wanted in expected.items():
        part, kind = getattr(batch, name), kinds.get(name, jnp.floating)
        if getattr(part, "shape", None) != wanted or not jnp.issubdtype(part.dtype, kind):
            raise ValueError(
                f"batch.{name}: expected {kind.__name__} values of shape {wanted}, got "
                f"{checks.shown(part)}"
            )
    return count


def _take(q: jax.Array, action: jax.Array) -> jax.Array:
    """Values ``[…, N, m]`` of actions ``[…, N]`` from ``q [..., N, A, m]``."""
    picked = jax.nn.one_hot(action, q.shape[-2], dtype=q.dtype)
    return jnp.sum(q * picked[..., None], axis=-2)
