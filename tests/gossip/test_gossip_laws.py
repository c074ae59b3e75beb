"""Laws that every rule, wrapper, robust rule and attack keeps, over all registered members.

Absent and NaN agents, lost messages, own clocks, dtypes, degenerate sizes. A rule that is added to
a registry of :mod:`jaxswarm.gossip` is covered here the same day; a new layout or wrapper goes into
``LAYOUTS`` or ``WRAPPERS``.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, network, topology

N = 8
RING, COMPLETE = topology.ring(N), topology.complete(N)
W = gossip.mixing(RING)
KEY = jax.random.key(7)
X = {"w": jax.random.normal(KEY, (N, 3)), "b": 1.0 + jax.random.normal(KEY, (N,))}
ABSENT = 2
THERE = jnp.arange(N) != ABSENT

LAYOUTS = {
    f"averaging, {graph.name}, {layout}": (
        lambda graph=graph, layout=layout, weights=weights: gossip.averaging(
            gossip.mixing(graph, weights, layout)
        )
    )
    for graph, layout, weights in [
        *[(RING, layout, "metropolis") for layout in ("circulant", "gather", "segment", "dense")],
        (topology.star(N), "gather", "metropolis"),
        (COMPLETE, "mean", "metropolis"),
        (COMPLETE, "dense", "metropolis"),
    ]
}
WRAPPERS = {
    "scheduled": lambda rule: gossip.scheduled(rule, gossip.every_k_rounds(1)),
    "delayed": lambda rule: gossip.delayed(rule, 2),
    "delayed by sender": lambda rule: gossip.delayed(rule, np.arange(N) % 3),
    "attacked": lambda rule: gossip.attacked(rule, gossip.attacks.no_attack(), ~THERE),
    "attacked by one of": lambda rule: gossip.attacked_by_one_of(
        rule, [gossip.attacks.no_attack()], 0, ~THERE
    ),
    "with_extras": lambda rule: gossip.with_extras(rule),
    "compressed": lambda rule: gossip.compressed(rule, gossip.top_k(0.5)),
    "compressed without feedback": lambda rule: gossip.compressed(
        rule, gossip.quantize(8), error_feedback=False
    ),
}
INNER = {
    "averaging": lambda: gossip.averaging(W),
    "complete mean": lambda: gossip.averaging(gossip.complete_mean(N)),
    "momentum": lambda: gossip.momentum_averaging(W),
    "variance": lambda: gossip.variance_corrected(W),
    "median": lambda: gossip.robust.median(RING),
}
RULES = {
    **{name: (lambda make=make: make(RING)) for name, make in gossip.RULES.items()},
    **{
        f"robust {name}": (lambda make=make: make(COMPLETE, 1))
        for name, make in gossip.ROBUST_RULES.items()
    },
    **LAYOUTS,
    "random neighbours": lambda: gossip.averaging(gossip.random_neighbors(N, 2.5)),
    "random neighbours of a graph": lambda: gossip.averaging(
        gossip.random_neighbors(N, 1.5, topology=RING)
    ),
    "matching": lambda: gossip.pairwise(RING, parallel=True),
    "two steps": lambda: gossip.averaging(W, steps=2),
    "sequence": lambda: gossip.averaging(gossip.mixing(topology.one_peer_exponential(N))),
    "doubly push-sum": lambda: gossip.push_sum(W),
    **{
        f"{name}({inner})": (lambda wrap=wrap, make=make: wrap(make()))
        for name, wrap in WRAPPERS.items()
        for inner, make in INNER.items()
        if inner == "averaging" or name in ("delayed", "compressed")
    },
}
ANSWERS_THE_ABSENT = {"server"}  # sampled clients begin with the server's model: see its docstring
KEEPS_FINITE = {name for name in RULES if "compressed" in name or name == "choco"}


@functools.cache
def rule_of(name):
    """The rule, and its mix compiled once for all tests of absence: masks are arguments."""
    rule = RULES[name]()
    all_agents = jnp.ones(N, bool)

    @jax.jit
    def mix(index, params, state, alive, participates):
        exchange = gossip.Exchange(index, alive=alive, participates=participates)
        return rule.mix(jax.random.fold_in(KEY, index), params, state, exchange)

    def rounds(params, alive=all_agents, participates=all_agents, count=3):
        state = rule.init(params)
        for index in range(count):
            params, state, traffic = mix(jnp.int32(index), params, state, alive, participates)
        return params, state, traffic

    return rule, rounds


compiled = functools.cache(jax.jit)


def rounds(rule, params, exchange, count=3):
    """Mix a few rounds: parameters, the rule's state and the traffic of each round."""
    state, traffic = rule.init(params), []
    for index in range(count):
        now = exchange._replace(index=jnp.int32(index))
        key = jax.random.fold_in(KEY, index)
        params, state, sent = compiled(rule.mix)(key, params, state, now)
        traffic.append(sent)
    return params, state, traffic


