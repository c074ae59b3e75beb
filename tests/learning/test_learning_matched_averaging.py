"""Matched averaging and merge-and-train against slow oracles."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, data, gossip, learning, models, topology
from jaxswarm.gossip import Exchange
from jaxswarm.learning import matching
from jaxswarm.learning.matching import LocalInputs, PermutationSpec, SharedInputs

N, H = 5, 6
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.uniform(size=(2, 8, 9)), jnp.float32)
MODULE = models.mlp(H, 3, activation="tanh")
MODEL = models.functional(MODULE, X[0])
SHAPES = jax.eval_shape(MODEL.init, jax.random.key(0))
PARAMS = jax.tree.map(lambda s: jnp.asarray(RNG.normal(size=(N, *s.shape)), jnp.float32), SHAPES)
SPEC = matching.permutation_spec(MODULE, SHAPES)
ACTIVATIONS = matching.activation_matching(matching.features_of(MODULE))
RING, COMPLETE = topology.ring(N), topology.complete(N)
KEY = jax.random.key(0)


def mixed(rule, params=PARAMS, round=None, *, eager=False, **extras):
    """One exchange; tests that share a rule share its compiled programs."""
    exchange = Exchange(jnp.int32(0)) if round is None else round
    mix = rule.mix if eager else jax.jit(rule.mix)
    return mix(KEY, params, rule.init(params), exchange.with_extras(**extras))


def model_of(i, params=PARAMS):
    return jax.tree.map(lambda leaf: leaf[i], params)


@jax.jit
def align(own, other, x):
    orders = ACTIVATIONS.match(SPEC, own, jax.tree.map(lambda leaf: leaf[None], other), x)
    return matching.permute(
        other, {group: order[0] for group, order in orders.items()}, SPEC.params
    )


def oracle(graph, x_of, sequential=False):
    """Agent by agent, with numpy sums; ``x_of(i)`` is what agent ``i`` matches on."""
    pi = np.asarray(topology.weights.dense(graph, topology.weights.uniform(graph)))
    new = [model_of(i) for i in range(N)]
    old = new if sequential else list(new)
    for i in range(N):
        total = jax.tree.map(lambda leaf, w=pi[i, i]: w * np.asarray(leaf), old[i])
        for j in np.flatnonzero(pi[i]):
            if j != i:
                moved = align(old[i], old[j], x_of(i))
                total = jax.tree.map(
                    lambda t, leaf, w=pi[i, j]: t + w * np.asarray(leaf), total, moved
                )
        new[i] = total
    return agents.stack(new)


def rule_for(graph, matcher=ACTIVATIONS, **options):
    return matching.matched_averaging(graph, SPEC, matcher, weights="uniform", **options)


ON_RING = rule_for(RING)


def test_merge_equals_the_slow_oracle_on_the_models_of_before():
    got, _, traffic = mixed(ON_RING, match_inputs=SharedInputs(X))
    wanted = oracle(RING, lambda i: X)
    chex.assert_trees_all_close(got, wanted, atol=1e-5)
    one_after_another = oracle(RING, lambda i: X, sequential=True)
    gap = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), wanted, one_after_another)
    assert max(jax.tree.leaves(gap)) > 0.05
    assert float(traffic.messages) == 2 * N
    assert float(traffic.bytes) == 2 * N * agents.message_size(PARAMS)[1]


def test_local_inputs_are_those_of_the_receiver():
    own = jnp.asarray(RNG.normal(size=(N, 2, 8, 9)), jnp.float32)
    got, _, _ = mixed(ON_RING, match_inputs=LocalInputs(own))
    chex.assert_trees_all_close(got, oracle(RING, lambda i: own[i]), atol=1e-5)


@pytest.mark.parametrize("graph", [RING, COMPLETE], ids=["ring", "complete"])
@pytest.mark.parametrize("basis", ["own", "first"])
def test_identity_permutations_are_plain_mixing(graph, basis):
    if basis == "first" and graph is RING:
        with pytest.raises(ValueError, match="edge from agent 0 to all others, agent 2 has none"):
            rule_for(graph, matching.no_matching(), basis=basis)
        return
    got, _, traffic = mixed(rule_for(graph, matching.no_matching(), basis=basis))
    plain = gossip.averaging(gossip.mixing(graph, "uniform"))
    wanted, _, plain_traffic = mixed(plain)
    chex.assert_trees_all_close(got, wanted, atol=1e-6)
    chex.assert_trees_all_equal(traffic, plain_traffic)


def copies():
    """Five orders of one network's units."""
    rng = np.random.default_rng(1)
    orders = {"Dense_0": jnp.asarray(np.stack([rng.permutation(H) for _ in range(N)]), jnp.int32)}
    return jax.vmap(lambda order: matching.permute(model_of(0), order, SPEC.params))(orders)


