"""Event streams: Poisson statistics, thinning, batches that commute, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from jaxswarm import topology
from jaxswarm.learning.asynchronous import (
    Events,
    agent_clocks,
    edge_clocks,
    matching_rounds,
    point_process,
    poisson_events,
    superpose,
    switching_edge_clocks,
)
from jaxswarm.learning.asynchronous.events import SKIPPED


def decaying():
    """An agent's value grows at its own events, decays in between, and two agents average."""

    def drift(state, elapsed):
        return state * jnp.exp(-0.1 * elapsed)

    def alone(key, pair, ids, inputs):
        return pair * 0.5 + 1.0 + ids[:, None]

    def exchange(key, pair, ids, inputs):
        return pair + 0.25 * (pair[::-1] - pair)

    return point_process(drift, [alone, exchange])


@pytest.mark.slow
def test_superposed_clocks_tick_like_independent_poisson_processes(key):
    graph = topology.star(5)
    rates = jnp.where(jnp.asarray(graph.senders) + jnp.asarray(graph.receivers) > 2, 2.0, 0.5)
    ticking = superpose(agent_clocks(5, 3.0), edge_clocks(graph, rates))
    total = float(ticking.rates.sum())
    count = 40_000
    stream = poisson_events(key, ticking, count, start=5.0)
    time = np.asarray(stream.time, np.float64)
    assert time[0] >= 5.0
    assert np.all(np.diff(time) >= 0)
    with jax.enable_x64(True):
        exact = jax.tree.map(np.asarray, poisson_events(key, ticking, count))
    waits = np.diff(exact.time, prepend=0.0)
    assert kstest(waits * total, "expon").pvalue > 1e-3
    codes = np.asarray(stream.agents[:, 0]) * 10 + np.asarray(stream.agents[:, 1])
    expected = np.asarray(ticking.rates) / total
    for pair, share in zip(np.asarray(ticking.agents), expected, strict=True):
        frequency = np.mean(codes == pair[0] * 10 + pair[1])
        assert abs(frequency - share) < 5 * (share * (1 - share) / count) ** 0.5
    # Counts in disjoint windows have variance = mean, and the two kinds are uncorrelated.
    edges = np.arange(0.0, exact.time[-1], 1.0)
    kinds = [np.histogram(exact.time[exact.kind == k], edges)[0] for k in (0, 1)]
    for counted in kinds:
        assert 0.85 < counted.var() / counted.mean() < 1.15
    assert abs(np.corrcoef(kinds)[0, 1]) < 0.1


def test_thinning_follows_the_present_graph(key):
    sequence = topology.stack([topology.path(4), topology.star(4)])
    ticking, intensity = switching_edge_clocks(sequence, 10.0, total=6.0)
    stream = poisson_events(key, ticking, 20_000, intensity=intensity)
    time, kept = np.asarray(stream.time), np.asarray(stream.kind) == 1
    member = (time // 10.0).astype(int) % 2
    pairs = {tuple(p) for p in np.asarray(stream.agents)[kept & (member == 0)]}
    assert pairs == {(0, 1), (1, 2), (2, 3)}
    pairs = {tuple(p) for p in np.asarray(stream.agents)[kept & (member == 1)]}
    assert pairs == {(0, 1), (0, 2), (0, 3)}
    expected = 6.0 * time[-1]
    assert abs(kept.sum() - expected) < 5 * expected**0.5


def test_doubling_one_process_leaves_the_other_alone(key):
    graph = topology.ring(6)
    for gradient_rate, total in ((1.0, 8.0), (1.0, 16.0), (2.0, 8.0)):
        ticking = superpose(agent_clocks(6, gradient_rate), edge_clocks(graph, total=total))
        stream = poisson_events(key, ticking, 30_000)
        span = float(stream.time[-1])
        for kind, rate in ((0, 6 * gradient_rate), (1, total)):
            counted = int((stream.kind == kind).sum())
            assert abs(counted - rate * span) < 5 * (rate * span) ** 0.5


def test_batches_share_no_agent_keep_each_agents_order_and_end_alike(key):
    graph = topology.random_regular(40, 4)
    ticking = superpose(agent_clocks(40), edge_clocks(graph, total=30.0))
    stream = poisson_events(key, ticking, 1000)
    stream = stream._replace(kind=stream.kind.at[::7].set(SKIPPED))
    process = decaying()
    start = process.init(jax.random.normal(key, (40, 2)))
    expected, _ = process.run(key, start, stream, every=1000)
    for width in (None, 3):
        rounds = matching_rounds(stream, 40, width=width)
        _, ids, kind = (np.asarray(leaf) for leaf in rounds)
        assert kind.shape[1] == (10 if width is None else width)
        for row, real in zip(ids, kind != SKIPPED, strict=True):
            busy = row[real].ravel()
            busy = busy[busy < 40]
            assert len(set(busy)) == len(busy)
        assert int((kind != SKIPPED).sum()) == int((stream.kind != SKIPPED).sum())
        found = process.run_rounds(key, start, rounds)
        np.testing.assert_allclose(found.agents, expected.agents, rtol=1e-6)
        np.testing.assert_array_equal(found.clock, expected.clock)
        np.testing.assert_array_equal(found.counts, expected.counts)
    assert len(matching_rounds(stream, 40).time) < 250  # a thousand events


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)).filter(lambda p: p[0] != p[1])),
    st.integers(1, 4),
)
def test_batches_of_any_events(pairs, width):
    ids = np.array(pairs, np.int32).reshape(-1, 2)
    kind = np.where(ids[:, 1] == 6, 0, 1).astype(np.int32)
    stream = Events(np.arange(len(ids), dtype=np.float32), ids, kind)
    time, agents, kinds = (np.asarray(x) for x in matching_rounds(stream, 6, width=width))
    at = {}
    for r, (row, pairs_of_row, kinds_of_row) in enumerate(zip(time, agents, kinds, strict=True)):
        for t, pair, k in zip(row, pairs_of_row, kinds_of_row, strict=True):
            if k != SKIPPED:
                at[int(t)] = r
                assert tuple(pair) == tuple(ids[int(t)])
    assert sorted(at) == list(range(len(ids)))
    for agent in range(6):
        rounds = [at[m] for m in range(len(ids)) if agent in ids[m]]
        assert all(a < b for a, b in itertools.pairwise(rounds))


