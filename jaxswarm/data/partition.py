"""The assignment of samples to agents: the :class:`Partition` pytree and functions on it.

Shapes: ``N`` agents, ``S`` samples, ``M`` sample slots of the largest agent, ``C`` classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.data.dataset import check_labels, check_seed
from jaxswarm.types import ArrayLike


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Partition:
    """Rows of a data set assigned to agents, padded to the largest agent; numpy arrays.

    Attributes:
        indices: ``int32[N, M]``, rows of the data set. Padding slots repeat the agent's first row
            (0 for an agent without data), so that a gather never leaves the data set.
        mask: ``bool[N, M]``, false on padding slots; an agent's own slots come first.
        counts: ``int32[N]``, samples per agent, the row sums of ``mask``; 0 for an agent without
            data.
        skew: ``None``, or the distortion of each agent's features
            (:class:`jaxswarm.data.FeatureSkew`).
        overlap: static; whether a row may appear more than once (resampling partitioners).
        name: static; the partitioner, for tables and messages.
    """

    indices: Any
    mask: Any
    counts: Any
    skew: Any = None
    overlap: bool = field(default=False, metadata={"static": True})
    name: str = field(default="partition", metadata={"static": True})

    @property
    def num_agents(self) -> int:
        """Number of agents ``N``."""
        return self.indices.shape[0]

    @property
    def capacity(self) -> int:
        """Number of sample slots ``M`` of the largest agent."""
        return self.indices.shape[1]

    def rows(self, agent: int) -> np.ndarray:
        """Rows that ``agent`` holds, ``int32[counts[agent]]`` (host side).

        Raises:
            ValueError: if there is no such agent.
        """
        agent = checks.index("agent", agent, self.num_agents)
        return np.asarray(self.indices)[agent, : int(self.counts[agent])]

    def class_counts(self, labels: ArrayLike, num_classes: int | None = None) -> np.ndarray:
        """Number of samples per agent and class, ``int64[N, C]`` (host side).

        Raises:
            ValueError: for bad labels, or fewer than there are rows.
        """
        y, classes = check_labels(labels, num_classes)
        _expect_rows(self, y)
        table = np.zeros((self.num_agents, classes), np.int64)
        agents = np.broadcast_to(np.arange(self.num_agents)[:, None], self.indices.shape)
        mask = np.asarray(self.mask)
        np.add.at(table, (agents[mask], y[np.asarray(self.indices)[mask]]), 1)
        return table

    def describe(self, labels: ArrayLike | None = None) -> str:
        """Summary in one line: sizes and, given ``labels``, the skew of the classes."""
        counts = np.asarray(self.counts)
        text = (
            f"{self.name}: {counts.sum()} samples over {self.num_agents} agents"
            f" (min {counts.min()}, median {int(np.median(counts))}, max {counts.max()})"
        )
        empty = int((counts == 0).sum())
        if empty:
            text += f", {empty} without data"
        if self.overlap:
            text += ", overlapping"
        if labels is not None:
            table = self.class_counts(labels)
            held = (table > 0).sum(axis=1)[counts > 0]
            share = (table.max(axis=1) / np.maximum(counts, 1))[counts > 0]
            if len(held):
                text += (
                    f"; {held.mean():.1f} of {table.shape[1]} classes per agent,"
                    f" largest class {share.mean():.0%} of an agent's data"
                )
        return text


def from_rows(
    rows: Sequence[ArrayLike],
    num_samples: int,
    *,
    overlap: bool = False,
    allow_empty: bool = False,
    name: str = "partition",
) -> Partition:
    """Build a validated partition from one vector of row numbers per agent.

    Args:
        rows: ``N`` integer vectors; their order is kept.
        num_samples: ``S``, the size of the data set.
        overlap: whether rows may repeat.
        allow_empty: whether an agent may be without data.
        name: for tables and messages.

    Raises:
        ValueError: without agents, for rows that are no integers or lie outside ``[0, S)``,
            repeated rows without ``overlap``, agents without data unless allowed, or no data at
            all.
    """
    if checks.is_traced(rows) or not hasattr(rows, "__len__") or isinstance(rows, str | dict):
        raise ValueError(f"rows: expected one vector of rows per agent, got {checks.shown(rows)}")
    if not len(rows):
        raise ValueError(f"{name}: expected at least one agent, got none")
    num_samples = checks.whole("num_samples", num_samples)
    overlap, allow_empty = checks.flag("overlap", overlap), checks.flag("allow_empty", allow_empty)
    parts = [_row_numbers(f"{name}: rows of agent {i}", part) for i, part in enumerate(rows)]
    counts = np.array([len(part) for part in parts], np.int32)
    if not counts.sum():
        raise ValueError(f"{name}: expected at least one sample, got an empty partition")
    if not allow_empty and (counts == 0).any():
        raise ValueError(
            f"{name}: expected at least one sample per agent, got none for agent "
            f"{int(np.argmin(counts))} ({int((counts == 0).sum())} such agents of {len(parts)})"
        )
    flat = np.concatenate(parts)
    if flat.min() < 0 or flat.max() >= num_samples:
        bad = flat[(flat < 0) | (flat >= num_samples)][0]
        raise ValueError(f"{name}: expected rows in [0, {num_samples}), got {bad}")
    if not overlap and len(np.unique(flat)) != len(flat):
        values, repeats = np.unique(flat, return_counts=True)
        raise ValueError(
            f"{name}: expected every row once, got row {values[repeats > 1][0]} more than once"
        )
    mask = np.arange(counts.max())[None, :] < counts[:, None]
    first = np.array([part[0] if len(part) else 0 for part in parts], np.int32)
    indices = np.repeat(first[:, None], counts.max(), axis=1)
    indices[mask] = flat
    return Partition(indices, mask, counts, overlap=overlap, name=name)


def _row_numbers(name: str, part: ArrayLike) -> np.ndarray:
    wanted = "a vector of whole numbers"
    array = checks.as_array(name, part, wanted)
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected {wanted}, got {checks.shown(array)}")
    return array.reshape(-1).astype(np.int64)


def from_owners(owners: ArrayLike, num_agents: int, *, name: str = "partition") -> Partition:
    """Build the partition in which row ``s`` belongs to agent ``owners[s]``.

    Args:
        owners: ``int[S]`` in ``[0, N)``; every agent must own at least one row.
        num_agents: ``N``.
        name: for tables and messages.

    Raises:
        ValueError: as :func:`from_rows`, or if an owner is outside ``[0, N)``.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    owner = _row_numbers(f"{name}: owners", owners)
    if owner.size and (owner.min() < 0 or owner.max() >= num_agents):
        bad = owner[(owner < 0) | (owner >= num_agents)][0]
        raise ValueError(f"{name}: expected owners in [0, {num_agents}), got {bad}")
    order = np.argsort(owner, kind="stable")
    cuts = np.cumsum(np.bincount(owner, minlength=num_agents))[:-1]
    return from_rows(np.split(order, cuts), len(owner), name=name)


