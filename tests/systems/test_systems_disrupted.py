"""DecAvg under faults: dead agents have no influence, live ones share their weight."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.disrupted.config import Config
from experiments.disrupted.partitions import class_balanced
from jaxswarm import data, gossip, network, rollout, topology
from jaxswarm.systems import disrupted

N = 12


def oracle(graph, x, alive, weights=None):
    """A loop over agents."""
    sources = {i: [i] for i in range(len(x))}
    for sender, receiver in zip(graph.senders, graph.receivers, strict=True):
        sources[int(receiver)].append(int(sender))
    weights = np.ones(len(x)) if weights is None else weights
    out = x.copy()
    for i, neighbors in sources.items():
        if alive[i]:
            live = [j for j in neighbors if alive[j]]
            total = sum(weights[j] for j in live)
            if total > 0:
                out[i] = sum(weights[j] * x[j] for j in live) / total
    return out


@jax.jit
def averaged(W, x, alive):
    rule = disrupted.renormalized_averaging(W)
    return rule.mix(jax.random.key(0), x, (), gossip.Exchange(0, alive=alive))[0]


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), weighting=st.sampled_from(["uniform", "size"]))
def test_live_agents_share_the_weight_of_dead_ones(seed, weighting):
    rng = np.random.default_rng(seed)
    graph = topology.barabasi_albert(N, 2, seed=seed % 4)
    alive = rng.random(N) < 0.7
    sizes = rng.integers(0, 4, N) + (np.arange(N) < 6)
    x = rng.normal(size=(N, 3)).astype(np.float32)
    layout = ("dense", "gather", "segment")[seed % 3]
    if weighting == "size":
        held = nx.to_numpy_array(topology.to_networkx(graph)) @ sizes + sizes
        if (held == 0).any():
            return
    W = disrupted.decavg_mixing(graph, weighting, sizes, layout=layout)
    mixed = averaged(W, jnp.asarray(x), jnp.asarray(alive))
    expected = oracle(graph, x, alive, sizes if weighting == "size" else None)
    np.testing.assert_allclose(mixed, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(mixed)[~alive], x[~alive])


@pytest.mark.slow
def test_hub_graphs_of_two_thousand_need_no_square_matrix():
    n = 2000
    graph = topology.barabasi_albert(n, 2, seed=0)
    rule = disrupted.renormalized_averaging(disrupted.decavg_mixing(graph))
    alive = ~network.hubs(graph, 0.1)
    x = jnp.ones((n, 4)).at[:, 0].set(jnp.arange(float(n)))

    def step(x):
        return rule.mix(jax.random.key(0), x, (), gossip.Exchange(0, alive=alive))[0]

    compiled = jax.jit(step).lower(x).compile()
    memory = compiled.memory_analysis()
    assert memory.temp_size_in_bytes < n * n  # a dense matrix would take four times that
    expected = oracle(graph, np.asarray(x), np.asarray(alive))
    np.testing.assert_allclose(compiled(x), expected, rtol=1e-4)


def quadratic(params, batch):
    return jnp.sum(jnp.square(params - batch))


def run(W, doomed, start, at=3, rounds=8):
    learner = disrupted.decavg(
        quadratic, W, local=optax.sgd(0.1), network=network.disaster(doomed, at)
    )
    targets = jnp.arange(float(N * 2)).reshape(N, 2)
    _, records = rollout(
        learner.step, learner.init(start), rounds, key=jax.random.key(0), inputs=targets,
        evaluate=lambda state: state.params,
    )  # fmt: skip
    return np.asarray(records.evaluation)


def test_parameters_of_dead_agents_have_no_influence(key):
    graph = topology.barabasi_albert(N, 2, seed=1)
    W = disrupted.decavg_mixing(graph)
    doomed = np.asarray(network.hubs(graph, 0.25))
    start = jax.random.normal(key, (N, 2))
    poisoned = start.at[np.flatnonzero(doomed)].set(1e6)
    calm, wild = run(W, doomed, start, at=0), run(W, doomed, poisoned, at=0)
    np.testing.assert_array_equal(calm[:, ~doomed], wild[:, ~doomed])
    np.testing.assert_array_equal(wild[-1][doomed], np.asarray(poisoned)[doomed])  # frozen


@pytest.mark.slow
def test_runs_are_equal_before_the_faults_and_components_do_not_interact_after_them(key):
    graph = topology.barabasi_albert(N, 1, seed=1)
    W = disrupted.decavg_mixing(graph)
    doomed = np.asarray(network.hubs(graph, 0.1))
    start = jax.random.normal(key, (N, 2))
    whole, cut = run(W, np.zeros(N, bool), start), run(W, doomed, start)
    np.testing.assert_array_equal(whole[:3], cut[:3])
    assert np.abs(whole[-1] - cut[-1])[~doomed].max() > 1e-3
    islands = topology.components(graph, ~doomed)
    shifted = start.at[np.flatnonzero(islands == islands[~doomed][0])].add(5.0)
    other = islands != islands[~doomed][0]
    calm, moved = run(W, doomed, start, at=0), run(W, doomed, shifted, at=0)
    np.testing.assert_array_equal(calm[:, other], moved[:, other])


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), share=st.floats(0.0, 0.9))
def test_components_of_survivors_are_networkxs(seed, share):
    graph = topology.barabasi_albert(20, 1, seed=seed % 50)
    alive = np.random.default_rng(seed).random(20) >= share
    labels = topology.components(graph, alive)
    expected = list(
        nx.connected_components(
            topology.to_networkx(graph).to_undirected().subgraph(np.flatnonzero(alive).tolist())
        )
    )
    found = {frozenset(np.flatnonzero(labels == k).tolist()) for k in range(labels.max() + 1)}
    assert found == set(map(frozenset, expected))
    assert (labels[~alive] == -1).all()


def test_hubs_are_networkxs_most_connected():
    graph = topology.barabasi_albert(40, 2, seed=5)
    degree = dict(topology.to_networkx(graph).to_undirected().degree())
    chosen = np.flatnonzero(network.hubs(graph, 0.1))
    ranked = sorted(degree, key=lambda node: (-degree[node], node))[:4]
    assert sorted(ranked) == chosen.tolist()


def test_redealing_keeps_the_total_and_takes_data_only_from_the_failing():
    config = Config(agents=20, samples=6, seeds=2)
    train = data.load("digits").train
    doomed = np.zeros((2, 20), bool)
    doomed[:, :4] = True
    for heavier in (0, 4):
        deal = class_balanced(config, train, doomed, heavier)
        counts = np.asarray(deal["counts"])
        assert (counts.sum(axis=1) == 120).all()
        if heavier:
            assert abs(counts[:, :4].mean() / counts[:, 4:].mean() - 4.0) < 0.4
        else:
            assert (counts[:, :4] == 0).all()
        for indices, mask in zip(deal["indices"], deal["mask"], strict=True):
            rows = np.asarray(indices)[np.asarray(mask)]
            assert len(set(rows.tolist())) == 120
            assert np.bincount(train.labels[rows], minlength=10).tolist() == [12] * 10


BAD = {
    "weighting": (lambda: disrupted.decavg_mixing(topology.ring(4), "sizes"), "mean 'size'"),
    "sizes": (
        lambda: disrupted.decavg_mixing(topology.ring(4), "size"),
        "sizes: expected the number of samples",
    ),
    "nothing": (
        lambda: disrupted.decavg_mixing(topology.path(5), "size", [0, 0, 0, 1, 1]),
        "agent 0",
    ),
    "alive": (lambda: topology.components(topology.ring(4), np.ones(3, bool)), "alive"),
    "shares": (lambda: Config(shares=(1.0,)), "shares"),
    "times": (lambda: Config(times=(60,)), "times"),
    "negative time": (lambda: Config(times=(-1,)), "times"),
    "attachments": (lambda: topology.barabasi_albert(4, 4), "attachments"),
    "no survivor": (lambda: network.disaster(np.ones(4, bool), 1), "survivor"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