@pytest.mark.parametrize("lost", [0.0, 0.5, 1.0])
def test_rows_sum_to_one_so_permuted_copies_merge_without_loss(lost):
    delivered = jnp.asarray(np.random.default_rng(2).uniform(size=RING.senders.shape) >= lost)
    alive = jnp.arange(N) != 3
    round = Exchange(jnp.int32(0), alive=alive, delivered=delivered)
    params = copies()
    got, _, traffic = mixed(ON_RING, params, round, match_inputs=SharedInputs(X))
    chex.assert_trees_all_close(got, params, atol=1e-6)
    both = alive[RING.senders] & alive[RING.receivers] & delivered
    assert float(traffic.messages) == int(both.sum())


@pytest.mark.slow
def test_in_agent_0s_order_all_end_with_one_model():
    params = copies()
    rule = rule_for(COMPLETE, basis="first", chunk=2)
    got, _, _ = mixed(rule, params, match_inputs=SharedInputs(X))
    wanted = agents.broadcast(model_of(0, params), N)
    chex.assert_trees_all_close(got, wanted, atol=1e-6)
    got, _, _ = mixed(rule, match_inputs=SharedInputs(X))
    chex.assert_trees_all_close(
        got, agents.broadcast(model_of(0, oracle(COMPLETE, lambda i: X)), N), atol=1e-5
    )
    with pytest.raises(ValueError, match="reliable network"):
        mixed(rule, round=Exchange(0, alive=jnp.ones(N, bool)), match_inputs=SharedInputs(X))


@pytest.mark.slow
def test_one_compilation_chunks_and_eager_agree():
    rule = ON_RING
    chex.clear_trace_counter()
    step = jax.jit(
        chex.assert_max_traces(lambda p, x: mixed(rule, p, match_inputs=SharedInputs(x)), n=1)
    )
    got, _, _ = step(PARAMS, X)
    step(copies(), X + 1.0)
    eager, _, _ = mixed(rule, eager=True, match_inputs=SharedInputs(X))
    chex.assert_trees_all_close(got, eager, atol=1e-6)
    few = jax.jit(lambda p: mixed(rule_for(RING, chunk=2), p, match_inputs=SharedInputs(X)))
    chex.assert_trees_all_close(got, few(PARAMS)[0], atol=1e-6)


def test_a_network_of_nan_is_not_merged():
    broken = jax.tree.map(lambda leaf: leaf.at[1].set(jnp.nan), PARAMS)
    got, _, _ = mixed(ON_RING, broken, match_inputs=SharedInputs(X))
    for i in (0, 2, 3, 4):
        chex.assert_tree_all_finite(model_of(i, got))
    whole, _, _ = mixed(ON_RING, match_inputs=SharedInputs(X))
    chex.assert_trees_all_close(model_of(4, got), model_of(4, whole), atol=1e-6)


def test_a_matrix_gives_the_weights():
    pi = np.asarray(topology.weights.dense(RING, topology.weights.uniform(RING)))
    got, _, _ = mixed(matching.matched_averaging(RING, SPEC, matching.no_matching(), weights=pi))
    chex.assert_trees_all_close(got, mixed(rule_for(RING, matching.no_matching()))[0], atol=1e-6)


def matrix(changes):
    pi = np.full((N, N), 0.0)
    pi[np.arange(N), np.arange(N)] = 1.0
    for (i, j), value in changes.items():
        pi[i, j] = value
    return pi


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (matrix({(1, 1): 0.5}), "row 1 sums to 0.5"),
        (
            matrix({(0, 0): 0.7, (0, 2): 0.3}),
            "row 0 gives 0.3 to agent 2, from which it has no edge",
        ),
        (matrix({(0, 0): 1.2, (0, 1): -0.2}), "none below 0"),
        (np.full(RING.senders.shape, 0.7), "agent 0 gives its neighbours 1.4"),
        (np.full(RING.senders.shape, -0.1), "none below 0"),
        (np.ones(3), "weights: expected shape"),
        ("uniforn", "did you mean 'uniform'"),
    ],
)
def test_weights_that_are_no_average_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        matching.matched_averaging(RING, SPEC, ACTIVATIONS, weights=weights)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match="matcher: expected a Matcher such as weight_matching"):
        rule_for(RING, "activations")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="unknown basis 'mine'"):
        rule_for(RING, basis="mine")
    with pytest.raises(ValueError, match="chunk"):
        rule_for(RING, chunk=0)
    rule = ON_RING
    for inputs, message in (
        (None, r"expected SharedInputs\(x\) or LocalInputs\(x\)"),
        (X, r"expected SharedInputs\(x\) or LocalInputs\(x\)"),
        (SharedInputs(X[:0]), "at least one batch"),
        (SharedInputs(X[:, :0]), "at least one batch of at least one sample"),
        (LocalInputs(X), "expected 5 agents' inputs"),
        (SharedInputs(X * jnp.nan), "expected finite inputs"),
    ):
        with pytest.raises(ValueError, match=message):
            mixed(rule, eager=True, match_inputs=inputs)
    with pytest.raises(ValueError, match=r"params: leaf .* must lead with 5"):
        mixed(rule, jax.tree.map(lambda leaf: leaf[:3], PARAMS), match_inputs=SharedInputs(X))
    short = PermutationSpec({"Dense_0": SPEC.params["Dense_0"]})
    with pytest.raises(ValueError, match=r"does not cover leaf \['Dense_1'\]"):
        mixed(matching.matched_averaging(RING, short, ACTIVATIONS), match_inputs=SharedInputs(X))