def without_data(partition: Partition, agents: ArrayLike, *, redeal: bool = False) -> Partition:
    """Remove the data of some agents.

    Args:
        partition: of ``N`` agents.
        agents: ids of the agents, or ``bool[N]``.
        redeal: assign the removed samples to the other agents, round robin, so that the total stays
            the same; without it they are dropped.

    Raises:
        ValueError: if an id is no integer or out of range, or no agent would keep data.
    """
    check_partition(partition)
    redeal = checks.flag("redeal", redeal)
    n = partition.num_agents
    chosen = checks.as_array("agents", agents, f"bool[{n}] or agent ids")
    if chosen.dtype == bool:
        if chosen.shape != (n,):
            raise ValueError(f"agents: expected bool[{n}] or agent ids, got shape {chosen.shape}")
        chosen = np.flatnonzero(chosen)
    chosen = _row_numbers("agents", chosen)
    if chosen.size and (chosen.min() < 0 or chosen.max() >= n):
        raise ValueError(f"agents: expected ids in [0, {n}), got {chosen.tolist()}")
    bare = np.isin(np.arange(n), chosen)
    if not np.asarray(partition.counts)[~bare].sum():
        raise ValueError("agents: expected at least one agent to keep its data, got all of them")
    rows = [partition.rows(i) for i in range(n)]
    if redeal and bare.any():
        freed = np.concatenate([rows[i] for i in np.flatnonzero(bare)])
        receivers = np.flatnonzero(~bare)
        for position, receiver in enumerate(receivers):
            rows[receiver] = np.concatenate([rows[receiver], freed[position :: len(receivers)]])
    for i in np.flatnonzero(bare):
        rows[i] = np.zeros(0, np.int64)
    size = int(np.asarray(partition.indices).max()) + 1
    result = from_rows(rows, size, overlap=partition.overlap, allow_empty=True, name=partition.name)
    name = f"{partition.name}, {int(bare.sum())} without data"
    return replace(result, skew=partition.skew, name=name)


