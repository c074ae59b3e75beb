"""Random graph families: regular, Erdős–Rényi, Barabási–Albert, Watts–Strogatz, geometric.

The same ``seed`` gives the same graph. ``connected=True`` (the default) draws again, a bounded
number of times, until the graph is connected.

References:
    Erdős, Rényi, On random graphs, 1959. Watts, Strogatz, Collective dynamics of “small-world”
    networks, 1998. Barabási, Albert, Emergence of scaling in random networks, 1999. McKay, Wormald,
    Uniform generation of random regular graphs of moderate degree, 1990 (pairing and switching).
    Penrose, Random geometric graphs, 2003.
"""

from collections.abc import Callable

import numpy as np

from jaxswarm import checks
from jaxswarm.topology.graph import Topology, from_edges
from jaxswarm.topology.validation import components, is_connected

ATTEMPTS = 32  # draws before a family gives up on being connected


def random_regular(
    num_agents: int, degree: int, *, seed: int = 0, connected: bool = True
) -> Topology:
    """Draw a random regular graph: every agent has ``degree`` random neighbours.

    Stubs are paired at random, and offending pairs (loops, repeats) are switched with random others
    until none is left; vectorised, so 100,000 agents take a fraction of a second. For degrees from
    3 on such graphs are expanders and almost surely connected.

    Example:
        >>> random_regular(100, 4, seed=1)
        Topology('random_regular', 100 agents, 400 directed edges)

    Raises:
        ValueError: if ``degree`` is outside ``[0, N - 1]``, ``N * degree`` is odd, or no connected
            graph was found.
    """
    n = checks.whole("num_agents", num_agents, 1)
    degree = checks.whole("degree", degree, 0, n - 1)
    if n * degree % 2:
        raise ValueError(f"degree: expected num_agents * degree to be even, got {n} * {degree}")

    def draw(rng: np.random.Generator) -> Topology:
        if 2 * degree > n - 1:  # dense: the complement is sparse and as random
            avoid = _regular_pairs(rng, n, n - 1 - degree)
            first, second = np.triu_indices(n, k=1)
            kept = ~np.isin(first * n + second, avoid.min(axis=1) * n + avoid.max(axis=1))
            pairs = np.stack([first[kept], second[kept]], axis=1)
        else:
            pairs = _regular_pairs(rng, n, degree)
        return from_edges(pairs, n, name="random_regular")

    return _drawn(draw, seed, connected, f"random_regular({n}, {degree})")


def erdos_renyi(
    num_agents: int, probability: float, *, seed: int = 0, connected: bool = True
) -> Topology:
    """Draw an Erdős–Rényi graph: each possible undirected edge exists with the given probability.

    Connected graphs are likely above ``log(N) / N``.

    Raises:
        ValueError: if ``probability`` is outside ``[0, 1]``, or no connected graph was found.
    """
    n = checks.whole("num_agents", num_agents, 1)
    checks.probability("probability", checks.concrete("probability", probability))
    total = n * (n - 1) // 2

    def draw(rng: np.random.Generator) -> Topology:
        codes = rng.choice(total, rng.binomial(total, probability), replace=False) if total else []
        return from_edges(_pairs_of_codes(np.asarray(codes, np.int64)), n, name="erdos_renyi")

    return _drawn(draw, seed, connected, f"erdos_renyi({n}, {probability})")


def barabasi_albert(num_agents: int, attachments: int, *, seed: int = 0) -> Topology:
    """Draw a scale-free graph: each new agent attaches to ``attachments`` others by their degree.

    Preferential attachment (Barabási–Albert). Always connected.

    Raises:
        ValueError: unless ``1 <= attachments < N``.
    """
    import networkx as nx

    n = checks.whole("num_agents", num_agents, 1)
    attachments = checks.whole("attachments", attachments, 1, n - 1)
    graph = nx.barabasi_albert_graph(n, attachments, seed=int(generator(seed, 0).integers(2**31)))
    return from_edges(np.array(graph.edges, np.int64), n, name="barabasi_albert")


def watts_strogatz(
    num_agents: int, degree: int, probability: float, *, seed: int = 0, connected: bool = True
) -> Topology:
    """Draw a small-world graph: a ring of ``degree`` nearest neighbours, edges rewired at random.

    Args:
        num_agents: ``N``.
        degree: neighbours before rewiring, even, below ``N``.
        probability: chance in ``[0, 1]`` that an edge gets a random other end.
        seed: of the generator.
        connected: draw again until the graph is connected.

    Raises:
        ValueError: on arguments out of range, or if no connected graph was found.
    """
    import networkx as nx

    n = checks.whole("num_agents", num_agents, 1)
    degree = checks.whole("degree", degree, 0, n - 1)
    if degree % 2:
        raise ValueError(
            f"degree: expected an even number from 0 to num_agents - 1 = {n - 1}, got {degree}"
        )
    checks.probability("probability", checks.concrete("probability", probability))

    def draw(rng: np.random.Generator) -> Topology:
        graph = nx.watts_strogatz_graph(n, degree, probability, seed=int(rng.integers(2**31)))
        return from_edges(np.array(graph.edges, np.int64), n, name="watts_strogatz")

    return _drawn(draw, seed, connected, f"watts_strogatz({n}, {degree}, {probability})")


