"""Runs of the Web3Recommend experiment: Sybil gains, relevance, and views from gossip.

Every user ranks items by its own walks from items to users that the previous user trusts. Arms:

* **SALSA**: a walk over affinities alone, which returns to the root with probability .02: the
  paper's baseline without trust.
* **merged PageRank**: PageRank of one graph of all users and items, a Sybil counts as a user.
* **trust**: walks restricted by trust that only stop where there is no candidate or at a limit.
* **alpha**: they stop with probability .1 before each step (transitivity decay).
* **full**: and scores of items behind a bottleneck are lowered by beta (connectivity decay).

Three parts. *Attacks*: one user that the root trusts makes a chain, a star or a cycle of Sybils;
many users attack at once, with and without camouflage. *Relevance*: the favorite of every user is
hidden and searched in its list. *Gossip*: nodes exchange a few timestamped edges a round, each
ranks by what it has received.

In a first recorded run with four attacked users a repetition 15 of 19 claims held and the intervals
of two crossed their thresholds; hence ten. No threshold moved.

Shapes: ``S`` seeds, ``R`` roots, ``C`` numbers of Sybils.

References:
    R. Madhwal, J. Pouwelse, Web3Recommend: decentralised recommendations with trust and relevance,
    2023.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.web3recommend import worlds
from experiments.web3recommend.config import Config
from jaxswarm.trust import graphs, walks

SALSA, MERGED, TRUST, ALPHA, FULL = "SALSA", "merged PageRank", "trust", "alpha", "full"
ARMS = (SALSA, MERGED, TRUST, ALPHA, FULL)
POPULARITY = "popularity"
AGGRESSIVE = 10.0  # affinity of an aggressive attacker to promoted items, over the mean of an edge
RESTART = 0.02  # of SALSA
MERGED_ALPHA = 0.15  # of the merged PageRank
PERSISTENCE = 0.9  # of rank-biased overlap
ROOTS = 128  # that walk side by side, so that their records fit into memory


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run the three parts.

    Returns:
        ``gain {shape: {arm: [S, C]}}``, promoted items' share of the scores, means over roots;
        ``aggressive {shape: {arm: [S]}}`` with the most Sybils; ``many {share: {arm: [S]}}`` and
        ``camouflaged`` alike; ``example``, see :func:`example`; ``relevance``, see
        :func:`run_relevance`; ``gossip``, see :func:`run_gossip`.
    """
    seeds = [config.seed * 1000 + s for s in range(config.seeds)]
    progress("honest networks")
    honest = [worlds.honest(config, seed) for seed in seeds]
    results: dict[str, Any] = {"gain": {}, "aggressive": {}, "many": {}, "camouflaged": {}}
    cases = [(count, 1.0) for count in config.sybils] + [(config.sybils[-1], AGGRESSIVE)]
    progress("attacks: SALSA, which sees no trust and so no shape")
    salsa = [salsa_gains(config, seeds, honest, *case) for case in cases]
    for shape in graphs.SHAPES:
        progress(f"attacks: {shape}")
        gains = [
            {SALSA: known} | run_attack(config, seeds, honest, shape, *case)
            for known, case in zip(salsa, cases, strict=True)
        ]
        *by_count, results["aggressive"][shape] = gains
        results["gain"][shape] = jax.tree.map(lambda *each: np.stack(each, axis=1), *by_count)
    for share in config.many:
        progress(f"attacks: {share:.0%} of the users")
        name = f"{100 * share:g}"
        results["many"][name] = run_many(config, seeds, honest, share)
        results["camouflaged"][name] = run_many(config, seeds, honest, share, worlds.CAMOUFLAGE)
    results["example"] = example(config, seeds[0], honest[0])
    progress("relevance")
    results["relevance"] = run_relevance(config, seeds)
    progress("gossip")
    results["gossip"] = run_gossip(config, seeds[0], honest[0])
    return results


