"""Sampled graphs, and teams with Bayesian-network policies: BN-MAPPO."""

import itertools

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import envs, rl, rollout
from jaxswarm.systems import bn_actor_critic
from tests.later import Later
from tests.tracing import Counted

N = 4
RING = np.array(nx.to_numpy_array(nx.cycle_graph(N)), bool)


@jax.jit
def sampled(seed, communicates, temperature):
    one, two, three = jax.random.split(jax.random.key(seed), 3)
    logits = bn_actor_critic.DagLogits(
        2.0 * jax.random.normal(one, (N, N)), 2.0 * jax.random.normal(two, (N, N, 2))
    )
    return bn_actor_critic.sample_dag(
        logits, bn_actor_critic.dag_noise(three, N), temperature, communicates=communicates
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from([0.2, 1.0, 3.0]))
def test_a_sampled_graph_is_acyclic_and_within_the_communication_graph(seed, ring, temperature):
    communicates = RING if ring else np.ones((N, N), bool)
    dag = sampled(seed, communicates, temperature)
    graph, order = np.asarray(dag.graph), np.asarray(dag.order)
    assert set(np.unique(graph)) <= {0.0, 1.0}
    assert sorted(order) == list(range(N))
    assert nx.is_directed_acyclic_graph(nx.from_numpy_array(graph, create_using=nx.DiGraph))
    place = np.argsort(order)
    assert all(place[j] < place[i] for j, i in np.argwhere(graph))
    assert (communicates | ~graph.astype(bool)).all()


def test_sinkhorn_is_doubly_stochastic_and_the_matching_is_optimal():
    scores = jax.random.normal(jax.random.key(0), (N, N))
    soft = np.asarray(bn_actor_critic.sinkhorn(scores, 60))
    np.testing.assert_allclose(soft.sum(axis=0), 1.0, atol=1e-5)
    np.testing.assert_allclose(soft.sum(axis=1), 1.0, atol=1e-3)
    found = np.asarray(bn_actor_critic.max_weight_matching(jnp.asarray(soft)))
    best = max(sum(soft[a, p[a]] for a in range(N)) for p in itertools.permutations(range(N)))
    assert (soft * found).sum() == pytest.approx(best)
    assert (found.sum(axis=0) == 1).all()


@pytest.mark.parametrize("n", [2, 5, 6, 7])
def test_matchings_are_scipys(n):
    """Up to six agents by comparing all, beyond by the Hungarian algorithm; not a number is 0."""
    weights = jax.random.normal(jax.random.key(n), (8, n, n))
    weights = weights.at[0, 0, 0].set(jnp.nan)
    found = np.asarray(jax.jit(jax.vmap(bn_actor_critic.max_weight_matching))(weights))
    plain = np.nan_to_num(np.asarray(weights))
    for one, permutation in zip(plain, found, strict=True):
        row, column = scipy.optimize.linear_sum_assignment(-one)
        assert (one * permutation).sum() == pytest.approx(one[row, column].sum(), abs=1e-5)
        assert sorted(np.argmax(permutation, axis=1)) == list(range(n))


def test_sinkhorn_by_factors_is_sinkhorn_by_logarithms_and_finite_for_extremes():
    scores = 3.0 * jax.random.normal(jax.random.key(3), (N, N))
    slow = scores
    for _ in range(20):
        slow = jax.nn.log_softmax(jax.nn.log_softmax(slow, axis=1), axis=0)
    np.testing.assert_allclose(bn_actor_critic.sinkhorn(scores), np.exp(slow), atol=1e-5)
    wild = jnp.array([[0.0, -300.0], [500.0, 0.0]])
    value, grads = jax.value_and_grad(lambda s: jnp.sum(bn_actor_critic.sinkhorn(s)[0] * 2.0))(wild)
    assert np.isfinite(value)
    assert np.isfinite(grads).all()


@pytest.mark.slow
def test_gradients_reach_both_logits_and_are_finite():
    noise = bn_actor_critic.dag_noise(jax.random.key(1), N)

    def weight(logits):
        return jnp.sum(
            bn_actor_critic.sample_dag(logits, noise).graph * jnp.arange(16.0).reshape(4, 4)
        )

    grads = jax.grad(weight)(bn_actor_critic.DagLogits(jnp.zeros((N, N)), jnp.zeros((N, N, 2))))
    for leaf in grads:
        assert jnp.isfinite(leaf).all()
        assert jnp.abs(leaf).max() > 0


