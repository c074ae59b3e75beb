"""Sampled episodes of a tabular policy, and data sets of transitions.

Shapes: ``H`` steps, ``S`` states, ``A`` actions, ``R`` rows of a data set.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl.tabular.mdp import EpisodicMDP, check_policy, require_mdp
from jaxswarm.types import ArrayLike, Key


class Transitions(NamedTuple):
    """Transitions of a process that changes from step to step; any number of rows.

    Attributes:
        step: ``int32[R]`` in ``[0, H)``, the step of the episode.
        state: ``int32[R]``.
        action: ``int32[R]``.
        reward: ``float32[R]`` in ``[0, 1]``.
        next_state: ``int32[R]``.
    """

    step: Any
    state: Any
    action: Any
    reward: Any
    next_state: Any


def sample_episode(
    key: Key, mdp: EpisodicMDP, policy: ArrayLike, *, bernoulli: bool = False
) -> Transitions:
    """Sample one episode; rows are its ``H`` steps in order.

    Args:
        key: consumed.
        mdp: the process.
        policy: probabilities ``[H, S, A]``.
        bernoulli: whether rewards are drawn as 0 or 1 with the given means, instead of the means.

    Example:
        >>> import jax
        >>> from jaxswarm.rl import tabular
        >>> mdp = tabular.combination_lock(3, 2, slip=0.0, code=[1, 0, 1])
        >>> best = tabular.value_iteration(mdp).policy
        >>> episode = tabular.sample_episode(jax.random.key(0), mdp, best)
        >>> episode.action.tolist(), episode.reward.tolist()
        ([1, 0, 1], [0.0, 0.0, 1.0])

    Raises:
        ValueError: for a policy of another shape, or rows that are no probabilities.
    """
    checks.key(key)
    require_mdp(mdp)
    check_policy(mdp, policy)
    bernoulli = checks.flag("bernoulli", bernoulli)
    H = mdp.horizon
    uniform = jax.random.uniform(key, (3 * H + 1,))
    draws = uniform[1:].reshape(H, 3)

    def advance(
        state: jax.Array, step: tuple[jax.Array, jax.Array, jax.Array, jax.Array]
    ) -> tuple[jax.Array, tuple]:
        transition, reward, chosen, u = step
        action = inverse_cdf(chosen[state], u[0])
        following = inverse_cdf(transition[state, action], u[1])
        earned = reward[state, action]
        if bernoulli:
            earned = (u[2] < earned).astype(earned.dtype)
        return following, (state, action, earned, following)

    first = inverse_cdf(mdp.start, uniform[0])
    steps = (mdp.transition, mdp.reward, jnp.asarray(policy), draws)
    _, rows = jax.lax.scan(advance, first, steps)
    return Transitions(jnp.arange(H, dtype=jnp.int32), *rows)


def sample_transitions(
    key: Key, mdp: EpisodicMDP, policy: ArrayLike, episodes: int, *, bernoulli: bool = False
) -> Transitions:
    """Sample a data set of whole episodes, ``R = episodes · H`` rows.

    Args:
        key: consumed.
        mdp: the process.
        policy: ``[H, S, A]`` that collects the data.
        episodes: their number, at least 1.
        bernoulli: as in :func:`sample_episode`.

    Raises:
        ValueError: as :func:`sample_episode`.
    """
    checks.key(key)
    require_mdp(mdp)
    check_policy(mdp, policy)
    bernoulli = checks.flag("bernoulli", bernoulli)
    keys = jax.random.split(key, checks.whole("episodes", episodes, 1))
    sample = lambda key: sample_episode(key, mdp, policy, bernoulli=bernoulli)  # noqa: E731
    rows = jax.vmap(sample)(keys)
    return jax.tree.map(lambda x: x.reshape(-1), rows)


def check_transitions(mdp: EpisodicMDP, rows: Any, name: str = "rows") -> Transitions:
    """Check transitions against a process, and return them.

    Raises:
        ValueError: unless they are :class:`Transitions` with steps, states and actions of the
            process, rewards in ``[0, 1]`` and equal lengths. Rows without their step are refused:
            a process may change from step to step.
    """
    checks.instance(name, rows, Transitions, "tabular.sample_transitions(…)")
    if rows.step is None:
        raise ValueError(f"{name}.step: expected the step of each row in [0, H), got None")
    length = np.shape(rows.step)
    if len(length) != 1:
        raise ValueError(f"{name}.step: expected shape [R], got {length}")
    limits = {
        "step": mdp.horizon,
        "state": mdp.num_states,
        "action": mdp.num_actions,
        "next_state": mdp.num_states,
    }
    for field, size in limits.items():
        checks.wholes(f"{name}.{field}", getattr(rows, field), 0, size - 1, shape=length)
    checks.real(f"{name}.reward", rows.reward, 0.0, 1.0, shape=length)
    return rows


def inverse_cdf(probabilities: jax.Array, uniform: jax.Array) -> jax.Array:
    """Index drawn by a uniform number in ``[0, 1)``; entries of probability 0 are never drawn."""
    cdf = jnp.cumsum(probabilities)
    return jnp.sum(cdf <= uniform * cdf[-1], dtype=jnp.int32)
