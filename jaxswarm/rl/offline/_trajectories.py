"""Episodes as flat arrays, and goal-relabelled chunks drawn from them by index.

All rows of all episodes stand one after another. A chunk starts at a random row and never crosses
into the next episode: ``valid`` masks the actions that do not exist. Goals are rows of the data
(hindsight relabelling); a goal is reached where the goal features of a row equal it.

Shapes: ``T`` rows of all episodes, ``O`` numbers of an observation, ``A`` of an action, ``G`` of a
goal, ``B`` chunks of a batch, ``H`` steps of the longest chunk.

References:
    M. Andrychowicz et al., Hindsight experience replay, 2017 (relabelled goals).
    Q. Li, S. Park, S. Levine, Decoupled Q-chunking, 2025 (shares of the goals, chunks).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike, Key


class Trajectories(NamedTuple):
    """Episodes as arrays; those of several data sets of equal sizes can be stacked.

    Attributes:
        observation: ``float32[T, O]``.
        action: ``float32[T, A]`` in ``[-1, 1]``; that of the last row of an episode is unused.
        goal: ``float32[T, G]``, what a row reaches as a goal.
        label: ``int32[T]``, equal for rows with equal goals.
        last: ``int32[T]``, the last row of each row's episode.
        starts: ``int32[M]``, rows at which a chunk may start: all but the last of an episode.
    """

    observation: jax.Array
    action: jax.Array
    goal: jax.Array
    label: jax.Array
    last: jax.Array
    starts: jax.Array


class GoalShares(NamedTuple):
    """Shares of relabelled goals, which sum to one.

    Attributes:
        current: the row at which the chunk starts.
        future: a later row of the same episode, uniformly.
        random: any row of the data, or of a pool of goals.
    """

    current: Any = 0.2
    future: Any = 0.5
    random: Any = 0.3


class GoalPool(NamedTuple):
    """Goals that random goals are drawn from: ``goal [P, G]`` and ``label int32[P]``."""

    goal: jax.Array
    label: jax.Array


class ChunkBatch(NamedTuple):
    """Chunks of data with relabelled goals; rewards are 1 at the goal, which ends the chunk.

    Attributes:
        observation: ``[B, O]``, at the first step.
        goal: ``[B, G]``.
        actions: ``[B, H, A]``, zeros where ``valid`` is false.
        valid: ``bool[B, H]``, actions that the episode still has.
        next_observation: ``[B, O]``, after ``horizon`` steps, or the episode's last.
        steps: ``int32[B]``, steps to the first row that is the goal, at most ``horizon``.
        hit: ``bool[B]``, whether that row is within the horizon (its end included).
        complete: ``bool[B]``, whether the return over the horizon is known: the goal is reached or
            the episode goes on for that long.
        future: ``bool[B]``, whether the goal is a later row of the episode.
    """

    observation: jax.Array
    goal: jax.Array
    actions: jax.Array
    valid: jax.Array
    next_observation: jax.Array
    steps: jax.Array
    hit: jax.Array
    complete: jax.Array
    future: jax.Array


class ChunkSampler(NamedTuple):
    """Chunks of one data set.

    Attributes:
        sample: ``sample(key, batch_size, steps=None) -> ChunkBatch``, traceable; ``steps`` of the
            return, ``H`` if omitted.
        trajectories: the data.
        horizon: ``H``.
    """

    sample: Callable[..., ChunkBatch]
    trajectories: Trajectories
    horizon: int


def trajectories(
    observation: ArrayLike, action: ArrayLike, terminal: ArrayLike, *, goal: ArrayLike | None = None
) -> Trajectories:
    """Index episodes that stand one after another in flat arrays.

    Args:
        observation: ``[T, O]``, finite.
        action: ``[T, A]`` in ``[-1, 1]``.
        terminal: ``bool[T]``, true in the last row of every episode.
        goal: ``[T, G]``, what a row reaches as a goal; the observation if omitted.

    Raises:
        ValueError: for shapes that do not fit, numbers that are not finite, actions outside
            ``[-1, 1]``, a last row that does not end its episode, or no episode of two rows.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.rl import offline
        >>> position = np.array([[0.0], [1.0], [2.0], [5.0], [4.0]])
        >>> ends = np.array([False, False, True, False, True])
        >>> data = offline.trajectories(position, np.ones((5, 1)), ends)
        >>> data.last.tolist(), data.starts.tolist()
        ([2, 2, 2, 4, 4], [0, 1, 3])
    """
    checks.concrete("observation, action, terminal, goal", (observation, action, terminal, goal))
    rows = np.asarray(checks.real("observation", observation, shape=(None, None)), np.float32)
    count = len(rows)
    acted = np.asarray(checks.real("action", action, -1.0, 1.0, shape=(count, None)), np.float32)
    ends = np.asarray(checks.mask("terminal", terminal, (count,)))
    goals = rows
    if goal is not None:
        goals = np.asarray(checks.real("goal", goal, shape=(count, None)), np.float32)
    if not count or not ends[-1]:
        raise ValueError(
            "terminal: expected true in the last row, which ends the last episode, got "
            + ("no row" if not count else "false")
        )
    ends_at = np.flatnonzero(ends)
    last = ends_at[np.searchsorted(ends_at, np.arange(count))]
    starts = np.flatnonzero(np.arange(count) < last)
    if not len(starts):
        raise ValueError("terminal: expected an episode of at least two rows, got none")
    arrays = (rows, acted, goals, _labels(goals), last, starts)
    kinds = (np.float32,) * 3 + (np.int32,) * 3
    cast = [array.astype(kind) for array, kind in zip(arrays, kinds, strict=True)]
    return Trajectories(*jax.device_put(cast))


def chunks(
    trajectories: Trajectories,
    horizon: int = 25,
    *,
    shares: GoalShares | None = None,
    pool: GoalPool | None = None,
) -> ChunkSampler:
    """Draw goal-relabelled chunks of a data set.

    Args:
        trajectories: of :func:`trajectories`.
        horizon: ``H``, steps of a chunk; every episode must have as many.
        shares: of the goals.
        pool: goals that random goals are drawn from; the rows of the data if omitted.

    Raises:
        ValueError: for a horizon below 1, an episode that is shorter than a chunk, or shares that
            are negative or do not sum to one.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm.rl import offline
        >>> ends = np.arange(12) % 6 == 5  # two episodes of six rows
        >>> data = offline.trajectories(np.arange(12.0)[:, None], np.zeros((12, 2)), ends)
        >>> sampler = offline.chunks(data, horizon=4)
        >>> sampler.sample(jax.random.key(0), 8).actions.shape
        (8, 4, 2)
    """
    checks.instance("trajectories", trajectories, Trajectories, "offline.trajectories(…)")
    horizon = checks.whole("horizon", horizon, 1)
    checks.concrete("trajectories", trajectories)
    lengths = np.unique(np.asarray(trajectories.last), return_counts=True)[1] - 1
    if lengths.min() < horizon:
        raise ValueError(
            f"horizon: expected at most the {lengths.min()} steps of the shortest episode, got "
            f"{horizon}"
        )
    shares = check_shares(GoalShares() if shares is None else shares)
    if pool is not None:
        checks.instance("pool", pool, GoalPool, "offline.GoalPool(data.goal, data.label)")

    def sample(key: Key, batch_size: int, steps: ArrayLike | None = None) -> ChunkBatch:
        return sample_chunks(
            key, trajectories, batch_size, horizon, steps=steps, shares=shares, pool=pool
        )

    return ChunkSampler(sample, trajectories, horizon)


def sample_chunks(
    key: Key,
    data: Trajectories,
    batch_size: int,
    horizon: int,
    *,
    steps: ArrayLike | None = None,
    shares: GoalShares | None = None,
    pool: GoalPool | None = None,
) -> ChunkBatch:
    """Draw chunks with relabelled goals, inside a ``jit``, ``scan`` or ``vmap``.

    Args:
        key: random key.
        data: episodes; may be traced, so that data sets can be a ``vmap`` axis.
        batch_size: ``B``.
        horizon: ``H``, actions of a chunk.
        steps: steps of the return, in ``[1, H]``, may be traced; ``H`` if omitted.
        shares: of the goals; may be traced.
        pool: goals that random goals are drawn from; the rows of the data if omitted.

    Raises:
        ValueError: for what is no :class:`Trajectories`, sizes below 1, known steps outside
            ``[1, H]``, or known shares as :func:`chunks`.
    """
    checks.instance("data", data, Trajectories, "offline.trajectories(…)")
    batch_size = checks.whole("batch_size", batch_size, 1)
    horizon = checks.whole("horizon", horizon, 1)
    steps = horizon if steps is None else steps
    if not checks.is_traced(steps):
        checks.whole("steps", steps, 1, horizon)
    shares = check_shares(GoalShares() if shares is None else shares)
    start_key, kind_key, future_key, random_key = jax.random.split(checks.key(key), 4)
    picks = jax.random.randint(start_key, (batch_size,), 0, len(data.starts))
    first = data.starts[picks]
    last = data.last[first]
    kind = jax.random.uniform(kind_key, (batch_size,))
    ahead = jax.random.randint(future_key, (batch_size,), first + 1, last + 1)
    row = jnp.where(kind < shares.current, first, ahead)
    goals = GoalPool(data.goal, data.label) if pool is None else pool
    drawn = jax.random.randint(random_key, (batch_size,), 0, len(goals.label))
    is_random = kind >= shares.current + jnp.asarray(shares.future)
    goal = jnp.where(is_random[:, None], goals.goal[drawn], data.goal[row])
    label = jnp.where(is_random, goals.label[drawn], data.label[row])

    # Rows beyond the episode's end are read at its last row, and masked.
    offsets = jnp.arange(horizon + 1)[None, :]
    times = first[:, None] + offsets
    within = times <= last[:, None]
    at = jnp.minimum(times, last[:, None])
    reached = (data.label[at] == label[:, None]) & within & (offsets <= steps)
    hit = jnp.any(reached, axis=1)
    count = jnp.where(hit, jnp.argmax(reached, axis=1), steps).astype(jnp.int32)
    valid = within[:, 1:]
    actions = jnp.where(valid[..., None], data.action[at[:, :-1]], 0.0)
    return ChunkBatch(
        observation=data.observation[first],
        goal=goal,
        actions=actions,
        valid=valid,
        next_observation=data.observation[jnp.minimum(first + steps, last)],
        steps=count,
        hit=hit,
        complete=hit | (first + steps <= last),
        future=~is_random & (kind >= shares.current),
    )


def _labels(goals: np.ndarray) -> np.ndarray:
    """Number of each row among the distinct rows in lexicographic order ``[T]``."""
    order = np.lexsort(goals.T[::-1])
    ordered = goals[order]
    label = np.empty(len(goals), np.int64)
    label[order] = np.cumsum(np.append(False, (ordered[1:] != ordered[:-1]).any(axis=1)))
    return label


def check_shares(shares: GoalShares) -> GoalShares:
    """Check the shares of relabelled goals and return them.

    Raises:
        ValueError: unless they are in ``[0, 1]`` and sum to one.
    """
    checks.instance("shares", shares, GoalShares, "offline.GoalShares()")
    for name, share in shares._asdict().items():
        checks.probability(f"shares.{name}", share)
    if not any(checks.is_traced(share) for share in shares):
        total = float(sum(np.asarray(share, np.float64) for share in shares))
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"shares: expected a sum of 1, got {total:.6g}")
    return shares
