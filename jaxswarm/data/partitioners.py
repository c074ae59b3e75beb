"""Partitioners by label: IID, two Dirichlet schemes, disjoint and consecutive classes, shards.

Every partitioner takes ``(labels, num_agents, *, seed, ...)``, runs on the host and is a pure
function of its arguments. All but :func:`dirichlet_over_classes` assign every sample to exactly one
agent.

Shapes: ``N`` agents, ``S`` samples, ``C`` classes.

References:
    McMahan et al., Communication-efficient learning of deep networks from decentralized data, 2017
    (label shards).
    Hsu, Qi & Brown, Measuring the effects of non-identical data distribution for federated visual
    classification, 2019 (a Dirichlet class distribution for every agent).
    Yurochkin et al., Bayesian nonparametric federated learning of neural networks, 2019 (Dirichlet
    proportions over agents for every class).
"""

import numpy as np

from jaxswarm import checks
from jaxswarm.data.dataset import check_labels, check_seed
from jaxswarm.data.partition import Partition, from_owners, from_rows
from jaxswarm.types import ArrayLike


def iid(labels: ArrayLike, num_agents: int, *, seed: int = 0, balanced: bool = True) -> Partition:
    """Partition samples uniformly at random, with sizes that differ by at most one.

    Args:
        labels: ``[S]`` classes, ``S >= N``.
        num_agents: ``N >= 1``.
        seed: of the shuffle.
        balanced: also spread each class evenly, so that class counts differ by at most one between
            agents; otherwise a plain shuffle.

    Raises:
        ValueError: for bad labels or fewer samples than agents.

    Example:
        >>> from jaxswarm import data
        >>> partition = data.iid([0, 0, 0, 0, 1, 1], 2)
        >>> partition.class_counts([0, 0, 0, 0, 1, 1]).tolist()
        [[2, 1], [2, 1]]
    """
    y, _, num_agents = check_deal(labels, num_agents)
    rng = np.random.default_rng(check_seed(seed))
    balanced = checks.flag("balanced", balanced)
    order = rng.permutation(len(y))
    if balanced:
        order = order[np.argsort(y[order], kind="stable")]
    owners = np.empty(len(y), np.int64)
    owners[order] = rng.permutation(num_agents)[np.arange(len(y)) % num_agents]
    return from_owners(owners, num_agents, name="iid")


def dirichlet_over_agents(
    labels: ArrayLike,
    num_agents: int,
    *,
    seed: int = 0,
    alpha: float = 0.5,
    min_size: int = 1,
    max_draws: int = 10,
) -> Partition:
    """Non-IID partition: every class is split over the agents in Dirichlet(α) proportions.

    Small α gives most of a class to few agents, α → ∞ gives each agent the same share of every
    class. The agents' sizes vary.

    Args:
        labels: ``[S]`` classes.
        num_agents: ``N >= 1``.
        seed: of the proportions and the shuffle.
        alpha: concentration, ``> 0``.
        min_size: minimum number of samples per agent, ``N * min_size <= S``.
        max_draws: maximum number of draws of all proportions to reach ``min_size``. If the last
            draw still misses it (many agents, few samples, small α) random samples are moved from
            the largest agents until it holds, which changes the distribution as little as possible.

    Raises:
        ValueError: for bad labels, ``alpha <= 0``, or too few samples.

    Example:
        >>> from jaxswarm import data
        >>> labels = data.load("digits").train.labels
        >>> partition = data.dirichlet_over_agents(labels, 10, alpha=0.1)
        >>> partition.num_agents, int(partition.counts.sum()) == len(labels)
        (10, True)
    """
    y, classes, num_agents = check_deal(labels, num_agents, min_size=min_size)
    alpha = float(checks.real("alpha", alpha, above=0.0))
    max_draws = checks.whole("max_draws", max_draws, 1)
    rng = np.random.default_rng(check_seed(seed))
    members = [np.flatnonzero(y == c) for c in range(classes)]
    owners = np.zeros(len(y), np.int64)
    for _ in range(max_draws):
        for rows in members:
            # Agents get their shares of a class in random order, so that rounding does not always
            # affect the same ones.
            cuts = np.cumsum(dirichlet(rng, alpha, num_agents))[:-1]
            slot = np.searchsorted(cuts, (np.arange(len(rows)) + 0.5) / max(len(rows), 1))
            owners[rng.permutation(rows)] = rng.permutation(num_agents)[slot]
        if np.bincount(owners, minlength=num_agents).min() >= min_size:
            break
    _top_up(rng, owners, num_agents, min_size)
    return from_owners(owners, num_agents, name=f"dirichlet_over_agents({alpha:g})")


