"""Optimistic least-squares value iteration: ridge regression and an elliptical bonus.

The statistics of all data are sums over transitions, so that those of several agents can be added
or averaged. New transitions change the inverse by rank-one (Sherman–Morrison) updates;
:func:`refreshed` computes it anew by a Cholesky factorization, after which rounding errors are
forgotten.

Shapes: ``H`` steps, ``S`` states, ``A`` actions, ``d`` features.

References:
    C. Jin, Z. Yang, Z. Wang, M. Jordan, Provably efficient reinforcement learning with linear
    function approximation, 2020 (LSVI-UCB).
    Y. Abbasi-Yadkori, D. Pál, C. Szepesvári, Improved algorithms for linear stochastic bandits,
    2011 (rare switching by the determinant).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl.tabular.critics import Critic, value_limits
from jaxswarm.rl.tabular.mdp import EpisodicMDP, check_policy, require_mdp
from jaxswarm.rl.tabular.sampling import Transitions, check_transitions


class Sums(NamedTuple):
    """Sums over transitions, without the ridge; additive over data sets and agents.

    Attributes:
        precision: ``[H, d, d]``, of ``φ φᵀ``.
        rewards: ``[H, d]``, of ``φ r``.
        nexts: ``[H, d, S]``, of ``φ`` by the next state: ``nexts @ v`` is the sum of ``φ v(s')``.
    """

    precision: jax.Array
    rewards: jax.Array
    nexts: jax.Array


class Statistics(NamedTuple):
    """What least-squares value iteration keeps of its data.

    Attributes:
        sums: see :class:`Sums`.
        inverse: ``[H, d, d]``, of the precision ``Λ = ridge · I + Σ φ φᵀ``.
        log_det: ``[H]``, of ``Λ``.
    """

    sums: Sums
    inverse: jax.Array
    log_det: jax.Array


def sums_of(mdp: EpisodicMDP, rows: Transitions | None = None) -> Sums:
    """Sum over transitions, such as offline data; zero without rows.

    Raises:
        ValueError: see :func:`jaxswarm.rl.tabular.check_transitions`.
    """
    require_mdp(mdp)
    H, S, d = mdp.horizon, mdp.num_states, mdp.num_features
    blank = Sums(jnp.zeros((H, d, d)), jnp.zeros((H, d)), jnp.zeros((H, d, S)))
    if rows is None:
        return blank
    check_transitions(mdp, rows)
    step, state, action, reward, following = (jnp.asarray(x) for x in rows)
    phi = mdp.features[state, action]
    reward = jnp.asarray(reward, jnp.float32)
    return Sums(
        blank.precision.at[step].add(phi[:, :, None] * phi[:, None, :]),
        blank.rewards.at[step].add(phi * reward[:, None]),
        blank.nexts.at[step, :, following].add(phi),
    )


def statistics(sums: Sums, ridge: Any = 0.01) -> Statistics:
    """Compute inverse and log-determinant of ``ridge · I + sums.precision`` by Cholesky.

    Args:
        sums: of one learner.
        ridge: positive.

    Raises:
        ValueError: if the sums have other shapes than each other's, or a known precision is not
            positive definite, which sums over transitions always are.
    """
    checks.instance("sums", sums, Sums, "tabular.sums_of(mdp, rows)")
    checks.real("ridge", ridge, above=0.0)
    checks.real("sums.rewards", sums.rewards, shape=(None, None))
    H, d = sums.rewards.shape
    checks.real("sums.precision", sums.precision, shape=(H, d, d))
    checks.real("sums.nexts", sums.nexts, shape=(H, d, None))
    if not (checks.is_traced(sums.precision) or checks.is_traced(ridge)):
        exact = np.asarray(sums.precision, np.float64)
        if np.abs(exact - exact.swapaxes(1, 2)).max() > 1e-3 * max(1.0, np.abs(exact).max()):
            raise ValueError("sums.precision: expected symmetric matrices")
        least = np.linalg.eigvalsh(exact).min() + float(ridge)
        if least <= 0.0:
            raise ValueError(
                "sums.precision: expected ridge · I + precision positive definite, got a smallest "
                f"eigenvalue of {least:.6g}"
            )
    eye = jnp.eye(d)[None]
    factor = jnp.linalg.cholesky(sums.precision + ridge * eye)
    half = jax.scipy.linalg.solve_triangular(factor, jnp.broadcast_to(eye, (H, d, d)), lower=True)
    diagonal = jnp.diagonal(factor, axis1=1, axis2=2)
    inverse = jnp.einsum("hki,hkj->hij", half, half)
    return Statistics(sums, inverse, 2.0 * jnp.sum(jnp.log(diagonal), axis=1))


def least_squares_critic(
    mdp: EpisodicMDP,
    *,
    bonus: Any = 0.3,
    ridge: Any = 0.01,
    on_policy: Any = False,
    max_return: float | None = None,
) -> Critic:
    """Critic of least-squares value iteration with the bonus ``β ‖φ(s, a)‖`` in the norm of Λ⁻¹.

    From the last step back, ``f_h(s, a) = φᵀ w_h + β √(φᵀ Λ_h⁻¹ φ)``, clipped to what the rest of
    an episode can earn, where ``w_h`` is the ridge regression of rewards plus the values of the
    next states. Over the ellipsoid of weights within ``β`` of ``w_h`` this is the largest value of
    each state and action, the closed form of an optimistic version space. With a feature for each
    pair it is a table with the bonus ``β / √(visits + ridge)``.

    Args:
        mdp: gives features, sizes and the horizon; its transitions and rewards are not used.
        bonus: ``β``, at least 0; 0 is not optimistic. May be traced.
        ridge: ``λ``, positive. A pair that was never visited has the bonus ``β / √λ``: to be
            optimistic, choose ``λ`` small enough that this is the largest value. May be traced.
        on_policy: whether next states have the value of the policy given to ``fit`` instead of
            the largest of their actions. May be traced.
        max_return: largest sum of rewards of an episode, at which values are clipped; ``H − h`` in
            step ``h`` by default.

    Returns:
        The critic. Its data are :class:`Statistics`; its ``gap`` is ``‖w − ŵ‖²`` in the norm of
        ``Λ_h``, where ``w`` are the weights whose values are nearest to ``values`` and ``ŵ`` the
        regression's: the excess of the regularized squared loss.

    Example:
        >>> import jax
        >>> from jaxswarm.rl import tabular
        >>> mdp = tabular.combination_lock(3, 2)
        >>> critic = tabular.least_squares_critic(mdp, bonus=0.5)
        >>> policy = tabular.uniform_policy(mdp)
        >>> rows = tabular.sample_transitions(jax.random.key(0), mdp, policy, episodes=200)
        >>> values = critic.fit(critic.init(rows), policy)
        >>> best = tabular.value_iteration(mdp)
        >>> bool((values[:, 0] >= best.q[:, 0]).all())  # optimistic
        True

    Raises:
        ValueError: for numbers out of range.
    """
    require_mdp(mdp)
    checks.real("bonus", bonus, 0.0)
    checks.real("ridge", ridge, above=0.0)
    if not checks.is_traced(on_policy) and not isinstance(on_policy, jax.Array):
        on_policy = checks.flag("on_policy", on_policy)
    limits = value_limits(mdp, max_return)
    H, S, A, d = mdp.horizon, mdp.num_states, mdp.num_actions, mdp.num_features
    flat = mdp.features.reshape(S * A, d)
    known = not checks.is_traced(flat)
    project = jnp.asarray(np.linalg.pinv(np.asarray(flat)) if known else jnp.linalg.pinv(flat))

    def init(rows: Transitions | None = None) -> Statistics:
        return statistics(sums_of(mdp, rows), ridge)

    def observe(data: Statistics, episode: Transitions) -> Statistics:
        phi = mdp.features[episode.state, episode.action]  # [H, d]
        following = jax.nn.one_hot(episode.next_state, S)
        outer = phi[:, :, None] * phi[:, None, :]
        step = jnp.einsum("hij,hj->hi", data.inverse, phi)
        growth = 1.0 + jnp.sum(phi * step, axis=1)
        sums = Sums(
            data.sums.precision + outer,
            data.sums.rewards + phi * episode.reward[:, None],
            data.sums.nexts + phi[:, :, None] * following[:, None, :],
        )
        inverse = data.inverse - step[:, :, None] * step[:, None, :] / growth[:, None, None]
        return Statistics(sums, inverse, data.log_det + jnp.log(growth))

    def regress(data: Any, value: jax.Array) -> jax.Array:
        """Weights of one step ``[d]``, given values of the next states."""
        inverse, rewards, nexts = data
        return inverse @ (rewards + nexts @ value)

    def fit(data: Statistics, policy: jax.Array) -> jax.Array:
        check_policy(mdp, policy)
        norms = jnp.einsum("pi,hij,pj->hp", flat, data.inverse, flat)
        radius = bonus * jnp.sqrt(jnp.maximum(norms, 0.0))

        def back(value: jax.Array, step: Any) -> tuple[jax.Array, jax.Array]:
            statistic, extra, chosen, limit = step
            q = jnp.clip(flat @ regress(statistic, value) + extra, 0.0, limit).reshape(S, A)
            mean = jnp.sum(chosen * q, axis=1)
            return jnp.where(on_policy, mean, jnp.max(q, axis=1)), q

        steps = ((data.inverse, *data.sums[1:]), radius, jnp.asarray(policy), limits)
        return jax.lax.scan(back, jnp.zeros(S), steps, reverse=True)[1]

    def gap(values: jax.Array, data: Statistics) -> jax.Array:
        checks.real("values", values, shape=(H, S, A))
        values = jnp.asarray(values)
        largest = jnp.max(values, axis=2)
        following = jnp.concatenate([largest[1:], jnp.zeros((1, S))])
        fitted = jax.vmap(regress)((data.inverse, *data.sums[1:]), following)
        off = values.reshape(H, S * A) @ project.T - fitted
        quadratic = jnp.einsum("hi,hij,hj->h", off, data.sums.precision, off)
        return quadratic + ridge * jnp.sum(off**2, axis=1)

    return Critic(init, observe, fit, gap, lambda data: data.log_det)


def refreshed(data: Statistics, ridge: Any = 0.01) -> Statistics:
    """The same statistics with inverse and log-determinant computed anew.

    Raises:
        ValueError: as :func:`statistics`.
    """
    checks.instance("data", data, Statistics, "critic.init()")
    return statistics(data.sums, ridge)
