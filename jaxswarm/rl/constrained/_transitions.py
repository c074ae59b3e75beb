"""Transitions of logged sessions, batches of them, and shards of the users.

Shapes: ``R`` rows, ``B`` items of a batch, ``F`` features, ``m`` responses, ``N`` agents.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data import Interactions
from jaxswarm.types import ArrayLike, Key


class Transitions(NamedTuple):
    """Rows of a log in the order of sessions; shards have leaves ``[N, …]``.

    Attributes:
        features: ``float32[R, F]``.
        action: ``int32[R]`` or raw actions ``float32[R, A]``.
        propensity: ``float32[R]``, probability (or density) of the logged action.
        rewards: ``float32[R, m]``, divided by ``scale``.
        following: ``int32[R]``, row of the next step; of a session's last step the row itself.
        terminal: ``bool[R]``, last steps of sessions.
        count: ``int32[]``, rows that are real; they come first.
    """

    features: jax.Array
    action: jax.Array
    propensity: jax.Array
    rewards: jax.Array
    following: jax.Array
    terminal: jax.Array
    count: jax.Array


class TransitionBatch(NamedTuple):
    """A batch of transitions.

    Attributes:
        features: ``[B, F]``.
        action: ``[B]`` or ``[B, A]``.
        propensity: ``[B]``.
        rewards: ``[B, m]``.
        next_features: ``[B, F]``; of no meaning where ``terminal``.
        terminal: ``bool[B]``.
    """

    features: jax.Array
    action: jax.Array
    propensity: jax.Array
    rewards: jax.Array
    next_features: jax.Array
    terminal: jax.Array


def transitions(log: Interactions, *, scale: ArrayLike | None = None) -> Transitions:
    """List the steps of logged sessions as transitions; a session's last step is terminal.

    Padded steps move to the end, so that logs of equal padded shape give equal shapes.

    Args:
        log: of :func:`jaxswarm.data.interactions`, with features and at least two rewards, the
            main one first.
        scale: ``[m]``, above 0: rewards are divided by it; default: their standard deviations over
            real steps (1 for a reward that is constant).

    Raises:
        ValueError: without features, for fewer than two rewards, rewards that are not finite,
            propensities that are not in ``(0, 1]`` (densities of vectors: not above 0), or another
            scale.

    Example:
        >>> from jaxswarm import data
        >>> from jaxswarm.rl import constrained
        >>> log = data.interactions(
        ...     [7, 7, 8], [0, 1, 0], {"watch": [1.0, 2.0, 3.0], "like": [0.0, 1.0, 0.0]},
        ...     propensity=[0.5, 0.5, 0.5], features=[[1.0], [2.0], [3.0]],
        ... )
        >>> rows = constrained.transitions(log, scale=[1.0, 1.0])
        >>> int(rows.count), rows.following.tolist(), rows.terminal.tolist()
        (3, [1, 1, 2, 3], [False, True, True, True])
    """
    checks.instance("log", log, Interactions, "data.interactions(...)")
    checks.concrete("log", log)
    mask = np.asarray(log.mask)
    features, rewards = np.asarray(log.features), np.asarray(log.rewards)
    if not features.shape[-1]:
        raise ValueError("log: expected features, got a log without; see data.interactions")
    if rewards.shape[-1] < 2:
        raise ValueError(f"log: expected at least two rewards, got {rewards.shape[-1]}")
    checks.real("log.rewards", rewards[mask], shape=None)
    acts = np.asarray(log.actions)
    high = 1.0 if acts.ndim == 2 else np.inf
    checks.real(
        "log.propensities", np.asarray(log.propensities)[mask], above=0.0, high=high, shape=None
    )
    if scale is None:
        spread = rewards[mask].std(axis=0)
        units = np.where(spread > 0, spread, 1.0)
    else:
        units = np.asarray(checks.real("scale", scale, above=0.0, shape=rewards.shape[-1:]))
    flat = mask.reshape(-1)
    order = np.argsort(~flat, kind="stable")
    session = np.repeat(np.arange(mask.shape[0]), mask.shape[1])[order]
    place = np.arange(len(order))
    count = int(flat.sum())
    follows = np.append(session[1:] == session[:-1], False) & (place < count - 1)

    def rows(x: np.ndarray) -> jax.Array:
        return jnp.asarray(x.reshape(len(flat), *x.shape[2:])[order])

    return Transitions(
        rows(features),
        rows(acts),
        rows(np.asarray(log.propensities)),
        rows((rewards / units).astype(np.float32)),
        jnp.asarray(np.where(follows, place + 1, place), jnp.int32),
        jnp.asarray(~follows),
        jnp.int32(count),
    )


def sample(key: Key, rows: Transitions, batch_size: int) -> TransitionBatch:
    """Draw a batch of transitions with replacement.

    Args:
        key: consumed.
        rows: of :func:`transitions`, of one shard.
        batch_size: ``B``.

    Raises:
        ValueError: for another kind of rows, or a size below 1.
    """
    checks.instance("rows", rows, Transitions, "constrained.transitions(log)")
    size = checks.whole("batch_size", batch_size, 1)
    at = jax.random.randint(checks.key(key), (size,), 0, rows.count)
    return TransitionBatch(
        rows.features[at],
        rows.action[at],
        rows.propensity[at],
        rows.rewards[at],
        rows.features[rows.following[at]],
        rows.terminal[at],
    )


def shard_users(
    log: Interactions, num_agents: int, *, scale: ArrayLike | None = None
) -> Transitions:
    """Deal the sessions of a log to agents in turn, as transitions with leaves ``[N, …]``.

    Args:
        log: as in :func:`transitions`.
        num_agents: ``N``, at most the number of sessions; sessions that do not divide by it are
            left out.
        scale: as in :func:`transitions`; default: of all sessions, so that agents agree.

    Raises:
        ValueError: as :func:`transitions`, or for more agents than sessions.
    """
    checks.instance("log", log, Interactions, "data.interactions(...)")
    n = checks.whole("num_agents", num_agents, 1, log.num_sessions)
    if scale is None:
        spread = np.asarray(log.rewards)[np.asarray(log.mask)].std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
    each = log.num_sessions // n
    own = [
        transitions(jax.tree.map(lambda x, i=i: np.asarray(x)[i : each * n : n], log), scale=scale)
        for i in range(n)
    ]
    return jax.tree.map(lambda *x: jnp.stack(x), *own)