def spoiled(params, value):
    def spoil(x):
        x = np.array(x)
        x[ABSENT] = value
        return jnp.asarray(x)

    return jax.tree.map(spoil, params)


def row(tree, agent=ABSENT):
    return jax.tree.map(lambda x: np.asarray(x)[agent], tree)


def absences(name):
    yield {"alive": THERE}
    if name not in ANSWERS_THE_ABSENT:
        yield {"participates": THERE}


@pytest.mark.parametrize("name", RULES)
def test_absent_agents_have_no_influence_and_keep_their_parameters_to_the_bit(name):
    _, mixed = rule_of(name)
    for absence in absences(name):
        wanted, _, _ = mixed(X, **absence)
        chex.assert_trees_all_equal(row(wanted), row(X))
        for value in (jnp.nan, jnp.inf):
            params, _, _ = mixed(spoiled(X, value), **absence)
            for leaf, like in zip(jax.tree.leaves(params), jax.tree.leaves(wanted), strict=True):
                others = np.asarray(THERE)
                np.testing.assert_array_equal(np.asarray(leaf)[others], np.asarray(like)[others])
                assert not np.isfinite(np.asarray(leaf)[ABSENT]).any()


@pytest.mark.parametrize("name", RULES)
def test_a_round_without_any_agent_changes_nothing(name):
    _, mixed = rule_of(name)
    for absence in absences(name):
        (field,) = absence
        params, _, traffic = mixed(X, **{field: jnp.zeros(N, bool)}, count=1)
        chex.assert_trees_all_equal(params, X)
        assert float(traffic.messages) == float(traffic.bytes) == 0


def takes_flags_of_the_ring(name):
    rule, _ = rule_of(name)
    flags = jnp.zeros(RING.num_edge_slots, bool)
    exchange = gossip.Exchange(jnp.int32(0), delivered=flags)
    try:
        jax.eval_shape(rule.mix, KEY, X, jax.eval_shape(rule.init, X), exchange)
    except ValueError:
        return False
    return name not in ("server", "identity")


def test_what_is_not_delivered_has_no_influence():
    members = [name for name in RULES if takes_flags_of_the_ring(name)]
    assert len(members) > 20
    ends = (jnp.asarray(RING.senders), jnp.asarray(RING.receivers))
    cut = gossip.Exchange(0, delivered=(ends[0] != ABSENT) & (ends[1] != ABSENT))
    lost = gossip.Exchange(0, delivered=jnp.zeros(RING.num_edge_slots, bool))
    for name in members:
        rule, _ = rule_of(name)
        params, _, _ = rounds(rule, X, lost, 1)
        # Push-sum divides by its weight.
        chex.assert_trees_all_close(params, X, rtol=3e-7 if "push" in name else 0, atol=0)
        params, _, _ = rounds(rule, spoiled(X, jnp.nan), cut, 1)
        for leaf in jax.tree.leaves(params):
            finite = np.isfinite(np.asarray(leaf)).reshape(N, -1).all(axis=1)
            np.testing.assert_array_equal(finite, THERE, err_msg=name)


@pytest.mark.parametrize("name", RULES)
def test_masks_and_tables_of_another_length_are_refused_with_both_numbers(name):
    rule, _ = rule_of(name)
    if name == "identity":
        return
    for field in ("alive", "participates"):
        for mask in (jnp.ones(N - 1, bool), jnp.ones(N), np.ones((N, 1), bool)):
            with pytest.raises(ValueError, match=rf"{field}: expected bool\[{N}\], got"):
                rule.mix(KEY, X, rule.init(X), gossip.Exchange(0, **{field: mask}))
    if name in ("server", "robust averaging") or name.startswith("compressed") or name == "choco":
        return
    with pytest.raises(ValueError, match=r"delivered: expected bool\[\d+\], got bool\[3\]"):
        rule.mix(KEY, X, rule.init(X), gossip.Exchange(0, delivered=jnp.ones(3, bool)))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_living_agent_that_is_not_finite_reaches_its_out_neighbors_only(name):
    graph = next(g for g in (RING, topology.star(N), COMPLETE) if f", {g.name}," in name)
    adjacency = graph.adjacency()
    for agent in (0, 3):
        for value in (jnp.nan, jnp.inf, -jnp.inf):
            params = jax.tree.map(lambda x: x.at[agent].set(value), X)  # noqa: B023
            mixed = rounds(RULES[name](), params, gossip.Exchange(0), 1)[0]
            wanted = np.asarray(adjacency)[agent] | (np.arange(N) == agent)
            for leaf in jax.tree.leaves(mixed):
                found = ~np.isfinite(np.asarray(leaf)).reshape(N, -1).all(axis=1)
                np.testing.assert_array_equal(found, wanted)
    one_entry = X["w"].at[3, 1].set(jnp.nan)
    mixed = rounds(RULES[name](), one_entry, gossip.Exchange(0), 1)[0]
    assert np.isfinite(np.asarray(mixed)[:, [0, 2]]).all()


