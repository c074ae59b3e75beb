"""Exact planning in episodic MDPs: optimal values, values of policies, occupancy measures.

Shapes: ``H`` steps, ``S`` states, ``A`` actions. Every function is pure and runs under ``jit`` and
``vmap``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.rl.tabular.mdp import EpisodicMDP, check_policy, greedy_policy, require_mdp
from jaxswarm.types import ArrayLike


class Values(NamedTuple):
    """Values of a policy, from each step to the end of the episode.

    Attributes:
        q: ``[H, S, A]``, of actions.
        value: ``[H, S]``, of states.
        policy: ``[H, S, A]``, whose values these are.
    """

    q: jax.Array
    value: jax.Array
    policy: jax.Array


def value_iteration(mdp: EpisodicMDP) -> Values:
    """Compute optimal values and a greedy optimal policy by backward induction.

    Example:
        >>> from jaxswarm.rl import tabular
        >>> mdp = tabular.deep_sea(5)
        >>> plan = tabular.value_iteration(mdp)
        >>> float(plan.value[0, 0]), float(tabular.expected_return(mdp, plan.policy))
        (1.0, 1.0)

    Raises:
        ValueError: unless ``mdp`` is an :class:`EpisodicMDP`.
    """
    require_mdp(mdp)

    def back(following: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, tuple]:
        transition, reward = step
        q = reward + transition @ following
        value = jnp.max(q, axis=-1)
        return value, (q, value)

    last = jnp.zeros(mdp.num_states)
    _, (q, value) = jax.lax.scan(back, last, (mdp.transition, mdp.reward), reverse=True)
    return Values(q, value, greedy_policy(q))


def policy_evaluation(mdp: EpisodicMDP, policy: ArrayLike) -> Values:
    """Compute the exact values of a policy ``[H, S, A]``.

    Raises:
        ValueError: for another shape, or rows that are no probabilities.
    """
    require_mdp(mdp)
    check_policy(mdp, policy)
    policy = jnp.asarray(policy)

    def back(
        following: jax.Array, step: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, tuple]:
        transition, reward, chosen = step
        q = reward + transition @ following
        value = jnp.sum(chosen * q, axis=-1)
        return value, (q, value)

    last = jnp.zeros(mdp.num_states)
    steps = (mdp.transition, mdp.reward, policy)
    _, (q, value) = jax.lax.scan(back, last, steps, reverse=True)
    return Values(q, value, policy)


def expected_return(mdp: EpisodicMDP, policy: ArrayLike) -> jax.Array:
    """Expected sum of rewards of an episode under a policy ``[H, S, A]``, ``[]``.

    Raises:
        ValueError: as :func:`policy_evaluation`.
    """
    require_mdp(mdp)
    return mdp.start @ policy_evaluation(mdp, policy).value[0]


def occupancy(mdp: EpisodicMDP, policy: ArrayLike) -> jax.Array:
    """Probability of each state and action in each step under a policy, ``[H, S, A]``.

    The expected return is the sum of its products with the rewards.

    Raises:
        ValueError: as :func:`policy_evaluation`.
    """
    require_mdp(mdp)
    check_policy(mdp, policy)

    def forward(
        states: jax.Array, step: tuple[jax.Array, jax.Array]
    ) -> tuple[jax.Array, jax.Array]:
        transition, chosen = step
        pairs = states[:, None] * chosen
        return jnp.einsum("sa,sat->t", pairs, transition), pairs

    return jax.lax.scan(forward, mdp.start, (mdp.transition, jnp.asarray(policy)))[1]


def concentrability(mdp: EpisodicMDP, behavior: ArrayLike) -> jax.Array:
    """Single-policy concentrability of data: largest ratio of optimal to data occupancy, ``[]``.

    ``max_{h,s,a} d*_h(s, a) / d_h(s, a)`` over what the optimal policy of :func:`value_iteration`
    visits; infinite if the data never do. Offline data of a policy with a small one suffice to
    learn without exploration.

    Args:
        mdp: the process.
        behavior: policy ``[H, S, A]`` that collects the data.

    Raises:
        ValueError: as :func:`policy_evaluation`.

    References:
        P. Rashidinejad et al., Bridging offline reinforcement learning and imitation learning: a
        tale of pessimism, 2021.
    """
    best = occupancy(mdp, value_iteration(mdp).policy)
    data = occupancy(mdp, behavior)
    ratio = jnp.where(data > 0.0, best / jnp.where(data > 0.0, data, 1.0), jnp.inf)
    return jnp.max(jnp.where(best > 0.0, ratio, 0.0))


def bellman_residual(mdp: EpisodicMDP, q: ArrayLike, policy: ArrayLike | None = None) -> jax.Array:
    """``r + P v_{h+1} − q_h``, by how much values ``[H, S, A]`` violate Bellman's equation.

    Args:
        mdp: the process.
        q: ``[H, S, A]``, any values.
        policy: ``[H, S, A]`` whose equation is meant; that of the optimal values by default.

    Returns:
        ``[H, S, A]``, zero for the exact values.

    Raises:
        ValueError: for other shapes or rows that are no probabilities.
    """
    require_mdp(mdp)
    checks.real("q", q, shape=mdp.reward.shape)
    q = jnp.asarray(q)
    if policy is None:
        value = jnp.max(q, axis=-1)
    else:
        value = jnp.sum(jnp.asarray(check_policy(mdp, policy)) * q, axis=-1)
    following = jnp.concatenate([value[1:], jnp.zeros((1, mdp.num_states))])
    return mdp.reward + jnp.einsum("hsat,ht->hsa", mdp.transition, following) - q