GAME = envs.CoordinationGame(3)
TEAM = bn_actor_critic.Team(GAME)
NETWORK = Later(lambda: bn_actor_critic.team_network(TEAM, widths=(16,), graph_width=8))
PARAMS = Later(lambda: jax.jit(NETWORK.value.init)(jax.random.key(2)))
JOINT = np.array(list(itertools.product(range(2), repeat=3)), np.int32)


def amplified(params, scale=40.0):
    """Larger weights of the heads, which initially hardly depend on the parents' actions."""
    grown = jax.tree.map(lambda x: scale * x, params["actor"]["head"])
    return {**params, "actor": {**params["actor"], "head": grown}}


def observe(seed=3):
    return jax.jit(TEAM.reset)(jax.random.key(seed))[1].observation


@jax.jit
def joint_and_samples(params, here, keys):
    each = jax.vmap(lambda a: bn_actor_critic.joint_log_prob(NETWORK.value, params, here, a))(JOINT)
    outputs = NETWORK.value.actor(params["actor"], (), rl.features_of(here)[0])[1]
    sample = jax.vmap(lambda k: NETWORK.value.distribution.sample(k, params["actor"], outputs))
    return each, *sample(keys)


@pytest.mark.parametrize("kind", ["independent", "line", "full", "learnt", "random"])
def test_the_joint_distribution_sums_to_one_and_samples_follow_it(kind):
    params = bn_actor_critic.with_graph(
        amplified(PARAMS.value), bn_actor_critic.graph_settings(kind, 3)
    )
    here = observe()
    each, draws, logs = joint_and_samples(params, here, jax.random.split(jax.random.key(4), 4_000))
    joint = np.exp(np.asarray(each.sum(axis=1)))
    assert joint.sum() == pytest.approx(1.0, abs=1e-5)
    index = np.asarray(draws) @ np.array([4, 2, 1])
    counts = np.bincount(index, minlength=8) / 4_000
    assert np.abs(counts - joint).max() < 4 * np.sqrt(0.25 / 4_000)
    np.testing.assert_allclose(logs.sum(axis=1), np.log(joint)[index], atol=1e-4)
    marginals = [joint[np.asarray(JOINT)[:, i] == 1].sum() for i in range(3)]
    product = np.array(
        [np.prod([m if x else 1 - m for m, x in zip(marginals, a, strict=True)]) for a in JOINT]
    )
    if kind == "independent":
        np.testing.assert_allclose(joint, product, atol=1e-5)
    if kind == "full":
        assert np.abs(joint - product).max() > 1e-3


@pytest.mark.parametrize("kind", ["independent", "full"])
@pytest.mark.slow
def test_a_given_graph_need_not_be_sampled(kind):
    plain = bn_actor_critic.team_network(TEAM, widths=(16,), graph_width=8, sampled=False)
    params, here = (
        bn_actor_critic.with_graph(
            amplified(PARAMS.value), bn_actor_critic.graph_settings(kind, 3)
        ),
        observe(),
    )
    one, two = (
        jax.vmap(lambda a, n=net: bn_actor_critic.joint_log_prob(n, params, here, a))(JOINT)
        for net in (plain, NETWORK.value)
    )
    np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.slow
def test_the_graph_depends_on_observations_only_if_it_is_learned():
    key = jax.random.key(5)
    grown = {
        **PARAMS.value["actor"],
        "pairs": jax.tree.map(lambda x: 30 * x, PARAMS.value["actor"]["pairs"]),
    }
    params = {**PARAMS.value, "actor": grown}

    def graphs(kind):
        held = bn_actor_critic.with_graph(params, bn_actor_critic.graph_settings(kind, 3))

        def one(seed):
            here = TEAM.reset(jax.random.fold_in(key, seed))[1].observation
            same = here._replace(
                edge_noise=jnp.zeros((1, 3, 3, 2)), permutation_noise=jnp.zeros((1, 3, 3))
            )
            return bn_actor_critic.graph_of(NETWORK.value, held, same).graph

        return np.asarray(jax.vmap(one)(jnp.arange(16)))

    assert (graphs("learnt") != graphs("learnt")[:1]).any()
    for kind in ("full", "line", "random"):
        assert (graphs(kind) == graphs(kind)[:1]).all()


