"""Episodic Markov decision processes with finitely many states, as arrays.

Shapes: ``H`` steps of an episode, ``S`` states, ``A`` actions, ``d`` features. Steps count from 0.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

_TOLERANCE = 1e-4


class EpisodicMDP(NamedTuple):
    """A finite-horizon MDP whose transitions and rewards may differ from step to step.

    A pytree of arrays: stacked processes are vmapped over. Made by :func:`episodic_mdp`, which
    checks it.

    Attributes:
        transition: ``float32[H, S, A, S]``, probabilities of the next state.
        reward: ``float32[H, S, A]``, mean rewards in ``[0, 1]``.
        start: ``float32[S]``, distribution of the first state.
        features: ``float32[S, A, d]`` with norms of at most 1, for linear critics.
    """

    transition: jax.Array
    reward: jax.Array
    start: jax.Array
    features: jax.Array

    @property
    def horizon(self) -> int:
        """``H``."""
        return self.reward.shape[-3]

    @property
    def num_states(self) -> int:
        """``S``."""
        return self.reward.shape[-2]

    @property
    def num_actions(self) -> int:
        """``A``."""
        return self.reward.shape[-1]

    @property
    def num_features(self) -> int:
        """``d``."""
        return self.features.shape[-1]


def episodic_mdp(
    transition: ArrayLike,
    reward: ArrayLike,
    start: ArrayLike | None = None,
    features: ArrayLike | None = None,
) -> EpisodicMDP:
    """Build an episodic MDP from its arrays.

    Args:
        transition: ``[H, S, A, S]``, rows sum to one.
        reward: ``[H, S, A]`` mean rewards in ``[0, 1]``.
        start: ``[S]`` distribution of the first state; state 0 by default.
        features: ``[S, A, d]`` with norms of at most 1; by default one feature for each pair of
            state and action, with which a linear critic is a table.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.rl import tabular
        >>> stay = np.broadcast_to(np.eye(2)[:, None], (3, 2, 2, 2))  # actions change nothing
        >>> mdp = tabular.episodic_mdp(stay, np.ones((3, 2, 2)))
        >>> mdp.horizon, mdp.num_features, float(tabular.value_iteration(mdp).value[0, 0])
        (3, 4, 3.0)

    Raises:
        ValueError: for other shapes, rows that do not sum to one, rewards outside ``[0, 1]``, or
            features with a norm above 1.
    """
    checks.real("reward", reward, 0.0, 1.0, shape=(None, None, None))
    H, S, A = np.shape(reward)
    if not H * S * A:
        raise ValueError(f"reward: expected [H, S, A] without empty axes, got shape {(H, S, A)}")
    checks.probability("transition", transition, shape=(H, S, A, S))
    first = np.eye(S)[0] if start is None else start
    checks.probability("start", first, shape=(S,))
    given = np.eye(S * A).reshape(S, A, S * A) if features is None else features
    _check_features(given, S, A)
    for name, rows in (("transition", transition), ("start", first)):
        _check_sums(name, rows)
    arrays = (transition, reward, first, given)
    return EpisodicMDP(*(jax.device_put(_float32(array)) for array in arrays))


def require_mdp(value: Any, name: str = "mdp") -> EpisodicMDP:
    """Check that a value is a single episodic MDP and return it; traced arrays pass by shape.

    Raises:
        ValueError: naming what came.
    """
    checks.instance(name, value, EpisodicMDP, "tabular.combination_lock(8)")
    for field in EpisodicMDP._fields:
        checks.instance(f"{name}.{field}", getattr(value, field), (jax.Array, np.ndarray))
    checks.real(f"{name}.reward", value.reward, 0.0, 1.0, shape=(None, None, None))
    H, S, A = value.reward.shape
    checks.probability(f"{name}.transition", value.transition, shape=(H, S, A, S))
    checks.probability(f"{name}.start", value.start, shape=(S,))
    _check_features(value.features, S, A, f"{name}.features")
    for field in ("transition", "start"):
        _check_sums(f"{name}.{field}", getattr(value, field))
    return value


def check_policy(mdp: EpisodicMDP, policy: Any, name: str = "policy") -> Any:
    """Check probabilities ``[H, S, A]`` of a policy and return them.

    Raises:
        ValueError: for another shape, or rows that do not sum to one.
    """
    checks.probability(name, policy, shape=mdp.reward.shape)
    _check_sums(name, policy)
    return policy


def uniform_policy(mdp: EpisodicMDP) -> jax.Array:
    """Equal probability of every action, ``[H, S, A]``.

    Raises:
        ValueError: unless ``mdp`` is an :class:`EpisodicMDP`.
    """
    require_mdp(mdp)
    return jnp.full(mdp.reward.shape, 1.0 / mdp.num_actions)


def greedy_policy(q: ArrayLike) -> jax.Array:
    """Probability 1 for the largest of the values ``[..., A]``, the first of several.

    Example:
        >>> greedy_policy([[0.0, 2.0, 2.0]]).tolist()
        [[0.0, 1.0, 0.0]]

    Raises:
        ValueError: for values that are no finite numbers, or without an axis of actions.
    """
    checks.real("q", q, shape=None)
    if np.ndim(q) < 1 or not np.shape(q)[-1]:  # type: ignore[arg-type]
        raise ValueError(f"q: expected values [..., A], got shape {np.shape(q)}")
    q = jnp.asarray(q)
    return jax.nn.one_hot(jnp.argmax(q, axis=-1), q.shape[-1])


def _check_features(features: Any, S: int, A: int, name: str = "features") -> None:
    checks.real(name, features, shape=(S, A, None))
    if not np.shape(features)[2]:
        raise ValueError(f"{name}: expected at least one feature, got shape {np.shape(features)}")
    if not checks.is_traced(features):
        norm = np.linalg.norm(np.asarray(features, np.float64), axis=2).max()
        if norm > 1.0 + _TOLERANCE:
            raise ValueError(f"{name}: expected norms of at most 1, got {norm:.6g}")


def _check_sums(name: str, rows: Any) -> None:
    """Check that known probabilities sum to one over the last axis."""
    if checks.is_traced(rows):
        return
    sums = np.asarray(rows, np.float64).sum(axis=-1)
    wrong = np.abs(sums - 1.0) > _TOLERANCE
    if wrong.any():
        raise ValueError(f"{name}: expected rows that sum to 1, got a sum of {sums[wrong][0]:.6g}")


def _float32(array: Any) -> Any:
    return array.astype(jnp.float32) if checks.is_traced(array) else np.asarray(array, np.float32)
