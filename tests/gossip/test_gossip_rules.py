"""One battery for every rule and wrapper, then the law that characterises each."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, topology

N = 12
RING = topology.ring(N)
W = gossip.mixing(RING)
EXPONENTIAL = topology.exponential(N)

RULES = {
    "averaging": lambda: gossip.averaging(W),
    "averaging twice": lambda: gossip.averaging(W, steps=2),
    "sequence": lambda: gossip.averaging(
        gossip.mixing(topology.one_peer_exponential(N), "uniform", stochasticity="doubly")
    ),
    "random neighbours": lambda: gossip.averaging(gossip.random_neighbors(N, 1.5)),
    "chebyshev": lambda: gossip.chebyshev(W, steps=3),
    "momentum": lambda: gossip.momentum_averaging(W),
    "pairwise": lambda: gossip.pairwise(RING),
    "matching": lambda: gossip.pairwise(RING, parallel=True),
    "push-sum": lambda: gossip.push_sum(gossip.mixing(topology.directed_ring(N), "push")),
    "server": gossip.server,
    "variance": lambda: gossip.variance_corrected(W, correct=False),
    "choco top-k": lambda: gossip.choco(W, gossip.top_k(0.5), step_size=0.3),
    "choco random-k": lambda: gossip.compressed(
        gossip.averaging(W), gossip.random_k(0.5), step_size=0.3
    ),
    "choco 4 bits": lambda: gossip.compressed(
        gossip.averaging(W), gossip.quantize(4), step_size=0.5
    ),
    "choco sign": lambda: gossip.compressed(gossip.averaging(W), gossip.sign(), step_size=0.2),
    "choco bfloat16": lambda: gossip.compressed(gossip.averaging(W), gossip.cast()),
    "bfloat16 messages": lambda: gossip.compressed(
        gossip.averaging(W), gossip.cast(), error_feedback=False
    ),
    "delayed": lambda: gossip.delayed(gossip.averaging(W), 2),
    "scheduled": lambda: gossip.scheduled(gossip.averaging(W), gossip.every_k_rounds(2)),
}
KEEPS_THE_AVERAGE = set(RULES) - {"random neighbours", "delayed", "push-sum"}


def start(key):
    a, b = jax.random.split(key)
    return {"w": jax.random.normal(a, (N, 4, 3)), "b": jax.random.normal(b, (N, 5))}


def run(rule, params, rounds, key):
    """Mix ``rounds`` times: final parameters; disagreement, mean and traffic of each round."""

    def body(carry, index):
        params, state = carry
        params, state, traffic = rule.mix(
            jax.random.fold_in(key, index), params, state, gossip.Exchange(index)
        )
        return (params, state), (agents.disagreement(params), agents.mean(params), traffic)

    carry, (disagreement, means, traffic) = jax.lax.scan(
        body, (params, rule.init(params)), jnp.arange(rounds)
    )
    return carry[0], disagreement, means, traffic


@pytest.mark.parametrize("name", RULES)
def test_battery(name, key):
    rule = RULES[name]()
    params = start(key)
    rounds = 240 if name == "pairwise" else 60
    chex.clear_trace_counter()
    once = jax.jit(chex.assert_max_traces(lambda p, k: run(rule, p, rounds, k), n=1))
    final, disagreement, means, traffic = once(params, key)
    again = once(params, key)
    chex.assert_trees_all_equal(again[0], final)
    chex.assert_trees_all_equal_shapes_and_dtypes(final, params)
    chex.assert_tree_all_finite((final, disagreement, traffic))
    assert float(disagreement[-1]) < 0.05 * float(agents.disagreement(params))
    if name in KEEPS_THE_AVERAGE:
        wanted = agents.mean(params)
        for leaf, mean in zip(jax.tree.leaves(wanted), jax.tree.leaves(means), strict=True):
            np.testing.assert_allclose(mean, np.broadcast_to(leaf, mean.shape), atol=2e-5)
    assert float(traffic.messages.sum()) > 0
    if "choco" not in name and "bfloat16" not in name:
        size = agents.message_size(params)[1] + (4 if name == "push-sum" else 0)
        np.testing.assert_allclose(traffic.bytes, traffic.messages * size)


@pytest.mark.parametrize(
    "name", ["averaging", "choco top-k", "bfloat16 messages", "push-sum", "delayed", "matching"]
)
def test_jit_equals_eager_and_replicas_are_independent(name, key):
    rule = RULES[name]()
    params = start(key)
    state = rule.init(params)
    now = gossip.Exchange(jnp.int32(0))
    eager = rule.mix(key, params, state, now)[0]
    jitted = jax.jit(rule.mix)(key, params, state, now)[0]
    chex.assert_trees_all_close(eager, jitted, atol=1e-6)
    keys = jax.random.split(key, 3)
    many = jax.jit(jax.vmap(lambda k: rule.mix(k, params, state, now)[0]))(keys)
    one = jax.jit(rule.mix)(keys[1], params, state, now)[0]
    chex.assert_trees_all_close(jax.tree.map(lambda x: x[1], many), one, atol=1e-6)


def test_chebyshev_needs_fewer_exchanges_and_follows_its_polynomial(key):
    ring = gossip.mixing(topology.ring(30))
    gamma = float(topology.spectra.second_eigenvalue(ring))
    x = jax.random.normal(key, (30, 2))
    for steps in (1, 4, 12):
        mixed, *_ = jax.jit(gossip.chebyshev(ring, steps=steps).mix)(key, x, (), gossip.Exchange(0))
        values, vectors = np.linalg.eigh(np.asarray(ring.dense(), np.float64))
        polynomial = np.polynomial.chebyshev.Chebyshev.basis(steps)
        scale = polynomial(values / gamma) / polynomial(1 / gamma)
        wanted = vectors @ np.diag(scale) @ vectors.T @ np.asarray(x, np.float64)
        np.testing.assert_allclose(mixed, wanted, atol=2e-5)
    slowest = jnp.asarray(vectors[:, -2:-1], jnp.float32)
    plain, *_ = jax.jit(gossip.averaging(ring, steps=12).mix)(key, slowest, (), gossip.Exchange(0))
    fast, *_ = jax.jit(gossip.chebyshev(ring, steps=12).mix)(key, slowest, (), gossip.Exchange(0))
    assert float(agents.disagreement(fast)) < 0.5 * float(agents.disagreement(plain))


def test_momentum_accelerates_and_local_steps_move_the_average_exactly(key):
    ring = gossip.mixing(topology.ring(30))
    x = jax.random.normal(key, (30, 2))
    fast = run(gossip.momentum_averaging(ring), x, 60, key)[1]
    slow = run(gossip.averaging(ring), x, 60, key)[1]
    assert float(fast[-1]) < 0.05 * float(slow[-1])
    rule = gossip.momentum_averaging(ring)
    state, moved = rule.init(x), x.mean(axis=0)
    for index in range(5):
        push = 0.1 * jax.random.normal(jax.random.fold_in(key, index), x.shape)
        x, state, _ = jax.jit(rule.mix)(key, x + push, state, gossip.Exchange(index))
        moved = moved + push.mean(axis=0)
        np.testing.assert_allclose(x.mean(axis=0), moved, atol=1e-5)


@pytest.mark.slow
def test_pairwise_contracts_in_expectation_as_boyd_et_al(key):
    graph = topology.path(5)
    rule = gossip.pairwise(graph)
    x = jnp.arange(5.0)[:, None]
    draws = jax.vmap(lambda k: rule.mix(k, x, (), gossip.Exchange(0))[0])(
        jax.random.split(key, 20000)
    )
    degrees = np.asarray(graph.in_degrees())
    expected = np.eye(5)
    for i, j in zip(graph.receivers, graph.senders, strict=True):
        difference = np.zeros(5)
        difference[i], difference[j] = 1.0, -1.0
        expected -= np.outer(difference, difference) / (2 * 5 * degrees[i])
    np.testing.assert_allclose(draws.mean(axis=0)[:, 0], expected @ np.arange(5), atol=0.02)


def test_matching_meets_every_agent_at_most_once(key):
    graph = topology.random_regular(20, 4, seed=0)
    rule = gossip.pairwise(graph, parallel=True)
    x = jnp.eye(20)
    mixed = np.asarray(jax.jit(rule.mix)(key, x, (), gossip.Exchange(0))[0])
    np.testing.assert_array_equal(mixed, mixed.T)
    assert set(np.unique(mixed)) <= {0.0, 0.5, 1.0}
    met = (mixed == 0.5).sum(axis=1)
    assert set(met) <= {0, 2}
    assert met.sum() / 2 >= 6
    assert not mixed[(mixed > 0) & ~np.eye(20, dtype=bool) & ~np.asarray(graph.adjacency())].any()


def test_push_sum_reaches_the_exact_average_on_an_irregular_digraph_even_under_loss(key):
    rng = np.random.default_rng(0)
    edges = {(i, (i + 1) % 9) for i in range(9)} | {(0, 4), (0, 6), (3, 7), (5, 2)}
    graph = topology.from_edges(sorted(edges), 9, directed=True)
    A = gossip.mixing(graph, "push")
    assert A.stochasticity == "column"
    rule = gossip.push_sum(A)
    x = jax.random.normal(key, (9, 3))
    params, state = x, rule.init(x)
    mix = jax.jit(rule.mix)
    for index in range(300):
        delivered = jnp.asarray(rng.random(graph.num_edge_slots) < 0.8)
        now = gossip.Exchange(jnp.int32(index), delivered=delivered)
        params, state, _ = mix(key, params, state, now)
        assert float(state.weight.sum()) == pytest.approx(9.0, abs=1e-4)
    np.testing.assert_allclose(params, np.broadcast_to(x.mean(axis=0), x.shape), atol=1e-4)
    naive = gossip.averaging(gossip.mixing(graph, "uniform"))
    wrong = run(naive, x, 300, key)[0]
    assert float(jnp.abs(wrong.mean(axis=0) - x.mean(axis=0)).max()) > 1e-2  # the control fails


def test_error_feedback_agrees_where_plain_compression_stalls(key):
    x = start(key)
    kind = gossip.top_k(0.2)
    exact = run(gossip.compressed(gossip.averaging(W), kind, step_size=0.1), x, 600, key)
    stalled = run(
        gossip.compressed(gossip.averaging(W), kind, step_size=0.1, error_feedback=False),
        x,
        600,
        key,
    )
    assert float(exact[1][-1]) < 1e-3 * float(agents.disagreement(x))
    assert float(exact[1][-1]) < 1e-2 * float(stalled[1][-1])
    bits = 64 * 3 + 64 * 1  # ⌈0.2·12⌉ and ⌈0.2·5⌉ values with their indices
    np.testing.assert_allclose(exact[3].bytes, exact[3].messages * bits / 8)


def test_compressors_keep_their_promises(key):
    x = jax.random.normal(key, (50,))
    kept = gossip.top_k(0.1).compress(key, x)
    assert int((kept != 0).sum()) == 5
    assert float(jnp.sum((x - kept) ** 2)) <= 0.9 * float(jnp.sum(x**2))
    sampled = gossip.random_k(0.1).compress(key, x)
    assert int((sampled != 0).sum()) == 5
    keys = jax.random.split(key, 4000)
    rounded = jax.vmap(lambda k: gossip.quantize(3).compress(k, x))(keys)
    np.testing.assert_allclose(rounded.mean(axis=0), x, atol=0.05)
    assert len(np.unique(np.abs(np.asarray(rounded)).round(5))) <= 4
    np.testing.assert_array_equal(gossip.quantize(8).compress(key, jnp.zeros(4)), 0.0)
    signs = gossip.sign().compress(key, x)
    np.testing.assert_allclose(jnp.abs(signs), jnp.abs(x).mean(), rtol=1e-5)


def test_delay_shows_neighbours_their_past_and_agents_their_present(key):
    delays = np.arange(N) % 3
    rule = gossip.delayed(gossip.averaging(W), delays)
    history = [jax.random.normal(jax.random.fold_in(key, t), (N, 2)) for t in range(5)]
    state = rule.init(history[0])
    off = np.asarray(W.dense()) - np.diag(np.asarray(W.self_weights))
    mix = jax.jit(rule.mix)
    for t, now in enumerate(history):
        mixed, state, _ = mix(key, now, state, gossip.Exchange(jnp.int32(t)))
        sent = np.stack([np.asarray(history[max(t - delays[i], 0)])[i] for i in range(N)])
        wanted = np.asarray(W.self_weights)[:, None] * np.asarray(now) + off @ sent
        np.testing.assert_allclose(mixed, wanted, atol=1e-6)


def test_schedule_runs_each_rule_in_its_rounds(key):
    x = start(key)
    rule = gossip.scheduled(gossip.server(), gossip.at_rounds(3), gossip.identity())
    _, disagreement, _, traffic = jax.jit(lambda p: run(rule, p, 6, key))(x)
    np.testing.assert_allclose(disagreement[:3], agents.disagreement(x), rtol=1e-6)
    assert float(disagreement[3:].max()) < 1e-10
    np.testing.assert_array_equal(traffic.messages, [0, 0, 0, 2 * N, 0, 0])


def test_server_weights_and_absent_agents(key):
    x = jax.random.normal(key, (4, 3))
    present = jnp.array([True, True, False, True])
    alive = jnp.array([True, True, True, False])
    rule = gossip.server(jnp.array([1.0, 3.0, 5.0, 7.0]))
    out, _, traffic = jax.jit(rule.mix)(
        key, x, (), gossip.Exchange(0, alive=alive, participates=present)
    )
    wanted = (x[0] + 3 * x[1]) / 4
    np.testing.assert_allclose(out[:3], np.broadcast_to(wanted, (3, 3)), atol=1e-6)
    np.testing.assert_array_equal(out[3], x[3])
    assert float(traffic.messages) == 2 + 3


def test_random_neighbours_draw_distinct_uniform_peers(key):
    draw = gossip.random_neighbors(6, 2.25)
    operators = jax.jit(jax.vmap(lambda k: draw(k, 0)))(jax.random.split(key, 4000))
    matrices = np.asarray(jax.vmap(lambda w: w.dense())(operators))
    np.testing.assert_allclose(matrices.sum(axis=2), 1.0, atol=1e-6)
    received = (matrices > 0).sum(axis=2) - 1
    assert set(np.unique(received)) == {2, 3}
    assert received.mean() == pytest.approx(2.25, abs=0.02)
    frequency = (matrices > 0).mean(axis=0)
    others = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(frequency[others], 0.45, atol=0.03)
    ring = topology.ring(6)
    within = gossip.random_neighbors(6, 1.0, topology=ring)(key, 0)
    assert not np.asarray(within.dense())[others & ~np.asarray(ring.adjacency())].any()


@pytest.mark.slow
@pytest.mark.parametrize("members", [4, 16])
def test_averaging_independent_models_divides_variance_and_correction_restores_it(key, members):
    full = gossip.mixing(topology.complete(members), layout="dense")
    x = {"w": jax.random.normal(key, (members, 64, 64)), "b": jnp.zeros((members, 64))}
    before = gossip.layer_variance(x)["w"].mean()
    plain, *_ = jax.jit(gossip.averaging(full).mix)(key, x, (), gossip.Exchange(0))
    assert float(gossip.layer_variance(plain)["w"].mean() / before) == pytest.approx(
        1 / members, rel=0.1
    )
    for target in ("others", "self", "conservative"):
        rule = gossip.variance_corrected(full, target=target)
        fixed, *_ = jax.jit(rule.mix)(key, x, (), gossip.Exchange(0))
        np.testing.assert_allclose(gossip.layer_variance(fixed)["w"] / before, 1.0, rtol=0.05)
        np.testing.assert_array_equal(fixed["b"], 0.0)  # a constant layer stays, no 0/0
        np.testing.assert_allclose(
            fixed["w"].mean(axis=(1, 2)),
            x["w"].mean(axis=(1, 2)) * 0.5
            + 0.5 * (x["w"].mean(axis=(1, 2)).sum() - x["w"].mean(axis=(1, 2))) / (members - 1),
            atol=1e-5,
        )


def test_variance_correction_leaves_isolated_agents_unchanged(key):
    graph = topology.from_edges([(0, 1)], 3)
    rule = gossip.variance_corrected(gossip.mixing(graph, connected=False))
    x = jax.random.normal(key, (3, 10))
    out, *_ = jax.jit(rule.mix)(key, x, (), gossip.Exchange(0))
    np.testing.assert_array_equal(out[2], x[2])


def test_messages_reach_others_only(key):
    x = start(key)
    shifted = jax.tree.map(lambda v: v + 100.0, x)
    now = gossip.Exchange(0)
    for name in ("averaging", "chebyshev", "momentum", "matching", "variance"):
        rule = RULES[name]()
        plain = jax.jit(rule.mix)(key, x, rule.init(x), now)[0]
        same = jax.jit(rule.mix)(key, x, rule.init(x), now._replace(messages=x))[0]
        chex.assert_trees_all_close(same, plain)
        other = jax.jit(rule.mix)(key, x, rule.init(x), now._replace(messages=shifted))[0]
        assert float(jnp.abs(other["w"] - plain["w"]).max()) > 10.0


BAD = {
    "steps": (
        lambda: gossip.averaging(W, steps=0),
        "steps: expected a whole number of at least 1, got 0",
    ),
    "chebyshev row": (
        lambda: gossip.chebyshev(gossip.mixing(topology.star(4), "uniform"), steps=2),
        "doubly stochastic",
    ),
    "chebyshev sequence": (
        lambda: gossip.chebyshev(gossip.mixing(topology.stack([RING, RING])), steps=2),
        "single mixing operator",
    ),
    "eigenvalue": (lambda: gossip.chebyshev(W, steps=2, eigenvalue=1.0), r"\[0, 1\)"),
    "omega": (lambda: gossip.momentum_averaging(W, omega=2.0), r"omega.*\[1, 2\)"),
    "push row": (
        lambda: gossip.push_sum(gossip.mixing(topology.star(4), "uniform")),
        "column-stochastic",
    ),
    "self weight": (lambda: gossip.variance_corrected(W, self_weight=1.5), "self_weight"),
    "target": (lambda: gossip.variance_corrected(W, target="other"), "did you mean 'others'"),
    "epsilon": (lambda: gossip.variance_corrected(W, epsilon=0.0), "epsilon"),
    "fraction": (lambda: gossip.top_k(0.0), r"\(0, 1\]"),
    "bits": (lambda: gossip.quantize(1), "bits"),
    "cast": (lambda: gossip.cast("int8"), "dtype: expected a floating type .* got 'int8'"),
    "cast what": (lambda: gossip.cast("half a float"), "dtype: expected a floating type"),
    "step size": (
        lambda: gossip.compressed(gossip.averaging(W), gossip.sign(), step_size=0.0),
        "step_size",
    ),
    "delay": (lambda: gossip.delayed(gossip.averaging(W), -1), "delay"),
    "delays": (
        lambda: gossip.delayed(gossip.averaging(W), np.arange(3)).init(jnp.ones((N, 1))),
        "one per agent",
    ),
    "period": (lambda: gossip.every_k_rounds(0), "k: expected a whole number of at least 1"),
    "no rule": (lambda: gossip.scheduled(W, gossip.every_k_rounds(2)), "rule: expected a gossip"),
    "topology": (lambda: gossip.averaging(RING), "got Topology; call gossip.mixing"),
    "matrix": (lambda: gossip.averaging(np.eye(3)), "got ndarray; gossip.from_matrix"),
    "too many": (lambda: gossip.random_neighbors(4, 3.5), r"\[0, 3\]"),
    "negative": (lambda: gossip.random_neighbors(4, -0.1), "count"),
    "schedule": (lambda: gossip.random_neighbors(4, lambda t: 1.0), "maximum"),
    "directed pairs": (lambda: gossip.pairwise(topology.directed_ring(4)), "undirected"),
    "server": (lambda: gossip.server(jnp.array([1.0, -1.0])), "weights: expected finite"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
