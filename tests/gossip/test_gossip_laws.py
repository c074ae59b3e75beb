"""Laws of step sizes, dtypes, degenerate sizes and preconditions, for every registered rule."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, network, topology
from tests.gossip.members import (
    KEEPS_FINITE,
    KEY,
    RING,
    RULES,
    N,
    X,
    marked,
    rounds,
    rule_of,
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "compressor",
    [("top_k", 0.02), ("random_k", 0.02), ("random_k", 0.2), ("quantize", 2), ("sign",), ("cast",)],
    ids=str,
)
@pytest.mark.parametrize("graph", [topology.ring(32), topology.star(16)], ids=lambda g: g.name)
def test_the_default_step_size_is_stable(compressor, graph):
    rule = gossip.compressed(
        gossip.averaging(gossip.mixing(graph)), gossip.COMPRESSORS[compressor[0]](*compressor[1:])
    )
    x = jax.random.normal(KEY, (graph.num_agents, 50))

    def body(carry, index):
        params, state = carry
        key = jax.random.fold_in(KEY, index)
        params, state, _ = rule.mix(key, params, state, gossip.Exchange(index))
        return (params, state), agents.disagreement(params)

    _, error = jax.lax.scan(body, (x, rule.init(x)), jnp.arange(800))
    assert float(error[-1]) < 0.9 * float(agents.disagreement(x))
    assert float(jnp.max(error)) < 3.0 * float(agents.disagreement(x))


# --- dtypes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", marked(sorted(set(RULES) - KEEPS_FINITE)))
def test_agreement_is_a_fixed_point_in_half_precision(name):
    same = {"w": jnp.full((N, 3), 0.7, jnp.bfloat16), "b": jnp.full(N, -300.0, jnp.float16)}
    chex.assert_trees_all_equal(rounds(rule_of(name)[0], same, gossip.Exchange(0), 1)[0], same)


@pytest.mark.parametrize(
    "dtype",
    [pytest.param(x, marks=pytest.mark.slow) for x in (jnp.float16, jnp.bfloat16, jnp.float32)],
)
def test_agreement_of_many_agents(dtype):
    n = 100_000
    x = jnp.full((n, 1), 0.7, dtype)
    tolerance = 1e-5 if dtype == jnp.float32 else 0
    for rule in (
        gossip.server(),
        gossip.server(jnp.arange(1.0, n + 1)),
        gossip.averaging(gossip.complete_mean(n)),
        gossip.averaging(gossip.mixing(topology.ring(n))),
    ):
        for exchange in (gossip.Exchange(0), gossip.Exchange(0, alive=jnp.arange(n) % 3 > 0)):
            out = rounds(rule, x, exchange, 2)[0]
            np.testing.assert_allclose(
                np.asarray(out, np.float32), np.asarray(x, np.float32), rtol=tolerance
            )


@pytest.mark.parametrize("name", marked(sorted(set(RULES) - {"identity"})))
def test_leaves_that_cannot_be_averaged_are_refused_by_name(name):
    rule, _ = rule_of(name)
    for bad in ("int32", "bool", "key", "complex64"):
        leaf = jax.random.split(KEY, N) if bad == "key" else jnp.ones((N, 2)).astype(bad)
        params = {"w": X["w"], "odd": leaf}
        with pytest.raises(ValueError, match="odd"):
            rule.mix(KEY, params, rule.init(params), gossip.Exchange(0))


# --- degenerate sizes ---------------------------------------------------------------------------


NEEDS_TWO = {"random_gossip", "krum", "multi_krum"}
NEEDS_EDGES = set(gossip.RULES) - {"identity", "server", "random_gossip"} | {"krum", "multi_krum"}
NO_GRAPH = {"server", "random_gossip"}


@pytest.mark.parametrize("name", sorted({**gossip.RULES, **gossip.ROBUST_RULES}))
def test_graphs_of_one_agent_and_without_edges_keep_everything(name):
    make = gossip.RULES.get(name) or (lambda graph: gossip.ROBUST_RULES[name](graph, 0))
    for graph in (topology.ring(1), topology.from_edges([], 3)):
        n = graph.num_agents
        x = {"w": jnp.arange(2.0 * n).reshape(n, 2), "none": jnp.zeros((n, 0))}
        if (n < 2 and name in NEEDS_TWO) or (n > 1 and name in NEEDS_EDGES):
            with pytest.raises(ValueError, match=r"num_agents|connected|eigenvalue|krum"):
                make(graph)
            continue
        rule = make(graph)
        masked = gossip.Exchange(0, alive=jnp.ones(n, bool))
        if name not in {"choco", *NO_GRAPH}:
            loss = network.link_loss(graph, 0.5)
            masked = loss.step(KEY, loss.init(), jnp.int32(0))[1]._replace(alive=masked.alive)
        exchanges = [gossip.Exchange(0), masked]
        for exchange in exchanges:
            out = rounds(rule, x, exchange, 2)[0]
            if n < 2 or name not in NO_GRAPH:
                chex.assert_trees_all_close(out, x, rtol=1e-6)
            chex.assert_trees_all_equal_shapes_and_dtypes(out, x)


# --- preconditions ------------------------------------------------------------------------------


def test_rules_on_eigenvalues_need_symmetric_weights():
    directed = gossip.mixing(topology.directed_ring(6), "uniform", stochasticity="doubly")
    for make in (lambda W: gossip.chebyshev(W, steps=3), gossip.momentum_averaging):
        with pytest.raises(ValueError, match="symmetric"):
            make(directed)


def test_weights_with_which_values_grow_are_refused():
    ones = np.ones(RING.num_edge_slots)
    for weights in (ones, -0.4 * ones, 0.9 * ones):
        with pytest.raises(ValueError, match=r"weights: expected mixing weights.*eigenvalue"):
            gossip.mixing(RING, weights)
    fast = (
        topology.fastest_mixing(topology.star(N)) if hasattr(topology, "fastest_mixing") else None
    )
    best = topology.weights.best_constant(topology.star(N))  # a negative self-weight in the centre
    W = gossip.mixing(topology.star(N), np.asarray(best))
    assert float(W.self_weights.min()) < 0
    del fast


@pytest.mark.parametrize("graph", [topology.exponential(16), topology.directed_ring(16)])
@pytest.mark.parametrize("weights", ["metropolis", "push"])
def test_push_sum_keeps_its_mass(graph, weights):
    x = jnp.arange(16.0)[:, None]
    rule = gossip.push_sum(gossip.mixing(graph, weights))
    for process in (network.link_loss(graph, 0.3), network.churn(16, crash=0.2, recover=0.4)):

        def body(carry, index, process=process):
            params, state, links = carry
            links, exchange = process.step(jax.random.fold_in(KEY, index), links, index)
            params, state, _ = rule.mix(KEY, params, state, exchange)
            return (params, state, links), None

        start = (x, rule.init(x), process.init())
        (params, state, _), _ = jax.lax.scan(body, start, jnp.arange(800))
        np.testing.assert_allclose(state.biased.sum(), x.sum(), rtol=1e-5)
        np.testing.assert_allclose(state.weight.sum(), 16, rtol=1e-5)
        np.testing.assert_allclose(params, 7.5, atol=2e-3)


def test_push_sum_refuses_what_would_tear_messages_from_their_weights():
    rule = gossip.push_sum(gossip.mixing(topology.directed_ring(4), "push"))
    for wrap in (
        lambda: gossip.delayed(rule, 2),
        lambda: gossip.compressed(rule, gossip.top_k(1.0)),
        lambda: gossip.compressed(rule, gossip.cast(), error_feedback=False),
        lambda: gossip.delayed(gossip.scheduled(rule, gossip.every_k_rounds(2)), 1),
    ):
        with pytest.raises(ValueError, match="only_fresh"):
            wrap()
    for drawn in (gossip.pairwise(RING), gossip.averaging(gossip.random_neighbors(N, 2))):
        with pytest.raises(ValueError, match="only_drawn"):
            gossip.compressed(drawn, gossip.sign())
    with pytest.raises(ValueError, match="row-stochastic"):
        gossip.push_sum(gossip.mixing(topology.star(4), "uniform"))
    drawn = gossip.push_sum(gossip.random_neighbors(N, 2))
    with pytest.raises(ValueError, match="row-stochastic"):
        drawn.mix(KEY, X, drawn.init(X), gossip.Exchange(0))


def test_distances_are_those_of_the_differences():
    values = jnp.asarray([[0.0] * 4, [4096.0] * 4, [4096.0 + 2**-9] * 4, [4096.0 + 2**-7] * 4])
    found, _ = gossip.robust.distances.squared_distances(values, jnp.ones(4, bool))
    wanted = np.square(np.asarray(values)[:, None] - np.asarray(values)[None]).sum(-1)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(np.asarray(found)[off], wanted[off], rtol=1e-5)


def test_traced_graphs_have_the_layouts_that_need_no_host():
    graphs = jax.tree.map(jnp.asarray, topology.stack([topology.ring(40), topology.star(40)]))
    wanted = np.asarray(gossip.mixing(topology.star(40)).dense())
    for layout in ("auto", "segment", "dense"):
        make = lambda g: gossip.mixing(g, connected=False, layout=layout).dense()  # noqa: B023, E731
        made = jax.jit(jax.vmap(make))(graphs)
        np.testing.assert_allclose(made[1], wanted, atol=1e-6)
    for layout in ("gather", "circulant", "mean"):
        with pytest.raises(ValueError, match=r"layout: expected 'segment' or 'dense'"):
            jax.vmap(lambda g: gossip.mixing(g, connected=False, layout=layout).dense())(graphs)  # noqa: B023
