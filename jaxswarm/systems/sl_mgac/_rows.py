"""Logged sessions as flat rows sorted by activity group, and batches drawn from them.

Shapes: ``S`` sessions, ``T`` steps of the longest, ``R`` rows (real steps), ``F`` features, ``G``
groups, ``B`` rows of a batch.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data import Interactions
from jaxswarm.systems.sl_mgac._two_hot import check_bins, num_clipped
from jaxswarm.types import ArrayLike, Key


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LogRows:
    """Rows of a log; those of a group stand together, those of a session in order.

    Attributes:
        features: ``float32[R, F]``.
        action: ``int32[R]``, 1 where a live stream was inserted.
        times: ``float32[R, 2]``, watch times of the short video and of the live stream.
        group: ``int32[R]``, activity group of the user.
        step: ``int32[R]``, position in the session.
        night: ``bool[R]``, the last request of a user's day.
        last: ``bool[R]``, the last row of a session: the user left.
        propensity: ``float32[R]``, probability of the logged action.
        starts: ``int32[G]``, first row of each group.
        counts: ``int32[G]``, rows of each group.
        num_clipped: static; watch times beyond the last bin, which are clipped to it.
    """

    features: Any
    action: Any
    times: Any
    group: Any
    step: Any
    night: Any
    last: Any
    propensity: Any
    starts: Any
    counts: Any
    num_clipped: int = field(default=0, metadata={"static": True})


class LogBatch(NamedTuple):
    """Rows drawn from a log.

    Attributes:
        features: ``[B, F]``.
        group: ``int32[B]``.
        action: ``int32[B]``, 0 or 1.
        times: ``[B, 2]``, watch times (short, live).
        night: ``bool[B]``, the next row is on another day.
        last: ``bool[B]``, there is no next row.
        next_features: ``[B, F]``; anything where ``last``.
    """

    features: jax.Array
    group: jax.Array
    action: jax.Array
    times: jax.Array
    night: jax.Array
    last: jax.Array
    next_features: jax.Array


def log_rows(
    log: Interactions,
    group: ArrayLike,
    bins: ArrayLike,
    *,
    num_groups: int,
    night: ArrayLike | None = None,
) -> LogRows:
    """Check a log of insertions and flatten it to rows sorted by group.

    Args:
        log: actions 0 and 1, rewards ``[S, T, 2]``: watch times of short videos and live streams.
            The end of a session is taken as the user leaving.
        group: ``int[S]``, activity group of each session's user, in ``[0, G)``.
        bins: ``[K]``, the bins of watch times; times beyond the last one are counted.
        num_groups: ``G``.
        night: ``bool[S, T]``, whether a request was the last of the user's day; none by default.

    Raises:
        ValueError: for other actions, negative watch times, groups out of range or without rows,
            bins that are unsorted or repeated, or propensities outside ``(0, 1]``.

    Example:
        >>> from jaxswarm import data
        >>> from jaxswarm.systems import sl_mgac
        >>> log = data.interactions(
        ...     [0, 0, 1], [1, 0, 0], {"short": [1.0, 2.0, 0.5], "live": [9.0, 0.0, 0.0]},
        ...     propensity=[0.5] * 3, features=[[0.0], [1.0], [2.0]],
        ... )
        >>> rows = sl_mgac.log_rows(log, [1, 0], [0.0, 1.0, 4.0], num_groups=2)
        >>> rows.features[:, 0].tolist(), rows.num_clipped
        ([2.0, 0.0, 1.0], 1)
    """
    checks.instance("log", log, Interactions, "data.interactions(...)")
    checks.concrete("log", log)
    bins = check_bins(bins)
    num_groups = checks.whole("num_groups", num_groups, 1)
    mask = np.asarray(checks.mask("log.mask", log.mask, (None, None)))
    shape = mask.shape
    if not mask.any() or (mask[:, 1:] & ~mask[:, :-1]).any():
        raise ValueError("log.mask: expected real steps first in each session, and at least one")
    group = np.asarray(checks.wholes("group", group, 0, num_groups - 1, shape=shape[:1]))
    steps = np.zeros(num_groups, np.int64)
    np.add.at(steps, group, mask.sum(axis=1))
    if (steps == 0).any():
        empty = np.flatnonzero(steps == 0).tolist()
        raise ValueError(f"group: expected sessions of each of {num_groups} groups, got none of "
                         f"{empty}")  # fmt: skip
    nights = np.zeros(shape, bool) if night is None else checks.mask("night", night, shape)
    order = np.argsort(group, kind="stable")
    session, step = np.nonzero(mask[order])
    at = (order[session], step)
    action = np.asarray(checks.wholes("log.actions", np.asarray(log.actions)[at], 0, 1))
    features = np.asarray(log.features, np.float32)[at]
    checks.real("log.features", features, shape=(len(step), None))
    times = np.asarray(log.rewards, np.float32)[at]
    checks.real("log.rewards", times, 0.0, shape=(len(step), 2))
    propensity = np.asarray(log.propensities, np.float32)[at]
    checks.real("log.propensities", propensity, 0.0, 1.0, above=0.0, shape=(len(step),))
    last = np.append(step[1:] == 0, True)
    return LogRows(
        features,
        action,
        times,
        group[at[0]].astype(np.int32),
        step.astype(np.int32),
        np.asarray(nights)[at],
        last,
        propensity,
        np.asarray(np.cumsum(steps) - steps, np.int32),
        np.asarray(steps, np.int32),
        num_clipped=num_clipped(times, bins),
    )


def sample_rows(key: Key, rows: LogRows, batch_size: int) -> LogBatch:
    """Draw rows with replacement, equally many of each group; all may be traced.

    Args:
        key: consumed.
        rows: of :func:`log_rows`.
        batch_size: ``B``, a multiple of ``G``.

    Raises:
        ValueError: for another batch size.
    """
    num_groups = rows.starts.shape[0]
    each, rest = divmod(checks.whole("batch_size", batch_size, 1), num_groups)
    if rest:
        raise ValueError(
            f"batch_size: expected a multiple of the {num_groups} groups, got {batch_size}"
        )
    uniform = jax.random.uniform(key, (num_groups, each))
    counts = jnp.asarray(rows.counts)[:, None]
    inside = jnp.minimum((uniform * counts).astype(jnp.int32), counts - 1)
    at = (jnp.asarray(rows.starts)[:, None] + inside).reshape(-1)
    after = jnp.minimum(at + 1, rows.action.shape[0] - 1)
    take = lambda x, i: jnp.asarray(x)[i]  # noqa: E731
    return LogBatch(
        take(rows.features, at),
        take(rows.group, at),
        take(rows.action, at),
        take(rows.times, at),
        take(rows.night, at),
        take(rows.last, at),
        take(rows.features, after),
    )