def truncated(
    partition: Partition,
    size: int | None = None,
    *,
    labels: ArrayLike | None = None,
    seed: int = 0,
) -> Partition:
    """Keep at most ``size`` samples per agent, by default the smallest count of an agent with data.

    What is kept has the distribution of what was there: one random sample of each of ``size`` equal
    stretches of an agent's rows, so that a set that is stored class by class keeps its class shares
    to within two samples a class. With ``labels`` the choice is stratified: any set keeps its class
    shares to within one.

    Args:
        partition: of ``N`` agents.
        size: largest number of samples, at least 1.
        labels: ``[S]`` classes of the data set's rows.
        seed: of the choice; an agent's choice depends on its id and ``seed`` alone.

    Raises:
        ValueError: if ``size < 1``, or for bad labels.

    Example:
        >>> from jaxswarm import data
        >>> labels = [0] * 30 + [1] * 10
        >>> partition = data.truncated(data.iid(labels, 2), 8)
        >>> partition.class_counts(labels).tolist()
        [[6, 2], [6, 2]]
    """
    check_partition(partition)
    seed = check_seed(seed)
    counts = np.asarray(partition.counts)
    limit = int(counts[counts > 0].min()) if size is None else checks.whole("size", size, 1)
    width = min(limit, partition.capacity)
    classes = None if labels is None else _classes_of(partition, labels)
    indices = np.asarray(partition.indices)[:, :width].copy()
    for agent in np.flatnonzero(counts > width):
        rows = partition.rows(int(agent))
        rng = np.random.default_rng([seed, int(agent)])
        if classes is None:
            ends = np.arange(width + 1) * len(rows) // width
            kept = rng.integers(ends[:-1], ends[1:])
        else:
            order = rng.permutation(len(rows))
            order = order[np.argsort(classes[rows[order]], kind="stable")]
            places = (np.arange(width) + rng.random()) * (len(rows) / width)
            kept = np.sort(order[np.minimum(places.astype(np.int64), len(rows) - 1)])
        indices[agent] = rows[kept]
    return replace(
        partition,
        indices=indices,
        mask=np.asarray(partition.mask)[:, :width],
        counts=np.minimum(counts, width).astype(np.int32),
    )


def check_partition(partition: Partition, name: str = "partition") -> None:
    """Refuse what is no partition, or a traced one.

    Raises:
        ValueError: naming the argument and what came.
    """
    if not isinstance(partition, Partition):
        raise ValueError(
            f"{name}: expected a Partition, as jaxswarm.data.iid returns, got "
            f"{checks.shown(partition)}"
        )
    checks.concrete(name, partition)


def _classes_of(partition: Partition, labels: ArrayLike) -> np.ndarray:
    y, _ = check_labels(labels)
    _expect_rows(partition, y)
    return y


def _expect_rows(partition: Partition, labels: np.ndarray) -> None:
    largest = int(np.asarray(partition.indices).max())
    if largest >= len(labels):
        raise ValueError(
            f"labels: expected those of at least {largest + 1} samples, got {len(labels)}"
        )