def dirichlet_over_classes(
    labels: ArrayLike,
    num_agents: int,
    *,
    seed: int = 0,
    alpha: float = 0.5,
    size: int | None = None,
) -> Partition:
    """Non-IID partition: each agent draws from its own Dirichlet(α) class distribution.

    Agents draw independently, so samples of different agents **overlap** and some may be held by
    no agent. Draws within a class are without replacement unless an agent needs more samples than
    the class has.

    Args:
        labels: ``[S]`` classes.
        num_agents: ``N >= 1``.
        seed: of the distributions and draws.
        alpha: concentration, ``> 0``; small α means about one class per agent.
        size: samples per agent, the same for all; default ``S // N``. If given, there may be more
            agents than samples.

    Raises:
        ValueError: for bad labels, ``alpha <= 0`` or ``size < 1``.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    y, classes, _ = check_deal(labels, num_agents if size is None else 1)
    alpha = float(checks.real("alpha", alpha, above=0.0))
    each = len(y) // num_agents if size is None else checks.whole("size", size, 1)
    rng = np.random.default_rng(check_seed(seed))
    members = [np.flatnonzero(y == c) for c in range(classes)]
    present = np.array([len(rows) > 0 for rows in members])
    parts = []
    for _ in range(num_agents):
        p = np.zeros(classes)
        p[present] = dirichlet(rng, alpha, int(present.sum()))
        wanted = rng.multinomial(each, p)
        drawn = [
            rng.choice(members[c], k, replace=k > len(members[c]))
            for c, k in enumerate(wanted)
            if k
        ]
        parts.append(np.concatenate(drawn))
    return from_rows(parts, len(y), overlap=True, name=f"dirichlet_over_classes({alpha:g})")


def disjoint_classes(labels: ArrayLike, num_agents: int, *, seed: int = 0) -> Partition:
    """Non-IID partition by class: class ``c`` goes to agent ``c mod N``.

    With more agents than classes, agent ``i`` has an even share of class ``i mod C``.
    Sizes follow the class sizes; :func:`jaxswarm.data.truncated` makes them equal.

    Raises:
        ValueError: for bad labels, fewer samples than agents, or an agent without samples.
    """
    y, classes, num_agents = check_deal(labels, num_agents)
    holders = [
        np.array([c % num_agents])
        if num_agents <= classes
        else np.flatnonzero(np.arange(num_agents) % classes == c)
        for c in range(classes)
    ]
    return _deal_classes(y, holders, num_agents, seed, "disjoint_classes")


def consecutive_classes(
    labels: ArrayLike, num_agents: int, *, seed: int = 0, classes_per_agent: int = 2
) -> Partition:
    """Non-IID partition: each agent has ``k`` consecutive classes, split evenly over their holders.

    Agent ``i`` starts at class ``i mod C``, or at ``⌊iC/N⌋`` when there are fewer agents than
    classes.

    Args:
        labels: ``[S]`` classes.
        num_agents: ``N``, with ``N * k >= C`` so that every class has a holder.
        seed: of the shuffle within a class.
        classes_per_agent: ``k`` in ``[1, C]``.

    Raises:
        ValueError: for bad labels, ``k`` out of range, or a class without holder.
    """
    y, classes, num_agents = check_deal(labels, num_agents)
    k = checks.whole("classes_per_agent", classes_per_agent, 1, classes)
    if num_agents * k < classes:
        raise ValueError(
            f"classes_per_agent: expected at least {-(-classes // num_agents)}, so that "
            f"{num_agents} agents hold all {classes} classes, got {k}"
        )
    ids = np.arange(num_agents)
    starts = ids % classes if num_agents >= classes else ids * classes // num_agents
    held = (np.arange(classes)[None, :] - starts[:, None]) % classes < k  # [N, C]
    holders = [np.flatnonzero(held[:, c]) for c in range(classes)]
    return _deal_classes(y, holders, num_agents, seed, f"consecutive_classes({k})")


def label_shards(
    labels: ArrayLike, num_agents: int, *, seed: int = 0, shards_per_agent: int = 2
) -> Partition:
    """Non-IID partition of FedAvg: sort by label, cut into ``N * s`` equal shards, ``s`` per agent.

    Args:
        labels: ``[S]`` classes, ``S >= N * s``.
        num_agents: ``N >= 1``.
        seed: of the shuffle within a class and of the assignment.
        shards_per_agent: ``s >= 1``; an agent holds about ``s`` classes.

    Raises:
        ValueError: for bad labels, ``s < 1``, or fewer samples than shards.
    """
    shards_per_agent = checks.whole("shards_per_agent", shards_per_agent, 1)
    y, _, num_agents = check_deal(labels, num_agents, min_size=shards_per_agent)
    rng = np.random.default_rng(check_seed(seed))
    order = rng.permutation(len(y))
    order = order[np.argsort(y[order], kind="stable")]
    shards = np.array_split(order, num_agents * shards_per_agent)
    deal = rng.permutation(len(shards)).reshape(num_agents, shards_per_agent)
    parts = [np.sort(np.concatenate([shards[s] for s in hand])) for hand in deal]
    return from_rows(parts, len(y), name=f"label_shards({shards_per_agent})")


def check_deal(
    labels: ArrayLike, num_agents: int, *, min_size: int = 1
) -> tuple[np.ndarray, int, int]:
    """Validate labels and that every agent can get ``min_size`` samples: ``(int32[S], C, N)``.

    Raises:
        ValueError: for bad labels, ``num_agents < 1``, ``min_size < 1`` or ``S < N * min_size``.
    """
    y, classes = check_labels(labels)
    num_agents = checks.whole("num_agents", num_agents, 1)
    min_size = checks.whole("min_size", min_size, 1)
    if len(y) < num_agents * min_size:
        raise ValueError(
            f"num_agents: expected at least {min_size} samples for each of {num_agents} agents,"
            f" got {len(y)} samples in all"
        )
    return y, classes, num_agents


def dirichlet(rng: np.random.Generator, alpha: float, size: int) -> np.ndarray:
    """Dirichlet(α·1) proportions ``[size]``, also for tiny or huge α where numpy's draw fails."""
    p = rng.dirichlet(np.full(size, alpha)) if alpha < 1e8 else np.full(size, 1.0 / size)
    if not np.isfinite(p).all() or p.sum() <= 0:  # α so small that every gamma draw underflows
        p = np.zeros(size)
        p[rng.integers(size)] = 1.0
    return p / p.sum()


def _top_up(rng: np.random.Generator, owners: np.ndarray, num_agents: int, min_size: int) -> None:
    """Move random samples from the largest agents to those below ``min_size``, in place."""
    counts = np.bincount(owners, minlength=num_agents)
    while counts.min() < min_size:
        largest, smallest = int(np.argmax(counts)), int(np.argmin(counts))
        owners[rng.choice(np.flatnonzero(owners == largest))] = smallest
        counts[largest] -= 1
        counts[smallest] += 1


def _deal_classes(
    y: np.ndarray, holders: list[np.ndarray], num_agents: int, seed: int, name: str
) -> Partition:
    """Split each class evenly over its holders; odd samples go to random holders of the class."""
    rng = np.random.default_rng(check_seed(seed))
    owners = np.zeros(len(y), np.int64)
    for c, ids in enumerate(holders):
        rows = rng.permutation(np.flatnonzero(y == c))
        owners[rows] = rng.permutation(ids)[np.arange(len(rows)) % len(ids)]
    return from_owners(owners, num_agents, name=name)
