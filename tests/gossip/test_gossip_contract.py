"""The contract of rules: registered members keep the laws, unsupported wrappers are refused."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import gossip, topology
from jaxswarm.gossip import attacks

N = 8
GRAPH = topology.complete(N)
W = gossip.mixing(GRAPH, layout="gather")
BYZANTINE = jnp.arange(N) == N - 1
KEY = jax.random.key(3)
X = {"w": jax.random.normal(KEY, (N, 3)), "b": 1.0 + jax.random.normal(KEY, (N,))}
ROUND = gossip.Exchange(jnp.int32(0))

EVERY_RULE = {
    **{name: (lambda make=make: make(GRAPH)) for name, make in gossip.RULES.items()},
    **{
        f"robust {name}": (lambda make=make: make(GRAPH, 1))
        for name, make in gossip.ROBUST_RULES.items()
    },
}
SILENT = {"identity"}


compiled = functools.cache(jax.jit)
rule_of = functools.cache(lambda name: EVERY_RULE[name]())


def mixed(rule, exchange=ROUND, params=X):
    return compiled(rule.mix)(KEY, params, rule.init(params), exchange)


@pytest.mark.parametrize("name", EVERY_RULE)
def test_every_registered_rule_keeps_the_laws(name):
    rule = rule_of(name)
    assert set(rule.supports) <= set(gossip.FEATURES)
    params, state, traffic = mixed(rule)
    chex.assert_trees_all_equal_shapes_and_dtypes(params, X)
    chex.assert_trees_all_equal_shapes_and_dtypes(state, rule.init(X))
    chex.assert_tree_all_finite(params)
    assert (float(traffic.bytes) > 0) == (name not in SILENT)
    same = jax.tree.map(lambda x: np.repeat(np.asarray(x)[:1], N, axis=0), X)
    if name != "choco":  # whose public copies start at zero
        chex.assert_trees_all_close(mixed(rule, params=same)[0], same, atol=1e-5)
    if name not in ("choco", "server"):  # the server answers agents that do not take part
        absent = ROUND._replace(participates=jnp.arange(N) != 2)
        alone = mixed(rule, absent)[0]
        own, before = (jax.tree.map(lambda x: np.asarray(x)[2], tree) for tree in (alone, X))
        chex.assert_trees_all_close(own, before, atol=1e-6)


@pytest.mark.parametrize("name", EVERY_RULE)
def test_what_a_rule_supports_reaches_others_and_the_rest_is_refused(name):
    rule = rule_of(name)
    if "messages" in rule.supports:
        equal = mixed(rule, ROUND._replace(messages=X))[0]
        chex.assert_trees_all_close(equal, mixed(rule)[0], atol=1e-6)
        if name not in SILENT:
            wrong = ROUND._replace(messages={"w": X["w"]})
            with pytest.raises(ValueError, match=r"messages: expected the parameters' shapes"):
                rule.mix(KEY, X, rule.init(X), wrong)
        attacked = gossip.attacked(rule, attacks.sign_flip(), BYZANTINE)
        chex.assert_tree_all_finite(mixed(attacked)[0])
    else:
        for refused in (
            lambda: gossip.attacked(rule, attacks.sign_flip(), BYZANTINE),
            lambda: gossip.attacked_by_one_of(rule, [attacks.alie()], 0, BYZANTINE),
            lambda: gossip.sybil_attack(rule, BYZANTINE, ~BYZANTINE),
            lambda: gossip.delayed(rule, 1),
            lambda: gossip.compressed(rule, gossip.sign()),
        ):
            with pytest.raises(ValueError, match="expects a rule that supports messages"):
                refused()
    if "per_receiver" not in rule.supports:
        with pytest.raises(ValueError, match="expects a rule that supports per_receiver"):
            gossip.attacked(rule, attacks.dissensus(W), BYZANTINE)
    if "context" not in rule.supports:
        with pytest.raises(ValueError, match="with_extras expects a rule that supports context"):
            gossip.with_extras(rule, context=X["w"])


@pytest.mark.parametrize("name", gossip.ATTACKS)
def test_every_registered_attack_is_made_of_the_same_arguments(name):
    attack = gossip.ATTACKS[name](GRAPH, 1)
    rule = gossip.attacked(gossip.averaging(W), attack, BYZANTINE)
    state, params = rule.init(X), X
    step = compiled(rule.mix)
    for index in range(2):
        exchange = gossip.Exchange(jnp.int32(index))
        params, state, _ = step(jax.random.fold_in(KEY, index), params, state, exchange)
    chex.assert_tree_all_finite(params)
    honest = mixed(gossip.averaging(W))[0]
    changed = float(jnp.abs(mixed(rule)[0]["w"] - honest["w"]).max()) > 1e-6
    # One Sybil alone sends its own model.
    assert changed == (name not in ("none", "sybil_copies"))
    chosen = gossip.attacked_by_one_of(gossip.averaging(W), [attacks.alie(), attack], 1, BYZANTINE)
    chex.assert_trees_all_close(mixed(chosen)[0], mixed(rule)[0], atol=1e-6)


COMPRESSORS = {"top_k": (0.5,), "random_k": (0.5,), "quantize": (), "sign": (), "cast": ()}


@pytest.mark.parametrize("name", gossip.COMPRESSORS)
def test_every_registered_compressor_is_that_of_choco(name):
    compressor = gossip.COMPRESSORS[name](*COMPRESSORS[name])
    short = gossip.choco(W, compressor, 0.3)
    long = gossip.compressed(gossip.averaging(W), compressor, step_size=0.3)
    chex.assert_trees_all_equal(mixed(short), mixed(long))
    assert 0 < float(mixed(short)[2].bytes) < float(mixed(gossip.averaging(W))[2].bytes) * 2.1


def test_a_rule_of_ones_own_says_what_it_supports():
    def mix(key, params, state, exchange):
        sent = exchange.sent(params)
        return gossip.mix(W, params, sent), state, gossip.traffic_of(W.num_messages(), params)

    silent = gossip.GossipTransformation(lambda params: (), mix)
    with pytest.raises(ValueError, match="supports messages, got one that supports nothing"):
        gossip.delayed(silent, 1)
    rule = gossip.GossipTransformation(lambda params: (), mix, supports={"messages"})
    for wrapped in (
        gossip.delayed(rule, 1),
        gossip.compressed(rule, gossip.cast()),
        gossip.attacked(rule, attacks.alie(), BYZANTINE),
        gossip.scheduled(rule, gossip.every_k_rounds(1)),
    ):
        chex.assert_tree_all_finite(mixed(wrapped)[0])


def test_wrappers_pass_on_what_they_keep():
    averaging, push_sum = gossip.averaging(W), gossip.RULES["push_sum"](GRAPH)
    always = gossip.every_k_rounds(1)
    assert gossip.scheduled(averaging, always).supports == averaging.supports
    assert gossip.scheduled(averaging, always, push_sum).supports == {"messages", "only_fresh"}
    assert gossip.delayed(averaging, 1).supports == {"messages"}
    assert gossip.compressed(averaging, gossip.sign()).supports == frozenset()
    flipped = gossip.attacked(averaging, attacks.sign_flip(), BYZANTINE)
    assert flipped.supports == averaging.supports
    apart = gossip.attacked(averaging, attacks.dissensus(W), BYZANTINE)
    assert apart.supports == {"messages"}
    late = gossip.scheduled(averaging, gossip.round_window(5, 6))
    attacked = gossip.attacked(late, attacks.dissensus(W), BYZANTINE)
    chex.assert_trees_all_equal(mixed(attacked)[0], X)


def test_exchanges_share_no_extras_and_check_their_masks():
    first = gossip.Exchange(0)
    first.with_extras(context=1.0)
    assert gossip.Exchange(1).extras == first.extras == {}
    both = gossip.Exchange(0, alive=np.array([True, True, False]), participates=np.eye(3)[0] == 1)
    np.testing.assert_array_equal(both.active(3), [True, False, False])
    assert first.active(3) is None
    for name in ("alive", "participates"):
        for mask in (jnp.ones(N - 1, bool), jnp.ones(N, jnp.int32)):
            with pytest.raises(ValueError, match=rf"{name}: expected bool\[8\], got "):
                mixed(gossip.averaging(W), ROUND._replace(**{name: mask}))
    leaves = jax.tree.leaves(ROUND.with_extras(context=X["w"]))
    assert len(leaves) == 2
    reprs = repr(gossip.mixing(topology.ring(64))), repr(topology.ring(64))
    assert max(map(len, reprs)) < 80