def test_weights_of_zero_select_and_stay_differentiable():
    weights = jnp.full(RING.num_edge_slots, 0.25).at[jnp.asarray(RING.senders) == ABSENT].set(0.0)
    for layout in ("circulant", "gather", "segment", "dense"):

        def mixed(weights, x, layout=layout):
            return gossip.mix(gossip.mixing(RING, weights, layout, connected=False), x)

        out = mixed(weights, X["b"].at[ABSENT].set(jnp.nan))
        np.testing.assert_array_equal(np.isfinite(out), THERE)
        slope = jax.grad(lambda w: jnp.sum(jnp.square(mixed(w, X["b"]))))(weights)
        oracle = jax.grad(
            lambda w: jnp.sum(
                jnp.square(gossip.mixing(RING, w, "dense", connected=False).dense() @ X["b"])
            )
        )(weights)
        np.testing.assert_allclose(slope, oracle, atol=1e-5)


@pytest.mark.parametrize("attack", gossip.ATTACKS)
def test_attacks_do_not_read_absent_or_nan_agents(attack):
    byzantine = jnp.arange(N) == N - 1
    rule = gossip.attacked(
        gossip.robust.median(COMPLETE), gossip.ATTACKS[attack](COMPLETE, 1), byzantine
    )
    plain = gossip.attacked(
        gossip.averaging(gossip.mixing(COMPLETE)), gossip.ATTACKS[attack](COMPLETE, 1), byzantine
    )
    for each in (rule, plain):
        params, _, _ = rounds(each, spoiled(X, jnp.nan), gossip.Exchange(0, alive=THERE))
        chex.assert_tree_all_finite(jax.tree.map(lambda x: x[np.asarray(THERE)], params))
        chex.assert_trees_all_equal(
            row(rounds(rule, X, gossip.Exchange(0, alive=THERE))[0]), row(X)
        )


# --- own clocks ---------------------------------------------------------------------------------


def test_a_schedule_advances_what_it_schedules():
    sequence = gossip.mixing(topology.one_peer_exponential(N))  # exact after three exchanges
    for period in (2, 3):
        rule = gossip.scheduled(gossip.averaging(sequence), gossip.every_k_rounds(period))
        params = rounds(rule, X, gossip.Exchange(0), 3 * period)[0]
        assert float(agents.disagreement(params)) < 1e-12
    nested = gossip.scheduled(
        gossip.scheduled(gossip.averaging(sequence), gossip.every_k_rounds(2)),
        gossip.every_k_rounds(3),
    )
    assert float(agents.disagreement(rounds(nested, X, gossip.Exchange(0), 18)[0])) < 1e-12
    assert float(agents.disagreement(rounds(nested, X, gossip.Exchange(0), 17)[0])) > 1e-3


@pytest.mark.parametrize("make", ["delayed", "delayed_averaging", "robust sequence"])
def test_delays_and_sequences_inside_a_schedule_receive_fresh_messages(make):
    rule = {
        "delayed": lambda: gossip.delayed(gossip.averaging(W), 2),
        "delayed_averaging": lambda: gossip.delayed_averaging(W, np.full(2 * N, 2)),
        "robust sequence": lambda: gossip.robust.centered_clipping(
            topology.one_peer_exponential(N), 1e9
        ),
    }[make]()
    rule = gossip.scheduled(rule, gossip.every_k_rounds(3))
    params, state = X, rule.init(X)
    for index in range(90):  # every agent shrinks to zero
        params = jax.tree.map(lambda x: 0.9 * x, params)
        exchange = gossip.Exchange(jnp.int32(index))
        params, state, _ = compiled(rule.mix)(KEY, params, state, exchange)
    assert max(float(jnp.abs(x).max()) for x in jax.tree.leaves(params)) < 0.2


