"""Every layout equals the dense oracle; weights are as declared; bad input is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import agents, gossip, topology

GRAPHS = {
    "ring": lambda: topology.ring(12),
    "torus": lambda: topology.torus(3, 4),
    "star": lambda: topology.star(40),
    "exponential": lambda: topology.exponential(12),
    "barabasi": lambda: topology.barabasi_albert(60, 2, seed=1),
    "directed": lambda: topology.directed_ring(12),
    "two": lambda: topology.ring(2),
}
LARGE = ("star", "barabasi")  # their programs take seconds to compile
LAYOUTS = ("auto", "circulant", "gather", "segment", "dense")


def tree_of(key, n):
    a, b, c = jax.random.split(key, 3)
    return {
        "w": jax.random.normal(a, (n, 3, 2)),
        "b": jax.random.normal(b, (n,)),
        "h": jax.random.normal(c, (n, 5)).astype(jnp.bfloat16),
    }


@jax.jit
def dense_and_mixed(operators, tree, sent):
    return [(W.dense(), gossip.mix(W, tree, sent), W.num_messages()) for W in operators]


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow) if x in LARGE else x for x in GRAPHS]
)
def test_layouts_equal_the_numpy_oracle(key, name):
    graph = GRAPHS[name]()
    scheme = "metropolis" if name != "directed" else "uniform"
    tree, sent = tree_of(key, graph.num_agents), tree_of(jax.random.key(1), graph.num_agents)
    layouts = [x for x in LAYOUTS if x != "circulant" or graph.offsets is not None]
    operators = [gossip.mixing(graph, scheme, layout) for layout in layouts]
    assert [W.layout for W in operators[1:]] == layouts[1:]
    for matrix, mixed, messages in dense_and_mixed(operators, tree, sent):
        matrix = np.asarray(matrix, np.float64)
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)
        off = matrix - np.diag(np.diag(matrix))
        np.testing.assert_array_equal(off != 0, np.asarray(graph.adjacency()))
        assert float(messages) == graph.num_edge_slots
        for name_, leaf in mixed.items():
            flat = [np.asarray(t[name_], np.float64).reshape(len(leaf), -1) for t in (tree, sent)]
            wanted = (np.diag(np.diag(matrix)) @ flat[0] + off @ flat[1]).reshape(leaf.shape)
            assert leaf.dtype == tree[name_].dtype
            tolerance = 1e-5 if leaf.dtype == jnp.float32 else 2e-2
            np.testing.assert_allclose(np.asarray(leaf, np.float64), wanted, atol=tolerance)


def test_graphs_without_edges(key):
    for n in (1, 4):
        W = gossip.mixing(topology.from_edges([], n), connected=False)
        x = jax.random.normal(key, (n, 2))
        np.testing.assert_array_equal(gossip.mix(W, x), x)
        lossy = W.restrict(jnp.zeros(n, bool), jnp.zeros(0, bool))
        np.testing.assert_array_equal(lossy.dense(), np.eye(n))


FIXED = topology.barabasi_albert(12, 2, seed=3)


@jax.jit
def restricted(W, active, delivered, x):
    lossy = W.restrict(active, delivered)
    return lossy.dense(), gossip.mix(lossy, x)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), loss=st.floats(0, 1), crash=st.floats(0, 1))
def test_rows_sum_to_one_under_any_loss_in_every_layout(seed, loss, crash):
    rng = np.random.default_rng(seed)
    n = FIXED.num_agents
    x = jnp.asarray(rng.normal(size=(n, 3)), jnp.float32)
    active = rng.random(n) >= crash
    delivered = rng.random(FIXED.num_edge_slots) >= loss
    results = []
    for layout in ("gather", "segment", "dense"):
        W = gossip.mixing(FIXED, layout=layout)
        matrix, mixed = map(np.asarray, restricted(W, active, delivered, x))
        np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-5)
        assert (matrix >= -1e-6).all()
        np.testing.assert_allclose(matrix[~active], np.eye(n)[~active], atol=1e-6)
        off = matrix - np.diag(np.diag(matrix))
        assert not off[FIXED.receivers, FIXED.senders][~delivered].any()
        np.testing.assert_allclose(mixed, matrix @ np.asarray(x), atol=1e-5)
        results.append(mixed)
    np.testing.assert_allclose(results[1], results[0], atol=1e-5)
    np.testing.assert_allclose(results[2], results[0], atol=1e-5)


def test_circulant_and_mean_under_loss_equal_dense(key):
    rng = np.random.default_rng(0)
    for graph, layout in ((topology.exponential(8), "circulant"), (topology.complete(6), "mean")):
        active = jnp.asarray(rng.random(graph.num_agents) < 0.7)
        delivered = jnp.asarray(rng.random(graph.num_edge_slots) < 0.6)
        x = jax.random.normal(key, (graph.num_agents, 2))
        dense, _ = restricted(gossip.mixing(graph, layout="dense"), active, delivered, x)
        other, _ = restricted(gossip.mixing(graph, layout=layout), active, delivered, x)
        np.testing.assert_allclose(other, dense, atol=1e-6)


def test_the_complete_mean_is_the_complete_graph_without_its_edges(key):
    x = jax.random.normal(key, (6, 3))
    edges, plain = gossip.mixing(topology.complete(6), layout="dense"), gossip.complete_mean(6)
    np.testing.assert_allclose(plain.dense(), edges.dense(), atol=1e-7)
    np.testing.assert_allclose(gossip.mix(plain, x), gossip.mix(edges, x), atol=1e-6)
    assert float(plain.num_messages()) == float(edges.num_messages()) == 30
    assert jax.tree.leaves(gossip.complete_mean(100_000))[0].size == 100_000
    with pytest.raises(ValueError, match="at least 1"):
        gossip.complete_mean(0)


def test_column_stochastic_weights_return_to_the_sender():
    graph = topology.directed_ring(6)
    delivered = jnp.asarray(np.random.default_rng(1).random(graph.num_edge_slots) < 0.5)
    for layout in LAYOUTS:
        W = gossip.mixing(graph, "push", layout, stochasticity="column")
        dense, _ = restricted(W, jnp.ones(6, bool), delivered, jnp.ones((6, 1)))
        np.testing.assert_allclose(np.asarray(dense).sum(axis=0), 1.0, atol=1e-6)


def test_contracts_at_the_spectral_rate_and_keeps_the_average(key):
    graph = topology.torus(4, 5)
    W = gossip.mixing(graph)
    rate = float(topology.spectra.second_eigenvalue(W))
    values = np.linalg.eigvalsh(np.asarray(W.dense()))
    assert rate == pytest.approx(sorted(np.abs(values))[-2], abs=1e-5)
    x = jax.random.normal(key, (20, 7))
    before = agents.disagreement(x)
    mix = jax.jit(gossip.mix)
    for _ in range(10):
        y = mix(W, x)
        np.testing.assert_allclose(y.mean(axis=0), x.mean(axis=0), atol=1e-6)
        assert float(agents.disagreement(y)) <= rate**2 * float(agents.disagreement(x)) + 1e-9
        x = y
    assert float(agents.disagreement(x)) <= rate**20 * float(before) + 1e-9


def test_power_iteration_agrees_with_the_dense_spectrum():
    graph = topology.torus(33, 33)  # 1089 agents: beyond the dense limit
    W = gossip.mixing(graph)
    angle = np.cos(2 * np.pi / 33)
    wanted = (1 + 2 * (1 + angle)) / 5
    assert float(topology.spectra.second_eigenvalue(W)) == pytest.approx(wanted, abs=2e-4)


def test_permuting_agents_permutes_the_result(key):
    graph = topology.barabasi_albert(15, 2, seed=0)
    order = np.random.default_rng(0).permutation(15)
    rank = np.argsort(order)
    edges = np.stack([rank[graph.senders], rank[graph.receivers]], axis=1)
    moved = topology.from_edges(edges, 15, directed=True)
    x = jax.random.normal(key, (15, 4))
    np.testing.assert_allclose(
        gossip.mix(gossip.mixing(moved), x[order]),
        gossip.mix(gossip.mixing(graph), x)[order],
        atol=1e-6,
    )


def test_sequences_and_batches(key):
    sequence = topology.one_peer_exponential(8)
    W = gossip.mixing(sequence, np.full(sequence.senders.shape, 0.5, np.float32))
    assert W.is_sequence
    assert W.stochasticity == "doubly"
    x = jax.random.normal(key, (8, 3))
    y = x
    for t in range(3):
        y = jax.jit(lambda W, t, y: gossip.mix(W[t], y))(W, t, y)
    np.testing.assert_allclose(y, jnp.broadcast_to(x.mean(axis=0), y.shape), atol=1e-6)
    batch = topology.stack([topology.ring(8), topology.star(8), topology.complete(8)])
    for layout in ("gather", "segment", "dense"):
        operators = gossip.mixing(batch, layout=layout)
        mixed = jax.jit(jax.vmap(gossip.mix, in_axes=(0, None)))(operators, x)
        dense = np.asarray(jax.jit(jax.vmap(lambda W: W.dense()))(operators))
        for t in range(3):
            single = gossip.mixing(batch[t], layout="dense", connected=False)
            np.testing.assert_allclose(dense[t], single.dense(), atol=1e-6)
            np.testing.assert_allclose(mixed[t], dense[t] @ np.asarray(x), atol=1e-5)
    with pytest.raises(ValueError, match="sequence"):
        gossip.mix(W, x)


@pytest.mark.slow
def test_gradient_of_the_final_disagreement_with_respect_to_edge_weights(key):
    graph = topology.random_regular(10, 4, seed=1)
    x = jax.random.normal(key, (10, 3))
    start = jnp.full(graph.num_edge_slots, 0.1)

    def final(weights, layout):
        W = gossip.mixing(graph, weights, layout)
        y = jax.lax.fori_loop(0, 4, lambda _, y: gossip.mix(W, y), x)
        return agents.disagreement(y)

    value = jax.jit(final, static_argnums=1)
    for layout in ("gather", "segment", "dense"):
        gradient = jax.jit(jax.grad(final), static_argnums=1)(start, layout)
        assert np.isfinite(gradient).all()
        direction = np.random.default_rng(0).normal(size=gradient.shape).astype(np.float32)
        step = 1e-2
        ahead, behind = (value(start + s * direction, layout) for s in (step, -step))
        numeric = (ahead - behind) / (2 * step)
        assert float(gradient @ direction) == pytest.approx(float(numeric), rel=2e-2)
    assert float(value(start - 0.5 * gradient, "dense")) < float(value(start, "dense"))


def test_jit_takes_the_operator_as_an_argument_and_compiles_once(key):
    traces = []

    @jax.jit
    def step(W, x):
        traces.append(1)
        return gossip.mix(W, x)

    x = jax.random.normal(key, (9, 2))
    step(gossip.mixing(topology.ring(9)), x)
    step(gossip.mixing(topology.ring(9), "max_degree"), x)
    assert len(traces) == 1


def test_memory_grows_with_edges_not_with_agents_squared():
    def temporary_bytes(n):
        W = gossip.mixing(topology.random_regular(n, 4, seed=0), layout="gather")
        x = jax.ShapeDtypeStruct((n, 64), jnp.float32)
        compiled = jax.jit(gossip.mix).lower(W, x).compile()
        analysis = compiled.memory_analysis()
        return analysis.temp_size_in_bytes + analysis.output_size_in_bytes

    small, large = temporary_bytes(500), temporary_bytes(4000)
    assert large <= 8.5 * small


BAD = {
    "unknown scheme": (
        lambda: gossip.mixing(topology.ring(4), "metropolic"),
        "did you mean 'metropolis'",
    ),
    "unknown layout": (
        lambda: gossip.mixing(topology.ring(4), layout="gahter"),
        "did you mean 'gather'",
    ),
    "wrong count": (
        lambda: gossip.mixing(topology.ring(4), np.ones(3)),
        r"shape \(8,\), got \(3,\)",
    ),
    "nan weights": (lambda: gossip.mixing(topology.ring(3), np.full(6, np.nan)), "finite"),
    "disconnected": (lambda: gossip.mixing(topology.from_edges([(0, 1)], 3)), "connected"),
    "asymmetric": (
        lambda: gossip.mixing(
            topology.path(2), np.array([0.5, 0.2], np.float32), stochasticity="doubly"
        ),
        "expected doubly stochastic ones",
    ),
    "rows": (lambda: gossip.from_matrix(np.eye(3) * 0.5), "row 0 sums to 0.5"),
    "not square": (lambda: gossip.from_matrix(np.ones((2, 3))), "square"),
    "not circulant": (lambda: gossip.mixing(topology.star(5), layout="circulant"), "circulant"),
    "leading axis": (
        lambda: gossip.mix(gossip.mixing(topology.ring(4)), {"w": jnp.ones((5, 2))}),
        r"\['w'\].*4 agents.*\(5, 2\)",
    ),
    "topology": (
        lambda: gossip.mix(topology.ring(4), jnp.ones(4)),
        "got Topology; call gossip.mixing",
    ),
    "swapped": (
        lambda: gossip.mix(jnp.ones(4), gossip.mixing(topology.ring(4))),
        r"the order of arguments is mix\(W, tree\)",
    ),
    "no topology": (lambda: gossip.mixing("ring"), "topology: expected a Topology .* got str"),
    "messages": (
        lambda: gossip.mix(gossip.mixing(topology.ring(4)), jnp.ones((4, 3)), jnp.ones((4, 1))),
        "messages: expected the parameters' shapes",
    ),
    "integer leaf": (
        lambda: gossip.mix(gossip.mixing(topology.ring(4)), {"n": jnp.ones((4, 2), jnp.int32)}),
        "floating",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_from_matrix_round_trips(key):
    matrix = np.asarray(gossip.mixing(topology.grid(3, 3)).dense())
    np.testing.assert_allclose(gossip.from_matrix(matrix).dense(), matrix, atol=1e-6)