def test_unequal_architectures_are_named_by_agent_and_leaf():
    wide = jax.tree.map(
        lambda s: jnp.zeros(s.shape),
        jax.eval_shape(models.functional(models.mlp(H + 1, 3), X[0]).init, KEY),
    )
    with pytest.raises(ValueError, match=r"agent 1, leaf \['Dense_0'\]\['bias'\]: expected"):
        agents.stack([model_of(0), wide])


def batch_norm_learner(**options):
    module = models.cnn(3, channels=(4,), widths=(5,), norm="batch")
    x = jnp.asarray(RNG.uniform(size=(2, 6, 16)), jnp.float32)
    model = models.functional(module, x[0])
    shapes = jax.eval_shape(lambda: (model.init(KEY), model.init_stats()))
    rule = matching.matched_averaging(
        RING,
        matching.permutation_spec(module, *shapes),
        matching.activation_matching(matching.features_of(module), recalibrate=model.recalibrate),
    )
    learner = matching.merge_and_train(
        learning.classification_loss(model),
        model=model,
        local=optax.sgd(0.1, 0.9),
        gossip=rule,
        local_steps=2,
        **options,
    )
    params = jax.tree.map(
        lambda s: jnp.asarray(RNG.normal(size=(N, *s.shape)), jnp.float32), shapes[0]
    )
    batch = data.Batch(
        jnp.broadcast_to(x[0], (N, 6, 16)), jnp.zeros((N, 6), jnp.int32), jnp.ones((N, 6))
    )
    return learner, model, x, params, batch


@pytest.mark.slow
def test_merge_and_train_recomputes_statistics_of_the_merged_network():
    inputs = jnp.asarray(RNG.uniform(size=(2, 6, 16)), jnp.float32)
    learner, model, _, params, batch = batch_norm_learner(
        match_data=lambda key, _: SharedInputs(inputs), watch=lambda params, stats: (params, stats)
    )
    state = learner.init(params)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(learner.step, n=1))
    new, info = step(KEY, state, batch)
    newer, _ = step(KEY, new, batch)
    chex.assert_tree_all_finite(newer)
    assert info.loss.shape == (N,)
    merged, stats = info.merged
    chex.assert_trees_all_close(
        stats, jax.jit(jax.vmap(lambda p: model.recalibrate(p, inputs)))(merged), atol=1e-5
    )
    gap = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), merged, new.params)
    assert max(jax.tree.leaves(gap)) > 1e-3  # it trained on from there
    np.testing.assert_allclose(newer.traffic.total.messages, 4 * N)


def test_merge_and_train_refuses_missing_matching_data():
    with pytest.raises(ValueError, match="match_data: this model's normalisation"):
        batch_norm_learner()
    with pytest.raises(ValueError, match="local_steps"):
        matching.merge_and_train(
            learning.classification_loss(MODEL),
            model=MODEL,
            local=optax.sgd(0.1),
            gossip=gossip.identity(),
            local_steps=0,
        )


def test_a_fresh_optimizer_has_no_momentum():
    params = {"w": jnp.ones((N, 2))}
    momenta = {}
    for fresh in (True, False):
        learner = matching.merge_and_train(
            lambda params, batch: jnp.sum(params["w"] * batch),
            model=MODEL,
            local=optax.sgd(0.1, 0.9),
            gossip=gossip.identity(),
            local_steps=1,
            fresh_optimizer=fresh,
        )
        state = learner.init(params)
        for _ in range(2):
            state, _ = learner.step(KEY, state, jnp.ones((N, 2)))
        momenta[fresh] = float(jax.tree.leaves(state.opt_state)[0][0, 0])
    assert momenta == {True: pytest.approx(1.0), False: pytest.approx(1.9)}