def learner(**options):
    return bn_actor_critic.bn_mappo(
        TEAM, NETWORK.value, num_envs=4, num_steps=8, epochs=1, minibatches=1, **options
    )


@pytest.mark.slow
def test_the_first_ratio_is_one_and_all_graphs_are_one_program():
    made = learner()
    step = Counted(made.step)
    state = made.init(PARAMS.value, jax.random.key(6))
    for kind in ("learnt", "full", "independent", "random"):
        given = bn_actor_critic.TeamHyperparameters(bn_actor_critic.graph_settings(kind, 3))
        _, info = step(jax.random.key(7), state, given)
        # One epoch of one minibatch: the policy is compared with itself, on the same graph.
        assert float(info.ppo.clip_fraction) == 0.0
        assert float(info.ppo.kl) == pytest.approx(0.0, abs=1e-5)
        assert 0.0 <= float(info.density) <= 1.0
    assert step.traces == 1


@pytest.mark.slow
def test_annealing_drives_the_density_to_zero():
    schedule = bn_actor_critic.annealing(100)
    factors, thresholds = jax.vmap(schedule)(jnp.arange(100))
    assert float(thresholds[0]) == 1.0
    assert float(thresholds[39]) == 1.0
    assert float(thresholds[70]) == 0.0
    assert (np.diff(thresholds) <= 0).all()
    assert float(factors[69]) == 1.0
    assert float(factors[99]) > 9.0
    strong = bn_actor_critic.TeamHyperparameters(
        bn_actor_critic.graph_settings("learnt", 3, density_weight=3.0),
        rl.PPOHyperparameters(lr=2e-2),
    )
    made = learner(schedule=bn_actor_critic.annealing(60, begin=0.1, late=0.4))
    state = made.init(PARAMS.value, jax.random.key(8))
    _, records = jax.jit(lambda k: rollout(made.step, state, 60, key=k, inputs=strong))(
        jax.random.key(9)
    )
    density = np.asarray(records.info.density)
    assert density[:5].mean() > 0.3
    assert density[-5:].mean() < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bn_actor_critic.graph_settings("tree", 3), "graph"),
        (lambda: bn_actor_critic.graph_settings(np.ones((3, 3)), 3), r"(?i)cycle|loop|dag"),
        (lambda: bn_actor_critic.graph_settings(np.zeros((2, 2)), 3), "graph: expected shape"),
        (
            lambda: bn_actor_critic.graph_settings("full", 4, communicates=RING),
            r"(?i)hear|communicat|edge",
        ),
        (
            lambda: bn_actor_critic.graph_settings("learnt", 3, density_threshold=1.5),
            "density_threshold",
        ),
        (lambda: bn_actor_critic.graph_settings("learnt", 3, temperature=0.0), "temperature"),
        (
            lambda: bn_actor_critic.graph_settings("learnt", 3, density_weight=-1.0),
            "density_weight",
        ),
        (lambda: bn_actor_critic.graph_settings("learnt", 3, communicates=RING), "communicates"),
        (lambda: bn_actor_critic.sinkhorn(jnp.zeros((2, 2)), 0), "iterations"),
        (lambda: bn_actor_critic.permutation_matrix(np.array([0, 0])), "order"),
        (lambda: bn_actor_critic.compose_dag(jnp.eye(2), jnp.eye(3)), "edges: expected"),
        (lambda: bn_actor_critic.team_network(TEAM, iterations=0), "iterations"),
        (lambda: bn_actor_critic.team_network(TEAM, widths=()), "widths"),
        (lambda: bn_actor_critic.Team(envs.SimpleSpread()), "discrete"),
        (lambda: bn_actor_critic.annealing(10, begin=0.8), "begin, late"),
        (
            lambda: bn_actor_critic.joint_log_prob(
                NETWORK.value, PARAMS.value, observe(), np.array([0, 2, 0])
            ),
            r"action: expected whole numbers in \[0, 1\]",
        ),
        (
            lambda: bn_actor_critic.joint_log_prob(
                NETWORK.value, PARAMS.value, observe(), np.zeros(2, int)
            ),
            "action",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
