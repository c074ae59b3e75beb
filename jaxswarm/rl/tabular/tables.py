"""Optimistic value iteration on an empirical model: counts and a bonus that falls with visits.

Shapes: ``H`` steps, ``S`` states, ``A`` actions.

References:
    M. G. Azar, I. Osband, R. Munos, Minimax regret bounds for reinforcement learning, 2017 (UCBVI).
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.rl.tabular.counts import Counts, add, counts_of
from jaxswarm.rl.tabular.critics import Critic, value_limits
from jaxswarm.rl.tabular.mdp import EpisodicMDP, check_policy, require_mdp


def table_critic(
    mdp: EpisodicMDP,
    *,
    bonus: Any = 0.3,
    ridge: Any = 0.01,
    on_policy: Any = False,
    max_return: float | None = None,
) -> Critic:
    """Critic of an empirical model with the bonus ``β / √(visits + ridge)``.

    The same as :func:`least_squares_critic` with one feature for each pair of state and action,
    without its matrices, hence for larger worlds.

    Args:
        mdp: gives sizes and the horizon; its transitions and rewards are not used.
        bonus: ``β``, at least 0. May be traced.
        ridge: ``λ``, positive: so many visits without reward that ended the episode. A pair that
            was never visited has the bonus ``β / √λ``. May be traced.
        on_policy: whether next states have the value of the policy given to ``fit`` instead of
            the largest of their actions. May be traced.
        max_return: largest sum of rewards of an episode, at which values are clipped; ``H − h`` in
            step ``h`` by default.

    Returns:
        The critic. Its data are :class:`Counts`.

    Example:
        >>> from jaxswarm.rl import tabular
        >>> mdp = tabular.combination_lock(2, 2)
        >>> critic = tabular.table_critic(mdp, bonus=0.5)
        >>> critic.fit(critic.init(), tabular.uniform_policy(mdp))[:, 0].tolist()
        [[2.0, 2.0], [1.0, 1.0]]

    Raises:
        ValueError: for numbers out of range.
    """
    require_mdp(mdp)
    checks.real("bonus", bonus, 0.0)
    checks.real("ridge", ridge, above=0.0)
    if not isinstance(on_policy, jax.Array):
        on_policy = checks.flag("on_policy", on_policy)
    limits = value_limits(mdp, max_return)
    H, S, A = mdp.reward.shape

    def fit(data: Counts, policy: jax.Array) -> jax.Array:
        check_policy(mdp, policy)
        number = jnp.sum(data.visits, axis=3) + ridge
        mean = data.rewards / number + bonus / jnp.sqrt(number)

        def back(value: jax.Array, step: Any) -> tuple[jax.Array, jax.Array]:
            visits, total, immediate, chosen, limit = step
            q = jnp.clip(immediate + visits @ value / total, 0.0, limit)
            expected = jnp.sum(chosen * q, axis=1)
            return jnp.where(on_policy, expected, jnp.max(q, axis=1)), q

        steps = (data.visits, number, mean, jnp.asarray(policy), limits)
        return jax.lax.scan(back, jnp.zeros(S), steps, reverse=True)[1]

    def gap(values: jax.Array, data: Counts) -> jax.Array:
        checks.real("values", values, shape=(H, S, A))
        values = jnp.asarray(values)
        following = jnp.concatenate([jnp.max(values, axis=2)[1:], jnp.zeros((1, S))])
        number = jnp.sum(data.visits, axis=3) + ridge
        target = data.rewards + jnp.einsum("hsat,ht->hsa", data.visits, following)
        return jnp.sum(number * (values - target / number) ** 2, axis=(1, 2))

    def potential(data: Counts) -> jax.Array:
        return jnp.sum(jnp.log(jnp.sum(data.visits, axis=3) + ridge), axis=(1, 2))

    return Critic(lambda rows=None: counts_of(mdp, rows), add, fit, gap, potential)