def random_geometric(
    num_agents: int,
    radius: float,
    *,
    max_degree: int | None = None,
    positions: np.ndarray | None = None,
    seed: int = 0,
    connected: bool = True,
    repair: bool = False,
) -> Topology:
    """Draw a random geometric graph: points of the unit square, joined when closer than ``radius``.

    Args:
        num_agents: ``N``.
        radius: positive.
        max_degree: cap on the number of neighbours; shorter edges are kept first.
        positions: ``[N, D]`` points to use instead of random ones (nothing is drawn then).
        seed: of the generator.
        connected: draw again until the graph is connected.
        repair: instead of drawing again, join each component to the nearest agent outside it, in
            the order of size; such an edge may be longer than ``radius`` and, where every candidate
            is at its cap, exceed ``max_degree`` by it.

    Raises:
        ValueError: on arguments out of range, or if no connected graph was found.
    """
    n = checks.whole("num_agents", num_agents, 1)
    radius = float(checks.real("radius", checks.concrete("radius", radius), above=0.0))
    if max_degree is not None:
        max_degree = checks.whole("max_degree", max_degree, 1)
    checks.flag("repair", repair)
    given = None
    if positions is not None:
        checks.real("positions", checks.concrete("positions", positions), shape=(n, None))
        given = np.asarray(positions, float)

    def draw(rng: np.random.Generator) -> Topology:
        points = rng.random((n, 2)) if given is None else given
        pairs = _close_pairs(points, radius, max_degree)
        if repair:
            pairs = _joined_components(points, pairs, max_degree)
        return from_edges(pairs, n, name="random_geometric")

    what = f"random_geometric({n}, {radius})" + (" at the given positions" * (given is not None))
    return _drawn(draw, seed, connected, what, attempts=1 if given is not None else ATTEMPTS)


def _drawn(
    draw: Callable[[np.random.Generator], Topology],
    seed: int,
    connected: bool,
    what: str,
    attempts: int = ATTEMPTS,
) -> Topology:
    checks.flag("connected", connected)
    last = ""
    for attempt in range(attempts if connected else 1):
        topology = draw(generator(seed, attempt))
        if not connected or is_connected(topology):
            return topology
        last = f"{components(topology).max() + 1} components"
    raise ValueError(
        f"{what}: no connected graph in {attempts} draws from seed {seed} (the last had {last}); "
        "ask for more edges, or pass connected=False"
    )


def generator(seed: int, attempt: int) -> np.random.Generator:
    """Random generator of one attempt of a seed.

    Raises:
        ValueError: if the seed is no whole number of at least 0.
    """
    return np.random.default_rng([checks.whole("seed", seed, 0, 2**63 - 1), attempt])


def _regular_pairs(rng: np.random.Generator, n: int, degree: int) -> np.ndarray:
    """Pairing model with switchings, ``[n * degree / 2, 2]``."""
    stubs = np.repeat(np.arange(n, dtype=np.int64), degree)
    while True:
        pairs = rng.permutation(stubs).reshape(-1, 2)
        for _ in range(200):
            bad = _offending(pairs, n)
            if not len(bad):
                return pairs
            partners = rng.integers(len(pairs), size=len(bad) + 2)
            chosen = np.union1d(bad, partners)
            pairs[chosen] = rng.permutation(pairs[chosen].ravel()).reshape(-1, 2)


def _offending(pairs: np.ndarray, n: int) -> np.ndarray:
    codes = pairs.min(axis=1) * n + pairs.max(axis=1)
    order = np.argsort(codes, kind="stable")
    repeated = order[1:][codes[order][1:] == codes[order][:-1]]
    return np.union1d(repeated, np.flatnonzero(pairs[:, 0] == pairs[:, 1]))


def _pairs_of_codes(codes: np.ndarray) -> np.ndarray:
    """The ``c``-th pair ``(i, j)``, ``i < j``, in the order (0,1), (0,2), (1,2), (0,3), ..."""
    second = ((1 + np.sqrt(1 + 8 * codes.astype(float))) / 2).astype(np.int64)
    second -= second * (second - 1) // 2 > codes  # the square root may be off by one either way
    second += second * (second + 1) // 2 <= codes
    return np.stack([codes - second * (second - 1) // 2, second], axis=1)


def _close_pairs(points: np.ndarray, radius: float, cap: int | None) -> np.ndarray:
    from scipy.spatial import KDTree

    pairs = KDTree(points).query_pairs(radius, output_type="ndarray").astype(np.int64)
    if cap is None:
        return pairs
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    degrees = [0] * len(points)
    kept = []
    for a, b in pairs[np.argsort(lengths, kind="stable")].tolist():
        if degrees[a] < cap and degrees[b] < cap:
            degrees[a] += 1
            degrees[b] += 1
            kept.append((a, b))
    return np.array(kept, np.int64).reshape(-1, 2)


def _joined_components(points: np.ndarray, pairs: np.ndarray, cap: int | None) -> np.ndarray:
    """Add the shortest edge from the smallest component to the rest until one component is left."""
    from scipy.spatial import KDTree

    n = len(points)
    labels = components(from_edges(pairs, n))
    degrees = np.bincount(pairs.ravel(), minlength=n)
    added = [pairs]
    while labels.max() > 0:
        sizes = np.bincount(labels, minlength=labels.max() + 1)
        smallest = np.argmin(np.where(sizes > 0, sizes, n + 1))
        if sizes[smallest] == n:
            break
        inside = np.flatnonzero(labels == smallest)
        outside = np.flatnonzero(labels != smallest)
        if cap is not None:
            inside, outside = _with_room(inside, degrees, cap), _with_room(outside, degrees, cap)
        distance, index = KDTree(points[outside]).query(points[inside])
        best = int(np.argmin(distance))
        ends = inside[best], outside[int(np.asarray(index)[best])]
        degrees[list(ends)] += 1
        added.append(np.array([ends], np.int64))
        labels[labels == smallest] = labels[ends[1]]
    return np.concatenate(added)


def _with_room(agents: np.ndarray, degrees: np.ndarray, cap: int) -> np.ndarray:
    free = agents[degrees[agents] < cap]
    return free if len(free) else agents