def test_of_an_agent_that_was_absent_neighbors_receive_what_it_sent_last():
    rule = gossip.delayed(gossip.averaging(W), 1)
    state = rule.init(X["b"])
    gone = gossip.Exchange(jnp.int32(0), alive=THERE)
    _, state, _ = rule.mix(KEY, X["b"].at[ABSENT].set(jnp.nan), state, gone)
    params, _, _ = rule.mix(KEY, X["b"], state, gossip.Exchange(jnp.int32(1)))
    assert bool(jnp.isfinite(params).all())


# --- messages one by one ------------------------------------------------------------------------


@pytest.mark.parametrize("graph", [COMPLETE, RING], ids=lambda g: g.name)
def test_loss_hits_drawn_messages_one_by_one(graph):
    loss, slots = network.link_loss(graph, 0.3), 2.0
    rule = gossip.averaging(gossip.random_neighbors(N, slots, topology=graph))

    def messages(key):
        exchange = loss.step(jax.random.fold_in(key, 1), (), jnp.int32(0))[1]
        return rule.mix(key, X, (), exchange)[2].messages

    seen = np.asarray(jax.jit(jax.vmap(messages))(jax.random.split(KEY, 400)))
    np.testing.assert_allclose(seen.mean(), 0.7 * slots * N, rtol=0.05)
    np.testing.assert_allclose(seen.var(), 0.21 * slots * N, rtol=0.35)
    all_pairs = gossip.averaging(gossip.random_neighbors(N, 2.0))
    down = jnp.asarray(COMPLETE.senders) == ABSENT
    exchange = gossip.Exchange(0, delivered=~down)
    for index in range(5):
        out = all_pairs.mix(
            jax.random.fold_in(KEY, index), X["b"].at[ABSENT].set(jnp.nan), (), exchange
        )[0]
        assert bool(jnp.isfinite(out[np.asarray(THERE)]).all())


# --- error feedback -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", gossip.COMPRESSORS)
def test_public_copies_change_only_when_their_agent_sends(name):
    options = (0.5,) if name in ("top_k", "random_k") else ()
    compressor = gossip.COMPRESSORS[name](*options)
    rule = gossip.compressed(gossip.averaging(W), compressor)
    for exchange in (gossip.Exchange(0, alive=THERE), gossip.Exchange(0, participates=THERE)):
        _, state, _ = rounds(rule, spoiled(X, jnp.nan), exchange)
        chex.assert_trees_all_equal(row(state.public), jax.tree.map(jnp.zeros_like, row(X)))
        chex.assert_tree_all_finite(state.public)
    silent = gossip.scheduled(gossip.averaging(W), gossip.every_k_rounds(9))
    _, state, traffic = rounds(gossip.compressed(silent, compressor), X, gossip.Exchange(0))
    chex.assert_trees_all_equal(state.public, jax.tree.map(jnp.zeros_like, X))
    assert sum(float(t.bytes) for t in traffic) == 0


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


@pytest.mark.parametrize("name", sorted(set(RULES) - KEEPS_FINITE))
def test_agreement_is_a_fixed_point_in_half_precision(name):
    same = {"w": jnp.full((N, 3), 0.7, jnp.bfloat16), "b": jnp.full(N, -300.0, jnp.float16)}
    chex.assert_trees_all_equal(rounds(rule_of(name)[0], same, gossip.Exchange(0), 1)[0], same)


@pytest.mark.parametrize(
    "dtype",
    [jnp.float16, *(pytest.param(x, marks=pytest.mark.slow) for x in (jnp.bfloat16, jnp.float32))],
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


@pytest.mark.parametrize("name", sorted(set(RULES) - {"identity"}))
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
        exchanges = [gossip.Exchange(0), gossip.Exchange(0, alive=jnp.ones(n, bool))]
        if name not in {"choco", *NO_GRAPH}:
            loss = network.link_loss(graph, 0.5)
            exchanges.append(loss.step(KEY, loss.init(), jnp.int32(0))[1])
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
        made = jax.vmap(lambda g: gossip.mixing(g, connected=False, layout=layout).dense())(graphs)  # noqa: B023
        np.testing.assert_allclose(made[1], wanted, atol=1e-6)
    for layout in ("gather", "circulant", "mean"):
        with pytest.raises(ValueError, match=r"layout: expected 'segment' or 'dense'"):
            jax.vmap(lambda g: gossip.mixing(g, connected=False, layout=layout).dense())(graphs)  # noqa: B023