def test_the_state_does_not_depend_on_how_the_stream_is_cut(key):
    stream = poisson_events(key, superpose(agent_clocks(5), edge_clocks(topology.ring(5))), 60)
    process = decaying()
    start = process.init(jnp.arange(10.0).reshape(5, 2))
    whole, _ = process.run(key, start, stream, every=60)
    part, _ = process.run(key, start, jax.tree.map(lambda x: x[:25], stream), every=5)
    part, _ = process.run(key, part, jax.tree.map(lambda x: x[25:], stream), every=7)
    jax.tree.map(np.testing.assert_array_equal, whole, part)


def test_bad_events_are_refused(key):
    with pytest.raises(ValueError, match="rate"):
        agent_clocks(3, 0.0)
    with pytest.raises(ValueError, match="total"):
        edge_clocks(topology.ring(4), total=-1.0)
    with pytest.raises(ValueError, match="rates: expected finite numbers >= 0"):
        edge_clocks(topology.ring(4), -np.ones(8))
    with pytest.raises(ValueError, match="rates: expected shape"):
        edge_clocks(topology.ring(4), np.ones(4))
    with pytest.raises(ValueError, match="connected"):
        switching_edge_clocks(
            topology.stack([topology.ring(4), topology.from_edges([(0, 1), (2, 3)], 4)]),
            1.0,
            total=1.0,
        )
    with pytest.raises(ValueError, match=r"opposite|undirected|direct"):
        switching_edge_clocks(topology.stack([topology.directed_ring(4)]), 1.0, total=1.0)
    apart = np.where(np.asarray(topology.path(4).senders + topology.path(4).receivers) == 3, 0.0, 1)
    with pytest.raises(ValueError, match=r"positive rates.*connected"):
        edge_clocks(topology.path(4), apart)
    with pytest.raises(ValueError, match="both directions"):
        edge_clocks(topology.path(3), np.array([1.0, 2.0, 3.0, 4.0]))
    for name, period, total in (("period", 0.0, 1.0), ("total", 1.0, -1.0)):
        with pytest.raises(ValueError, match=name):
            switching_edge_clocks(topology.stack([topology.ring(4)]), period, total=total)
    process = point_process(lambda s, t: s, [lambda key, pair, ids, inputs: pair])
    state = process.init(jnp.zeros(3))
    stream = poisson_events(key, agent_clocks(3), 4)
    with pytest.raises(ValueError, match="ascending times"):
        process.run(key, state, jax.tree.map(lambda x: x[::-1], stream))
    with pytest.raises(ValueError, match="divisor"):
        process.run(key, state, stream, every=3)
    with pytest.raises(ValueError, match="ascending times"):
        process.run(key, state, stream._replace(time=stream.time.at[2].set(jnp.nan)), every=4)
    with pytest.raises(ValueError, match="ascending times"):
        process.run(key, process.init(jnp.zeros(3), 1e6), stream)
    for pair in ((3, 1), (-1, 1), (0, 4), (2, 2)):
        wrong = stream._replace(agents=stream.agents.at[1].set(jnp.array(pair)))
        with pytest.raises(ValueError, match="two different agents"):
            process.run(key, state, wrong)
    with pytest.raises(ValueError, match="kinds"):
        process.run(key, state, stream._replace(kind=stream.kind + 1))
    with pytest.raises(ValueError, match="num_events"):
        poisson_events(key, agent_clocks(3), 0)
    with pytest.raises(ValueError, match="jumps"):
        point_process(lambda s, t: s, [])
    with pytest.raises(ValueError, match="clocks"):
        superpose()
    with pytest.raises(ValueError, match="width"):
        matching_rounds(stream, 3, width=0)
    with pytest.raises(ValueError, match="expected agents"):
        matching_rounds(stream, 2)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([(0, 1), (1, 1), (1, 2)], "self-loop"),
        ([(0, 1), (1, 2), (0, 1)], "duplicate"),
        ([(0, 1), (1, 3)], r"\[0, 3\)"),
    ],
)
def test_bad_edge_lists_are_refused(edges, message):
    with pytest.raises(ValueError, match=message):
        edge_clocks(topology.from_edges(edges, 3))
