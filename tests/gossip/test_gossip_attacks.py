"""Attacks replace the messages of Byzantine agents only, as their papers define them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, gossip, topology
from jaxswarm.gossip import attacks, robust
from jaxswarm.gossip.attacks._alie import largest_z

N = 12
GRAPH = topology.random_regular(N, 4, seed=2)
W = gossip.mixing(GRAPH)
MATRIX = np.asarray(W.dense())
BYZANTINE = jnp.arange(N) >= 10
HONEST = ~np.asarray(BYZANTINE)
KEY = jax.random.key(1)
X = {"w": jax.random.normal(KEY, (N, 3, 2)), "b": 1.0 + jax.random.normal(KEY, (N, 4))}
ROUND = gossip.Exchange(jnp.int32(0))
EVERYTHING = frozenset(gossip.FEATURES)


def flat(tree):
    return np.asarray(agents.ravel(tree)[0])


def make(name):
    """The attack of this name, as the registry makes it."""
    return gossip.ATTACKS[name](GRAPH, 1)


def sent_under(attack, byzantine=BYZANTINE):
    """The exchange that a rule is given when ``attack`` wraps it."""

    def record(key, params, state, exchange):
        fields = {"messages": exchange.messages, "per_receiver": exchange.per_receiver}
        return fields, state, gossip.no_traffic()

    rule = gossip.GossipTransformation(lambda params: (), record, EVERYTHING)
    attacked = gossip.attacked(rule, attack, byzantine)
    return jax.jit(lambda: attacked.mix(KEY, X, attacked.init(X), ROUND)[0])()


@pytest.mark.parametrize("name", gossip.ATTACKS)
def test_honest_messages_and_own_parameters_are_untouched(name):
    sent = sent_under(make(name))
    np.testing.assert_array_equal(flat(sent["messages"])[HONEST], flat(X)[HONEST])
    rule = gossip.attacked(gossip.averaging(W), make(name), jnp.zeros(N, bool))
    got, _, _ = jax.jit(rule.mix)(KEY, X, rule.init(X), ROUND)
    np.testing.assert_allclose(flat(got), MATRIX @ flat(X), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", gossip.ROBUST_RULES)
def test_every_attack_composes_with_every_robust_rule(name):
    rule = gossip.ROBUST_RULES[name](GRAPH, 1)
    every = [make(attack) for attack in gossip.ATTACKS]

    def under(which):
        attacked = gossip.attacked_by_one_of(rule, every, which, BYZANTINE)
        return attacked.mix(KEY, X, attacked.init(X), ROUND)

    got, _, traffic = jax.jit(jax.vmap(under))(jnp.arange(len(every)))
    assert jax.tree.structure(got) == jax.tree.structure(X)
    for leaf in jax.tree.leaves(got):
        assert np.isfinite(leaf).all()
    np.testing.assert_array_equal(traffic.messages, GRAPH.num_edge_slots)


def test_messages_are_what_the_papers_say():
    x, mean, deviation = flat(X), flat(X)[HONEST].mean(axis=0), flat(X)[HONEST].std(axis=0)
    bad = ~HONEST
    flipped = flat(sent_under(attacks.sign_flip(2.0))["messages"])
    np.testing.assert_allclose(flipped[bad], -2.0 * x[bad], rtol=1e-6)
    little = flat(sent_under(attacks.alie(1.5))["messages"])
    np.testing.assert_allclose(little[bad], np.tile(mean - 1.5 * deviation, (2, 1)), atol=1e-5)
    backwards = flat(sent_under(attacks.inner_product_manipulation(0.5))["messages"])
    np.testing.assert_allclose(backwards[bad], np.tile(-0.5 * mean, (2, 1)), atol=1e-6)
    noisy = flat(sent_under(attacks.scaled_noise(3.0))["messages"])
    assert 1.0 < (noisy - x)[bad].std() < 5.0
    assert np.abs(noisy[10] - noisy[11]).max() > 0.1
    copies = flat(sent_under(attacks.sybil_copies())["messages"])
    np.testing.assert_array_equal(copies[bad], np.tile(x[10], (2, 1)))


def test_a_little_is_enough_takes_the_largest_unsuspicious_z():
    table = [float(largest_z(jnp.arange(50) < m)) for m in (5, 12, 24)]
    assert np.allclose(table[1], 0.35, atol=0.1)  # n = 50, m = 12: 14 supporters of 38
    assert table == sorted(table)


def test_dissensus_stops_averaging_where_it_can_and_nowhere_else():
    rule = gossip.attacked(gossip.averaging(W), attacks.dissensus(W), BYZANTINE)
    got = flat(jax.jit(rule.mix)(KEY, X, (), ROUND)[0])
    touched = (MATRIX[:, ~HONEST] > 0).any(axis=1) & HONEST
    assert 0 < touched.sum() < HONEST.sum()
    np.testing.assert_allclose(got[touched], flat(X)[touched], atol=1e-5)
    free = HONEST & ~touched
    np.testing.assert_allclose(got[free], (MATRIX @ flat(X))[free], atol=1e-5)
    stronger = gossip.attacked(gossip.averaging(W), attacks.dissensus(W, 3.0), BYZANTINE)
    pushed = flat(jax.jit(stronger.mix)(KEY, X, (), ROUND)[0])
    away = np.linalg.norm(pushed - MATRIX @ flat(X), axis=1)
    assert (away[touched] > np.linalg.norm(got - MATRIX @ flat(X), axis=1)[touched]).all()


@pytest.mark.parametrize("layout", ["gather", "segment", "dense"])
def test_averaging_and_robust_rules_receive_the_same_messages_per_receiver(layout):
    def replaced(factor):
        messages = jax.tree.map(lambda x: factor * x, X)
        return ROUND._replace(per_receiver=gossip.PerReceiverMessages(BYZANTINE, messages))

    rule = gossip.averaging(gossip.mixing(GRAPH, "uniform", layout))
    averaged, _, _ = jax.jit(rule.mix)(KEY, X, (), replaced(3.0))
    trimmed = robust.trimmed_mean(GRAPH, 0)
    robustly, _, _ = jax.jit(trimmed.mix)(KEY, X, (), replaced(3.0))
    np.testing.assert_allclose(flat(averaged), flat(robustly), atol=1e-5)
    assert np.isfinite(flat(jax.jit(trimmed.mix)(KEY, X, (), replaced(jnp.nan))[0])).all()


def test_two_groups_of_attackers_compose():
    first, second = jnp.arange(N) == 10, jnp.arange(N) == 11
    rule = gossip.attacked(
        gossip.attacked(gossip.averaging(W), attacks.sign_flip(), first),
        attacks.inner_product_manipulation(),
        second,
    )
    got = flat(jax.jit(rule.mix)(KEY, X, (), ROUND)[0])
    sent = flat(X).copy()
    sent[11] = -np.delete(flat(X), 11, axis=0).mean(axis=0)
    sent[10] = -sent[10]
    expected = np.diag(MATRIX)[:, None] * flat(X) + (MATRIX - np.diag(np.diag(MATRIX))) @ sent
    np.testing.assert_allclose(got, expected, atol=1e-5)
    mixed = gossip.attacked(
        gossip.attacked(robust.median(GRAPH), attacks.sign_flip(), first),
        attacks.dissensus(W),
        second,
    )
    assert np.isfinite(flat(jax.jit(mixed.mix)(KEY, X, (), ROUND)[0])).all()


@pytest.mark.slow
def test_attackers_can_be_swept_in_one_program():
    masks = jnp.arange(N)[None, :] < jnp.arange(3)[:, None]

    def run(mask):
        rule = gossip.attacked(robust.trimmed_mean(GRAPH, 2), attacks.alie(), mask)
        return rule.mix(KEY, X, (), ROUND)[0]

    assert flat(jax.vmap(run)(masks)["w"][0][None]).shape == (1, N * 6)


@pytest.mark.slow
def test_repeated_attacks_break_averaging_but_not_the_trimmed_mean():
    """The control must fail: one attacker pulls all agents that average out of the honest hull."""
    graph = topology.complete(N)
    byzantine = jnp.arange(N) == 0
    ends = {}
    for name in ("averaging", "trimmed_mean", "median"):
        rule = gossip.attacked(
            gossip.ROBUST_RULES[name](graph, 2), attacks.scaled_noise(1e3), byzantine
        )

        def body(carry, r, rule=rule):
            new = jax.jit(rule.mix)(
                jax.random.fold_in(KEY, r), carry[0], carry[1], gossip.Exchange(r)
            )
            return (new[0], new[1]), None

        carry, _ = jax.lax.scan(body, (X, rule.init(X)), jnp.arange(20))
        ends[name] = np.abs(flat(carry[0])[1:]).max()
    assert ends["averaging"] > 100
    assert ends["trimmed_mean"] <= np.abs(flat(X)).max()
    assert ends["median"] <= np.abs(flat(X)).max()


def test_links_of_one_delay_are_the_wrapper_of_that_delay():
    late = gossip.delayed_averaging(W, np.full(GRAPH.num_edge_slots, 2))
    other = gossip.delayed(gossip.averaging(W), 2)
    a, b = X, X
    state_a, state_b = late.init(X), other.init(X)
    for r in range(5):
        a, state_a, _ = jax.jit(late.mix)(KEY, a, state_a, gossip.Exchange(jnp.int32(r)))
        b, state_b, _ = jax.jit(other.mix)(KEY, b, state_b, gossip.Exchange(jnp.int32(r)))
    np.testing.assert_allclose(flat(a), flat(b), atol=1e-6)


@pytest.mark.parametrize("layout", ["gather", "segment", "dense"])
def test_every_link_can_have_its_own_delay(layout):
    from jaxswarm import network

    delays = network.uniform_delays(KEY, GRAPH, 0, 3)
    rule = gossip.delayed_averaging(gossip.mixing(GRAPH, layout=layout), delays)
    state, x, past = rule.init(X), X, []
    dense = np.zeros((N, N), int)
    dense[GRAPH.receivers, GRAPH.senders] = delays
    for r in range(6):
        past.append(flat(x))
        x, state, _ = jax.jit(rule.mix)(KEY, x, state, gossip.Exchange(jnp.int32(r)))
        expected = np.diag(MATRIX)[:, None] * past[-1]
        for d in range(4):
            part = np.where((dense == d) & ~np.eye(N, dtype=bool), MATRIX, 0.0)
            expected = expected + part @ past[max(r - d, 0)]
        np.testing.assert_allclose(flat(x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: gossip.attacked(gossip.averaging(W), attacks.alie(), np.ones(N, bool)), "honest"),
        (lambda: gossip.attacked(gossip.averaging(W), attacks.alie(), np.ones(N)), "byzantine"),
        (
            lambda: gossip.attacked(gossip.pairwise(GRAPH), attacks.dissensus(W), BYZANTINE),
            "expects a rule that supports per_receiver, got one that supports messages",
        ),
        (lambda: gossip.attacked(W, attacks.alie(), BYZANTINE), "rule: expected a gossip rule"),
        (
            lambda: gossip.attacked(gossip.averaging(W), attacks.alie, BYZANTINE),
            "attack: expected an Attack",
        ),
        (
            lambda: gossip.attacked_by_one_of(
                gossip.averaging(W), [attacks.alie(), attacks.sign_flip()], 2, BYZANTINE
            ),
            r"which: expected an index in \[0, 2\), got 2",
        ),
        (
            lambda: gossip.attacked(gossip.averaging(W), attacks.alie(), BYZANTINE[:5]).mix(
                KEY, X, (), ROUND
            ),
            "lead with 5",
        ),
        (
            lambda: gossip.attacked(
                gossip.attacked(gossip.averaging(W), attacks.dissensus(W), BYZANTINE),
                attacks.dissensus(W),
                BYZANTINE,
            ),
            "supports per_receiver",
        ),
        (
            lambda: attacks.check_byzantine_neighbors(topology.complete(5), np.arange(5) < 2, 1),
            "more Byz",
        ),
        (
            lambda: attacks.check_byzantine_neighbors(topology.path(3), np.arange(3) == 1, 1),
            "no honest",
        ),
        (lambda: attacks.check_byzantine_neighbors(GRAPH, np.zeros(3, bool), 1), "byzantine"),
        (lambda: gossip.delayed_averaging(W, np.array([-1])), "delays"),
        (lambda: gossip.delayed_averaging(W, np.array([0.5])), "delays"),
    ],
)
def test_bad_input_is_named(make, said):
    with pytest.raises(ValueError, match=said):
        make()
