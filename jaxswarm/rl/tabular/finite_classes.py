"""Exact version spaces of a finite class of value tables, and the optimistic member of one.

Shapes: ``F`` members of the class, ``H`` steps, ``S`` states, ``A`` actions.

References:
    C. Jin, Q. Liu, S. Miryoosefi, Bellman eluder dimension: new rich classes of RL problems, and
    sample-efficient algorithms, 2021 (GOLF).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl.tabular.counts import Counts, add, counts_of
from jaxswarm.rl.tabular.critics import Critic
from jaxswarm.rl.tabular.mdp import EpisodicMDP, require_mdp
from jaxswarm.types import ArrayLike


def excess_losses(tables: ArrayLike, data: Counts) -> jax.Array:
    """Loss of every member less the least loss with its own targets, ``[F, H]``.

    ``L_h(f_h, f_{h+1}) − min_f' L_h(f'_h, f_{h+1})``, where ``f'`` ranges over the class, and the
    sum in ``L_h(f, g) = Σ (f(s, a) − r − max_a' g(s', a'))²`` over the data of step ``h``.

    Args:
        tables: ``[F, H, S, A]``.
        data: see :class:`Counts`.

    Raises:
        ValueError: for tables or counts of other shapes, or that are not finite.
    """
    _check_counts(tables, data)
    return jax.vmap(_excess, (1, 1, 0, 0), 1)(*_targets(jnp.asarray(tables)), *data)


def confidence_radius(
    num_members: int, horizon: int, episodes: int, *, delta: float = 0.1, scale: float = 1.0
) -> float:
    """Radius that keeps the optimal values in the version space: ``scale² log(F H T / δ)``.

    With probability ``1 − δ`` for all of ``T`` episodes, up to a constant factor that is taken as 1
    here.

    Args:
        num_members: ``F``, at least 1.
        horizon: ``H``, at least 1.
        episodes: ``T``, at least 1.
        delta: ``δ`` in ``(0, 1)``.
        scale: largest sum of rewards of an episode.

    Example:
        >>> round(confidence_radius(512, 4, 1_000), 2)
        16.83

    Raises:
        ValueError: for sizes below 1, a probability outside ``(0, 1)`` or a scale that is not
            positive.
    """
    F = checks.whole("num_members", num_members, 1)
    H = checks.whole("horizon", horizon, 1)
    T = checks.whole("episodes", episodes, 1)
    checks.real("delta", delta, above=0.0, below=1.0)
    checks.real("scale", scale, above=0.0)
    return float(scale**2 * np.log(F * H * T / delta))


def version_space(tables: ArrayLike, data: Counts, radius: Any) -> jax.Array:
    """Members whose excess loss is at most ``radius`` in every step, ``bool[F]``.

    Args:
        tables: the class, ``[F, H, S, A]``.
        data: from :func:`counts_of` or a finite-class critic.
        radius: at least 0, such as :func:`confidence_radius`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.rl import tabular
        >>> mdp = tabular.combination_lock(3, 2)
        >>> best = tabular.value_iteration(mdp).q
        >>> tables = jnp.stack([best, jnp.ones_like(best)])
        >>> rows = tabular.sample_transitions(
        ...     jax.random.key(0), mdp, tabular.uniform_policy(mdp), episodes=100
        ... )
        >>> tabular.version_space(tables, tabular.counts_of(mdp, rows), radius=8.0).tolist()
        [True, False]

    Raises:
        ValueError: for other shapes or a negative radius.
    """
    checks.real("radius", radius, 0.0)
    return jnp.all(excess_losses(tables, data) <= radius, axis=1)


def finite_class_critic(mdp: EpisodicMDP, tables: ArrayLike, radius: Any) -> Critic:
    """Critic whose values are the optimistic member of the version space of a finite class.

    ``fit`` returns the member with the largest value of the first step among those whose excess
    loss is at most ``radius`` in every step, the first of several. If no member is left, it is the
    one with the smallest largest excess.

    Args:
        mdp: gives sizes and the start; its transitions and rewards are not used.
        tables: the class ``[F, H, S, A]``, with values in ``[0, H]``.
        radius: of the version space, at least 0; see :func:`version_space`. May be traced.

    Returns:
        The critic; its data are :class:`Counts` and its potential is zero.

    Raises:
        ValueError: for tables of another shape, values out of range, or a negative radius.
    """
    require_mdp(mdp)
    shape = (None, *mdp.reward.shape)
    checks.real("tables", tables, 0.0, float(mdp.horizon), shape=shape)
    if not np.shape(tables)[0]:
        raise ValueError(f"tables: expected at least one member, got shape {np.shape(tables)}")
    checks.real("radius", radius, 0.0)
    members = jnp.asarray(tables, jnp.float32)
    first = jnp.max(members[:, 0], axis=2) @ mdp.start  # [F]
    H, S, A = mdp.reward.shape

    def fit(data: Counts, policy: jax.Array) -> jax.Array:
        del policy
        worst = jnp.max(excess_losses(members, data), axis=1)
        inside = worst <= radius
        score = jnp.where(jnp.any(inside), jnp.where(inside, first, -jnp.inf), -worst)
        return members[jnp.argmax(score)]

    def gap(values: jax.Array, data: Counts) -> jax.Array:
        checks.real("values", values, shape=(H, S, A))
        values = jnp.asarray(values)
        following = jnp.concatenate([jnp.max(values, axis=2)[1:], jnp.zeros((1, S))])
        number = jnp.sum(data.visits, axis=3)
        target = data.rewards + jnp.einsum("hsat,ht->hsa", data.visits, following)
        loss = lambda f: jnp.sum(number * f**2 - 2.0 * f * target, axis=(1, 2))  # noqa: E731
        return loss(values) - jnp.min(jax.vmap(loss)(members), axis=0)

    return Critic(
        lambda rows=None: counts_of(mdp, rows),
        add,
        fit,
        gap,
        lambda data: jnp.zeros(H),
    )


def _targets(tables: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Own values and next states' values, ``[F, H, S, A]`` and ``[F, H, S]``."""
    largest = jnp.max(tables, axis=3)
    following = jnp.concatenate([largest[:, 1:], jnp.zeros_like(largest[:, :1])], axis=1)
    return tables, following


def _excess(own: jax.Array, following: jax.Array, visits: jax.Array, rewards: Any) -> jax.Array:
    """Excess losses of one step, ``[F]``, of members ``[F, S, A]`` with targets ``[F, S]``.

    The squares of the targets are the same for every member and cancel.
    """
    flat = own.reshape(len(own), -1)
    target = rewards[None] + jnp.einsum("sat,ft->fsa", visits, following)
    target = target.reshape(flat.shape)
    squares = (flat**2) @ jnp.sum(visits, axis=2).reshape(-1)
    least = jnp.min(squares[:, None] - 2.0 * flat @ target.T, axis=0)
    return squares - 2.0 * jnp.sum(flat * target, axis=1) - least


def _check_counts(tables: Any, data: Any) -> None:
    checks.real("tables", tables, shape=(None, None, None, None))
    checks.instance("data", data, Counts, "tabular.counts_of(mdp, rows)")
    H, S, A = np.shape(tables)[1:]
    checks.real("data.visits", data.visits, 0.0, shape=(H, S, A, S))
    checks.real("data.rewards", data.rewards, 0.0, shape=(H, S, A))