def salsa_gains(
    config: Config, seeds: list[int], honest: list[worlds.World], count: int, factor: float
) -> np.ndarray:
    """Gains ``[S]`` under SALSA of one attacker per root with ``count`` Sybils of any shape."""
    program = _program(config, "salsa of each")
    found = []
    for seed, world in zip(seeds, honest, strict=True):
        roots, cases = _attacks(config, seed, world, "chain", count, factor)
        scores = program(worlds.stacked([case.network for case in cases]), roots)
        found.append(_share(scores, cases[0].items).mean())
    return np.array(found)


def run_attack(
    config: Config, seeds: list[int], honest: list[worlds.World], shape: str, count: int,
    factor: float,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Gains ``{arm: [S]}`` of one attacker per root with ``count`` Sybils, without SALSA's."""
    program = _program(config, "walks of each")
    found = []
    for seed, world in zip(seeds, honest, strict=True):
        roots, cases = _attacks(config, seed, world, shape, count, factor)
        networks = worlds.stacked([case.network for case in cases])
        scores = program(jax.random.key(seed), networks, roots)
        gains = {arm: _share(x, cases[0].items).mean() for arm, x in scores.items()}
        found.append(gains | {MERGED: merged_gain(cases[0])})
    return {arm: np.array([each[arm] for each in found]) for arm in found[0]}


def run_many(
    config: Config, seeds: list[int], honest: list[worlds.World], share: float, camouflage: int = 0
) -> dict[str, np.ndarray]:
    """Gains ``{arm: [S]}`` where a share of the users attacks with chains of Sybils."""
    found = []
    for seed, world in zip(seeds, honest, strict=True):
        users = world.network.num_users
        order = np.random.default_rng([seed, 2]).permutation(users)
        attackers = np.sort(order[: max(1, round(share * users))])
        case = worlds.attacked(
            world, config, attackers, config.many_sybils, "chain", camouflage=camouflage, seed=seed
        )
        scores = all_scores(config, seed, case.network, order[-config.roots :])
        gains = {arm: _share(x, case.items).mean() for arm, x in scores.items()}
        found.append(gains | {MERGED: merged_gain(case)})
    return {arm: np.array([each[arm] for each in found]) for arm in ARMS}


def all_scores(
    config: Config, seed: int, network: graphs.TrustNetwork, roots: np.ndarray
) -> dict[str, jax.Array]:
    """Scores of the items of several roots of one network ``{arm: [R, I]}``."""
    rows = np.resize(roots, -(-len(roots) // ROOTS) * ROOTS if len(roots) > ROOTS else len(roots))
    scores = [
        _program(config, "walks")(jax.random.key(seed + i), network, part)
        for i, part in enumerate(np.split(rows, max(1, len(rows) // ROOTS)))
    ]
    joined = jax.tree.map(lambda *parts: np.concatenate(parts)[: len(roots)], *scores)
    return joined | {SALSA: _program(config, "salsa")(network, roots)}


def merged_gain(case: graphs.Attacked) -> float:
    """Share of the promoted items in the PageRank of the merged graph, mean over users as roots."""
    users = case.network.num_users
    visits = worlds.visits_from_any_user(case.network, MERGED_ALPHA)[users:]
    return float(visits[case.items].sum() / visits.sum())


def example(config: Config, seed: int, world: worlds.World) -> dict[str, np.ndarray]:
    """Trust within two steps of an attacked root, for the figure.

    Returns:
        ``edges int[E, 2]``; ``role int[U]``: 0 user, 1 root, 2 attacker, 3 Sybil.
    """
    root, attacker = worlds.targets(world, config, seed)[0]
    case = worlds.attacked(world, config, np.array([attacker]), config.sybils[1], "chain")
    edges = graphs.edge_list(case.network.trust)[0]
    near = np.append(edges[edges[:, 0] == root, 1], root)
    kept = np.isin(edges[:, 0], near) | case.sybils[edges[:, 0]]
    role = 3 * case.sybils.astype(int)
    role[root], role[attacker] = 1, 2
    return {"edges": edges[kept], "role": role}


def run_relevance(config: Config, seeds: list[int]) -> dict[str, Any]:
    """Search the hidden favorite of every user in the first items of its list.

    Returns:
        ``hits {arm: [S]}``, share of users whose list of items that are new to them has it;
        ``overlap [S]``, mean rank-biased overlap of the lists of full and alpha.
    """
    hits: dict[str, list[float]] = {arm: [] for arm in (SALSA, TRUST, ALPHA, FULL, POPULARITY)}
    overlaps = []
    for seed in seeds:
        world = worlds.honest(config, seed, hide=True)
        network = world.network
        roots = np.arange(network.num_users)
        found = all_scores(config, seed, network, roots)
        found[POPULARITY] = jnp.broadcast_to(world.popularity, (len(roots), network.num_items))
        lists = {arm: _new_items(network, roots, scores) for arm, scores in found.items()}
        for arm, order in lists.items():
            hit = (order[:, : config.top] == world.hidden[roots, None]).any(axis=1)
            hits[arm].append(float(hit.mean()))
        overlaps.append(rank_biased_overlap(lists[FULL][:, :100], lists[ALPHA][:, :100]).mean())
    return {"hits": {k: np.array(v) for k, v in hits.items()}, "overlap": np.array(overlaps)}


def run_gossip(config: Config, seed: int, world: worlds.World) -> dict[str, np.ndarray]:
    """Rank by the edges that nodes have received, against ranking by all edges.

    Scores are expected visits, the limit of many walks, so that views alone make the difference.

    Returns:
        ``rounds [P]``; ``overlap [P, R]``, share of the first items that are new to a user by all
        edges that are also first by its own view; ``stored [P]``, mean share of all
        edges that a node holds.
    """
    network, key = world.network, jax.random.key(seed)
    users = network.num_users
    counts = [len(graphs.edge_list(graph)[0]) for graph in _graphs(network)]
    views = tuple(
        graphs.own_edges(graph, min(config.window, count))
        for graph, count in zip(_graphs(network), counts, strict=True)
    )
    roots = np.random.default_rng(seed).permutation(users)[: config.gossip_roots]
    by_all_edges = functools.partial(walks.expected_item_visits, alpha=config.alpha)
    scores = jit_fast_compile(by_all_edges, level=1, plain=True)(network, roots)
    complete = _new_items(network, roots, scores)[:, : config.top]

    def gossip(views: Any, rounds: jax.Array) -> Any:
        def step(views: Any, t: jax.Array) -> Any:
            keys = jax.random.split(jax.random.fold_in(key, t), 3)
            partners = jax.random.randint(keys[0], (users,), 0, users)
            return tuple(
                graphs.gossip_edges(k, view, partners, num_edges=config.gossip_edges)
                for k, view in zip(keys[1:], views, strict=True)
            ), None

        return jax.lax.scan(step, views, rounds)[0]

    def own_scores(views: Any, root: jax.Array) -> jax.Array:
        seen = graphs.trust_network(
            *(
                graphs.view_graph(view, root, like=graph)[0]
                for view, graph in zip(views, _graphs(network), strict=True)
            )
        )
        return walks.expected_item_visits(seen, root[None], alpha=config.alpha)[0]

    gossip = jit_fast_compile(gossip, level=1, plain=True)
    own_scores = jit_fast_compile(own_scores, level=1, plain=True)
    marks = np.unique(np.linspace(0, config.gossip_rounds, 7).astype(int))
    overlap, stored = [], []
    for start, stop in zip([0, *marks[:-1]], marks, strict=True):
        if stop > start:
            views = gossip(views, jnp.arange(start, stop))
        scores = np.stack([np.asarray(own_scores(views, root)) for root in roots])
        lists = _new_items(network, roots, scores)[:, : config.top]
        lists[np.take_along_axis(scores, lists, axis=1) <= 0] = -1  # nothing known of them
        overlap.append([np.isin(a, b).mean() for a, b in zip(complete, lists, strict=True)])
        held = sum(np.mean(np.sum(np.asarray(view.time) >= 0, axis=1)) for view in views)
        stored.append(held / sum(counts))
    return {"rounds": marks, "overlap": np.array(overlap), "stored": np.array(stored)}


def rank_biased_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank-biased overlap ``[R]`` of lists ``[R, K]``, scaled so that equal lists have 1.

    References:
        W. Webber, A. Moffat, J. Zobel, A similarity measure for indefinite rankings, 2010.
    """
    depth = np.arange(1, a.shape[1] + 1)
    same = a[:, :, None] == b[:, None, :]
    shared = np.cumsum(np.cumsum(same, axis=1), axis=2)[:, depth - 1, depth - 1]
    weights = PERSISTENCE ** (depth - 1)
    return (shared / depth) @ weights / weights.sum()


def _graphs(network: graphs.TrustNetwork) -> tuple[graphs.WeightedGraph, graphs.WeightedGraph]:
    return network.trust, network.affinity


def _new_items(network: graphs.TrustNetwork, roots: np.ndarray, scores: Any) -> np.ndarray:
    """Items in descending order of score ``[R, I]``, those that a root knows last."""
    scores = np.array(scores)
    known = np.asarray(network.affinity.targets)[roots]
    rows = np.broadcast_to(np.arange(len(roots))[:, None], known.shape)
    real = known < network.num_items
    scores[rows[real], known[real]] = -1.0
    return np.argsort(-scores, axis=1, kind="stable")


def _attacks(
    config: Config, seed: int, world: worlds.World, shape: str, count: int, factor: float
) -> tuple[np.ndarray, list[graphs.Attacked]]:
    """Attacked users ``[R]`` of one repetition, and the network of each."""
    pairs = worlds.targets(world, config, seed)
    return pairs[:, 0], [
        worlds.attacked(world, config, pair[1:], count, shape, factor=factor) for pair in pairs
    ]


def _share(scores: jax.Array, promoted: np.ndarray) -> np.ndarray:
    """Share of the promoted items in the scores of each root ``[R]``."""
    return np.asarray(scores)[:, promoted].sum(axis=1)


def _walk_scores(
    config: Config, key: jax.Array, network: graphs.TrustNetwork, roots: jax.Array
) -> dict[str, jax.Array]:
    """Scores of the items ``{arm: [R, I]}`` by walks; those of all arms are made side by side."""
    users, vertices, count = network.num_users, network.num_users + network.num_items, len(roots)
    items = np.arange(vertices) >= users
    length = walks.walk_length(config.alpha)
    alpha = jnp.repeat(jnp.array([config.alpha, 0.0]), count)
    records = walks.item_walks(
        key, network, jnp.tile(roots, 2), alpha=alpha, num_walks=config.walks,
        length=max(length, config.longest),
    )  # fmt: skip
    # Arms share random draws, and each is cut at its own greatest length.
    last = jnp.where(jnp.arange(2 * count) < count, length, config.longest)
    late = jnp.arange(records.shape[2])[None, None] > last[:, None, None]
    records = jnp.where(late, vertices, records)
    plain = walks.scores(records, vertices, targets=items)[:, users:]
    full = walks.scores(records[:count], vertices, beta=config.beta, targets=items)[:, users:]
    return {TRUST: plain[count:], ALPHA: plain[:count], FULL: full}


@functools.cache
def _program(config: Config, what: str) -> Any:
    """Compiled scores of several roots: of one network, or of each root on its own network."""

    def by_walks(key: jax.Array, network: Any, roots: jax.Array) -> dict[str, jax.Array]:
        return _walk_scores(config, key, network, roots)

    def by_walks_of_each(key: jax.Array, networks: Any, roots: jax.Array) -> dict[str, jax.Array]:
        def of_root(case: Any) -> dict[str, jax.Array]:
            return jax.tree.map(lambda x: x[0], by_walks(key, case[0], case[1][None]))

        return jax.lax.map(of_root, (networks, roots))

    def by_salsa(network: Any, roots: jax.Array) -> jax.Array:
        return walks.salsa(network, roots, restart=RESTART)

    def by_salsa_of_each(networks: Any, roots: jax.Array) -> jax.Array:
        return jax.vmap(lambda network, root: by_salsa(network, root[None])[0])(networks, roots)

    programs = {
        "walks": by_walks,
        "walks of each": by_walks_of_each,
        "salsa": by_salsa,
        "salsa of each": by_salsa_of_each,
    }
    return jit_fast_compile(programs[what], level=1, plain=what.startswith("walks"))
