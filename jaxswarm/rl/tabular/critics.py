"""The interface of optimistic critics: ``fit`` values to data, and the ``gap`` of values to them.

Shapes: ``H`` steps, ``S`` states, ``A`` actions.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl.tabular.mdp import EpisodicMDP
from jaxswarm.rl.tabular.sampling import Transitions
from jaxswarm.types import PyTree, StepFn


class Critic(NamedTuple):
    """A critic that keeps what it needs of its data as arrays of a fixed size.

    Attributes:
        init: ``init(rows=None) -> data``; ``rows`` are offline :class:`Transitions`.
        observe: ``observe(data, episode) -> data`` adds the ``H`` rows of one episode, in order.
        fit: ``fit(data, policy) -> values [H, S, A]``, optimistic where data are few. ``policy
            [H, S, A]`` is used by critics that evaluate it.
        gap: ``gap(values, data) -> [H]``, for each step the squared loss of ``values`` on the data
            less the least loss in the critic's class, ``L_h(f_h, f_{h+1}) − min_f' L_h(f',
            f_{h+1})``, where the targets are rewards plus the largest value of the next state.
        potential: ``potential(data) -> [H]``, the log-determinant of each step's precision; zeros
            where there is none.
    """

    init: Callable[..., PyTree]
    observe: Callable[[PyTree, Transitions], PyTree]
    fit: Callable[[PyTree, jax.Array], jax.Array]
    gap: Callable[[jax.Array, PyTree], jax.Array]
    potential: Callable[[PyTree], jax.Array]


class EpisodicLearner(NamedTuple):
    """A learner that plays one episode a step, for ``simulate`` and ``rollout``.

    Attributes:
        init: ``init(rows=None, …) -> state``; ``rows`` are offline :class:`Transitions`.
        step: ``step(key, state, inputs) -> (state, info)``, one episode; inputs are not used.
    """

    init: Callable[..., Any]
    step: StepFn


def value_limits(mdp: EpisodicMDP, max_return: float | None) -> jax.Array:
    """Largest value of each step, ``[H]``: rewards that are left, at most ``max_return``.

    Raises:
        ValueError: if a path of a known process earns more than ``max_return``.
    """
    left = jnp.arange(mdp.horizon, 0, -1, dtype=jnp.float32)
    if max_return is None:
        return left
    checks.real("max_return", max_return, above=0.0)
    if not any(checks.is_traced(x) for x in (*mdp, max_return)):
        most = most_rewarding_path(mdp)
        if most > max_return + 1e-4:
            raise ValueError(
                f"max_return: expected at least the sum of rewards of every episode, {most:.6g}, "
                f"got {max_return:.6g}"
            )
    return jnp.minimum(left, max_return)


def most_rewarding_path(mdp: EpisodicMDP) -> float:
    """Largest sum of mean rewards of a path of positive probability."""
    value = np.zeros(mdp.num_states)
    transitions, rewards = np.asarray(mdp.transition), np.asarray(mdp.reward)
    for transition, reward in zip(transitions[::-1], rewards[::-1], strict=True):
        best = np.where(transition > 0.0, value, -np.inf).max(axis=2)
        value = (reward + best).max(axis=1)
    return float(value[np.asarray(mdp.start) > 0.0].max())


def require_critic(value: object, name: str = "critic") -> Critic:
    """Check that a value is a critic and return it.

    Raises:
        ValueError: naming what came.
    """
    checks.instance(name, value, Critic, "tabular.least_squares_critic(mdp)")
    for field in Critic._fields:
        checks.function(f"{name}.{field}", getattr(value, field))
    return value  # type: ignore[return-value]
