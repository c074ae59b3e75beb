"""Laws of absent and NaN agents, lost messages, own clocks and feedback, over all rules."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, network, topology
from tests.gossip.members import (
    ABSENT,
    COMPLETE,
    KEY,
    LAYOUTS,
    RING,
    RULES,
    THERE,
    N,
    W,
    X,
    absences,
    compiled,
    marked,
    rounds,
    row,
    rule_of,
    spoiled,
    wrapped_once,
)


@pytest.mark.parametrize("name", wrapped_once(RULES))
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


@pytest.mark.parametrize("name", marked(RULES))
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


COMPOSED = {x.values[0] for x in wrapped_once(RULES) if not isinstance(x, str)}


@pytest.mark.parametrize(
    "composed", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["rules", "composed"]
)
def test_what_is_not_delivered_has_no_influence(composed):
    members = [x for x in RULES if (x in COMPOSED) == composed and takes_flags_of_the_ring(x)]
    assert len(members) >= (3 if composed else 20)
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


@pytest.mark.parametrize("name", marked(RULES))
def test_masks_and_tables_of_another_length_are_refused_with_both_numbers(name):
    rule, _ = rule_of(name)
    if name == "identity":
        return
    state = rule.init(X)
    for field in ("alive", "participates"):
        for mask in (jnp.ones(N - 1, bool), jnp.ones(N), np.ones((N, 1), bool)):
            with pytest.raises(ValueError, match=rf"{field}: expected bool\[{N}\], got"):
                rule.mix(KEY, X, state, gossip.Exchange(0, **{field: mask}))
    if name in ("server", "robust averaging") or name.startswith("compressed") or name == "choco":
        return
    with pytest.raises(ValueError, match=r"delivered: expected bool\[\d+\], got bool\[3\]"):
        rule.mix(KEY, X, state, gossip.Exchange(0, delivered=jnp.ones(3, bool)))


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

    def mixed(weights, x, layout):
        return gossip.mix(gossip.mixing(RING, weights, layout, connected=False), x)

    def oracle(weights):
        matrix = gossip.mixing(RING, weights, "dense", connected=False).dense()
        return jnp.sum(jnp.square(matrix @ X["b"]))

    @jax.jit
    def every_layout(weights):
        found = {}
        for layout in ("circulant", "gather", "segment", "dense"):
            out = mixed(weights, X["b"].at[ABSENT].set(jnp.nan), layout)
            square = lambda w, layout=layout: jnp.sum(jnp.square(mixed(w, X["b"], layout)))  # noqa: E731
            found[layout] = out, jax.grad(square)(weights)
        return found, jax.grad(oracle)(weights)

    found, wanted = every_layout(weights)
    for layout, (out, slope) in found.items():
        np.testing.assert_array_equal(np.isfinite(out), THERE, err_msg=layout)
        np.testing.assert_allclose(slope, wanted, atol=1e-5, err_msg=layout)


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
    masks = (THERE, jnp.ones(N, bool))  # one program for both
    for alive, participates in (masks, masks[::-1]):
        exchange = gossip.Exchange(0, alive=alive, participates=participates)
        _, state, _ = rounds(rule, spoiled(X, jnp.nan), exchange)
        chex.assert_trees_all_equal(row(state.public), jax.tree.map(jnp.zeros_like, row(X)))
        chex.assert_tree_all_finite(state.public)
    silent = gossip.scheduled(gossip.averaging(W), gossip.every_k_rounds(9))
    _, state, traffic = rounds(gossip.compressed(silent, compressor), X, gossip.Exchange(0))
    chex.assert_trees_all_equal(state.public, jax.tree.map(jnp.zeros_like, X))
    assert sum(float(t.bytes) for t in traffic) == 0
