"""SybilWall: stored records, the law of forwarding, the weights, and the Sybil attack."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, topology
from jaxswarm.gossip.robust import foolsgold_weights
from jaxswarm.systems.sybilwall import sybilwall, with_sybils
from jaxswarm.systems.sybilwall._sybilwall import pick_records

N = 10


@pytest.fixture
def graph():
    return topology.random_geometric(N, 0.35, seed=3, repair=True)


def lists_of(graph):
    return topology.InNeighbors(*map(jnp.asarray, topology.in_neighbors(graph)))


def run(rule, x, rounds, key, change=0.1):
    """Messages drift, so that histories differ from round to round; every state."""
    state, states, sent = rule.init(x), [], []
    step = jax.jit(rule.mix)
    for index in range(rounds):
        sent.append(x)
        mixed, state, traffic = step(
            jax.random.fold_in(key, index), x, state, gossip.Exchange(jnp.int32(index))
        )
        states.append((mixed, state, traffic))
        x = x + change * jax.random.normal(jax.random.fold_in(key, 100 + index), x.shape)
    return states, sent


def near(graph):
    return {
        i: set(np.asarray(graph.senders)[np.asarray(graph.receivers) == i].tolist())
        for i in range(graph.num_agents)
    }


def test_records_are_true_and_where_they_may_be(graph, key):
    states, sent = run(sybilwall(graph, traveled=5), jax.random.normal(key, (N, 6)), 8, key)
    neighbors, width = near(graph), int(graph.in_degrees().max())
    seen = set()
    for _, state, _ in states:
        records = jax.tree.map(np.asarray, state.records)
        for i in range(N):
            ids = records.identity[i]
            assert i not in ids  # no agent keeps a record of itself
            present = ids[ids >= 0]
            assert len(set(present.tolist())) == len(present)  # nor two records of another
            assert set(ids[:width][ids[:width] >= 0].tolist()) == neighbors[i]
            assert (records.distance[i, :width][ids[:width] >= 0] == 1).all()
            for slot in range(width, len(ids)):
                if ids[slot] < 0:
                    continue
                assert ids[slot] not in neighbors[i]
                assert records.source[i, slot] in neighbors[i]
                distance, when = records.distance[i, slot], records.round[i, slot]
                assert distance >= 2
                np.testing.assert_allclose(  # the message of that agent in that round
                    records.history[i, slot], sent[when][ids[slot]], rtol=1e-6
                )
                seen.add(int(distance))
    assert {2, 3} <= seen


@pytest.mark.slow
def test_a_record_is_not_returned_to_its_source_nor_sent_to_its_subject(graph, key):
    states, _ = run(sybilwall(graph, traveled=5), jax.random.normal(key, (N, 6)), 6, key)
    lists = lists_of(graph)
    records = states[-1][1].records
    for draw in range(20):
        carried = pick_records(jax.random.key(draw), records, lists, lists.mask, 0.8)
        identity, real = np.asarray(carried.identity), np.asarray(lists.mask)
        for i, d in zip(*np.nonzero(real & (identity >= 0)), strict=True):
            sender = int(lists.neighbors[i, d])
            assert identity[i, d] not in (i, sender)
            held = np.flatnonzero(np.asarray(records.identity[sender]) == identity[i, d])
            assert int(records.source[sender, held[0]]) != i


@pytest.mark.slow
def test_near_records_are_forwarded_with_the_stated_probabilities(key):
    graph = topology.star(3)
    rule = sybilwall(graph, traveled=4, decay=0.8)
    records = rule.init(jnp.zeros((3, 1))).records
    ids = jnp.array([[-1] * 6, [-1] * 6, [-1] * 6]).at[0].set(jnp.array([-1, -1, 7, 8, 9, -1]))
    records = records._replace(
        identity=ids, distance=records.distance.at[0, 2:5].set(jnp.array([2, 3, 5]))
    )
    lists = lists_of(graph)
    pick = jax.vmap(lambda k: pick_records(k, records, lists, lists.mask, 0.8).identity[1, 0])
    drawn = np.asarray(pick(jax.random.split(key, 4000)))
    weights = np.exp(-0.8 * np.array([1.0, 2.0, 4.0]))
    shares = np.array([(drawn == name).mean() for name in (7, 8, 9)])
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)


def test_used_weights_are_trusts_over_their_sum(graph, key):
    """An oracle in numpy: similarities over all stored records, weights of neighbours alone."""
    x = jax.random.normal(key, (N, 6))
    states, sent = run(sybilwall(graph, traveled=5), x, 5, key)
    mixed, state, _ = states[-1]
    neighbors, width = near(graph), int(graph.in_degrees().max())
    for i in range(N):
        ids = np.asarray(state.records.identity[i])
        history = np.asarray(state.records.history[i], np.float64)
        stored = np.flatnonzero(ids >= 0)
        unit = history[stored] / np.linalg.norm(history[stored], axis=1, keepdims=True)
        cosine = unit @ unit.T - 2.0 * np.eye(len(stored))  # never the largest
        v = cosine.max(axis=1) + 1e-5
        pardoned = np.where(v[:, None] < v[None, :], cosine * (v[:, None] / v[None, :]), cosine)
        np.fill_diagonal(pardoned, -2.0)
        trust = np.clip(1.0 - pardoned.max(axis=1), 0.0, 1.0)
        own_slots = stored < width
        trust = trust[own_slots]
        trust = trust / (trust.max() or 1.0)
        certain = np.clip(trust, 1e-6, 1 - 1e-6)
        weights = np.clip(np.log(certain / (1 - certain)) + 0.5, 0.0, 1.0) * (trust > 0)
        expected = np.asarray(sent[-1][i], np.float64)
        for weight, slot in zip(weights, stored[own_slots], strict=True):
            expected = expected + weight * np.asarray(sent[-1][ids[slot]])
        np.testing.assert_allclose(mixed[i], expected / (1 + weights.sum()), rtol=2e-3, atol=2e-3)
    assert all(len(neighbors[i]) for i in range(N))


def test_copies_get_no_weight_and_a_different_history_full_weight():
    histories = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    weights = foolsgold_weights(histories, jnp.array([True, True, True, False]))
    assert weights.tolist() == [0.0, 0.0, 1.0, 0.0]
    counted = jnp.array([True, False, True, False])
    assert foolsgold_weights(histories, jnp.ones(4, bool), counted).tolist() == [0.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e19, 1e38])
def test_copies_cannot_hide_in_size(key, scale):
    """Squares of such models overflow or vanish in float32."""
    histories = jax.random.normal(key, (4, 20))
    histories = histories.at[1].set(histories[0]).at[:2].multiply(scale)
    weights = foolsgold_weights(histories, jnp.ones(4, bool))
    assert weights[:2].tolist() == [0.0, 0.0]
    assert bool((weights[2:] > 0.5).all())
    everything = jnp.full((2, 5), jnp.inf)  # a sum of histories that overflowed
    assert foolsgold_weights(everything, jnp.ones(2, bool)).tolist() == [0.0, 0.0]


@pytest.mark.slow
def test_agents_that_withhold_forward_no_record(key):
    """On a path every record travels through the middle."""
    graph = topology.path(5)
    x = jax.random.normal(key, (5, 4))
    rule = sybilwall(graph)

    def known(withholds):
        state, step = rule.init(x), jax.jit(rule.mix)
        for index in range(20):
            _, state, traffic = step(
                jax.random.fold_in(key, index),
                x,
                state,
                gossip.Exchange(jnp.int32(index)).with_extras(withholds=withholds),
            )
        return [set(row[row >= 0].tolist()) for row in np.asarray(state.records.identity)], traffic

    complete, most = known(jnp.zeros(5, bool))
    some, fewer = known(jnp.arange(5) == 2)
    assert complete[0] == {1, 2, 3, 4}
    assert some[0] == {1, 2}
    assert some[2] == {0, 1, 3, 4}
    assert float(fewer.messages) < float(most.messages)


@pytest.mark.slow
def test_a_copy_two_hops_away_removes_the_weight_of_the_near_one(key):
    """Path 0-1-2-3: Sybil 0 sends to 1, its copy 3 to 2; only travelling records reveal it."""
    graph = topology.path(4)
    copy = jnp.array([5.0, -5.0, 5.0, -5.0])
    x = jax.random.normal(key, (4, 4)).at[0].set(copy).at[3].set(copy)

    def mixed_with(**options):
        rule = sybilwall(graph, **options)
        state = rule.init(x)
        for index in range(6):
            mixed, state, _ = jax.jit(rule.mix)(
                jax.random.fold_in(key, index), x, state, gossip.Exchange(jnp.int32(index))
            )
        return mixed

    together, apart = mixed_with(), mixed_with(gossip_histories=False)
    np.testing.assert_allclose(together[1], (x[1] + x[2]) / 2, rtol=1e-5)
    assert float(jnp.linalg.norm(apart[1] - copy)) < float(jnp.linalg.norm(together[1] - copy))


@pytest.mark.slow
def test_all_copies_leave_the_own_model(key):
    graph = topology.star(4)
    x = jnp.ones((4, 3)).at[0].set(jnp.array([3.0, -1.0, 2.0]))
    rule = sybilwall(graph)
    mixed, _, _ = rule.mix(key, x, rule.init(x), gossip.Exchange(jnp.int32(0)))
    np.testing.assert_allclose(mixed[0], x[0])


@pytest.mark.slow
def test_displacement_is_the_model_less_where_it_began(graph, key):
    start = 10.0 + jax.random.normal(key, (N, 6))
    rule = sybilwall(graph, history="displacement", traveled=5)
    state = rule.init(start)
    now = start + jax.random.normal(jax.random.key(9), (N, 6))
    # Every agent subtracts its own start.
    _, state, _ = rule.mix(key, now, state, gossip.Exchange(jnp.int32(0)))
    width = int(graph.in_degrees().max())
    ids = np.asarray(state.records.identity[:, :width])
    for i, d in zip(*np.nonzero(ids >= 0), strict=True):
        j = ids[i, d]
        np.testing.assert_allclose(
            state.records.history[i, d], np.asarray(now - start)[j], rtol=1e-4, atol=1e-4
        )


@pytest.mark.slow
def test_evictions_from_full_slots_are_counted(key):
    graph = topology.path(12)
    x = jax.random.normal(key, (12, 3))
    states, _ = run(sybilwall(graph, traveled=1, decay=0.1), x, 30, key)
    records, evicted = states[-1][1].records, int(states[-1][1].evicted)
    assert evicted > 0
    assert records.identity.shape == (12, 3)
    full = np.asarray(records.identity)[1:-1]
    assert (full[:, :2] >= 0).all()  # neighbours are never replaced


@pytest.mark.slow
def test_messages_that_are_not_finite_are_dropped(graph, key):
    x = jax.random.normal(key, (N, 6))
    rule = sybilwall(graph)
    exchange = gossip.Exchange(jnp.int32(0), messages=x.at[2].set(jnp.nan))
    mixed, state, _ = rule.mix(key, x, rule.init(x), exchange)
    assert bool(jnp.isfinite(mixed).all())
    assert 2 not in np.asarray(state.records.identity)


def test_all_sybils_send_one_model_and_share_one_average(graph, key):
    swarm = with_sybils(graph, 1.0, max_degree=4)
    n = swarm.topology.num_agents
    x = jax.random.normal(key, (n, 2))
    touched = np.isin(np.arange(n), swarm.attack_edges[:, 0])
    seen = {}

    def record(key, params, state, exchange):
        seen.update(messages=exchange.messages, **exchange.extras)
        return params, state, gossip.no_traffic()

    inner = gossip.GossipTransformation(lambda p: (), record, {"messages", "withholds"})
    rule = gossip.sybil_attack(inner, swarm.sybil, jnp.asarray(touched))
    mixed, _, _ = rule.mix(key, x, (), gossip.Exchange(0))
    np.testing.assert_array_equal(seen["messages"][N:], np.tile(x[N], (n - N, 1)))
    np.testing.assert_array_equal(seen["messages"][:N], x[:N])
    np.testing.assert_array_equal(seen["withholds"], swarm.sybil)
    average = np.asarray(x)[np.append(np.flatnonzero(touched), N)].mean(axis=0)
    np.testing.assert_allclose(mixed[N:], np.tile(average, (n - N, 1)), rtol=1e-5)


@pytest.mark.parametrize("density", [0.0, 0.25, 0.5, 1.0, 2.0, 2.5])
def test_attack_edges_are_as_many_as_asked_and_as_spread(graph, density):
    swarm = with_sybils(graph, density, max_degree=4)
    edges = swarm.attack_edges
    assert len(edges) == round(density * N)
    assert len({tuple(edge) for edge in edges.tolist()}) == len(edges)
    per_victim = np.bincount(edges[:, 0], minlength=N) if len(edges) else np.zeros(N)
    assert per_victim.max() - per_victim.min() <= 1
    if len(edges):
        assert np.bincount(edges[:, 1]).max() <= 4
    assert swarm.sybil.sum() == -(-round(density * N) // 4)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("most", [1, 3, 6, 7, 30])
def test_no_sybil_has_two_edges_to_one_victim(seed, most):
    graph = topology.random_geometric(20, 0.35, seed=seed, repair=True)
    for density in np.arange(0.25, 3.1, 0.25):
        for victims in (None, [7, 2, 7, 11]):
            edges = with_sybils(graph, density, max_degree=most, victims=victims).attack_edges
            assert len(np.unique(edges, axis=0)) == len(edges) == round(density * 20)
            assert np.bincount(edges[:, 1]).max() <= most


@pytest.mark.slow
def test_agents_are_interchangeable(key):
    """Relabelling nodes relabels the outcome where nothing is drawn: without gossip."""
    graph = topology.random_regular(8, 4, seed=1)
    order = np.random.default_rng(0).permutation(8)
    inverse = np.argsort(order)
    edges = np.stack([inverse[graph.senders], inverse[graph.receivers]], axis=1)
    moved = topology.from_edges(edges[edges[:, 0] < edges[:, 1]], 8)
    x = jax.random.normal(key, (8, 5))
    one, other = (sybilwall(g, gossip_histories=False) for g in (graph, moved))
    a, _, _ = one.mix(key, x, one.init(x), gossip.Exchange(jnp.int32(0)))
    b, _, _ = other.mix(key, x[order], other.init(x[order]), gossip.Exchange(jnp.int32(0)))
    np.testing.assert_allclose(a[order], b, rtol=1e-5)


@pytest.mark.slow
def test_nothing_is_as_large_as_all_pairs():
    n, size = 400, 50
    graph = topology.random_regular(n, 4, seed=0)
    rule = sybilwall(graph, traveled=8)
    x = jnp.zeros((n, size))
    state = rule.init(x)
    step = jax.jit(lambda k, x, s: rule.mix(k, x, s, gossip.Exchange(jnp.int32(0))))
    memory = step.lower(jax.random.key(0), x, state).compile().memory_analysis()
    assert memory.temp_size_in_bytes < n * n * size * 4 / 4
    assert agents.num_agents(state.records.history) == n


BAD = {
    "decay": (lambda: sybilwall(topology.ring(4), decay=0.0), "decay"),
    "slots": (lambda: sybilwall(topology.ring(4), traveled=0), "traveled"),
    "history": (lambda: sybilwall(topology.ring(4), history="modle"), "mean 'model'"),
    "directed": (lambda: sybilwall(topology.directed_ring(4)), "undirected"),
    "density": (lambda: with_sybils(topology.ring(4), -0.5), "density"),
    "degree": (lambda: with_sybils(topology.ring(4), 1.0, max_degree=0), "max_degree"),
    "victims": (lambda: with_sybils(topology.ring(4), 1.0, victims=[9]), "victims"),
    "total": (lambda: with_sybils(topology.ring(4), 1.0, total=4), "total"),
    "flags": (
        lambda: gossip.sybil_attack(gossip.identity(), np.ones(3), np.ones(3)),
        "sybil",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
