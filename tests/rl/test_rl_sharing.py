"""Weights shared by groups, ids, and actors that pass messages over a topology."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, rl, topology
from jaxswarm.envs import conformance
from tests.rl.rl_absent import Absent, Physics
from tests.rl.rl_worlds import Bandit, Echo

PAYOFF = [[0.0, 1.0, 0.3], [1.0, 0.0, 0.2], [0.4, 0.1, 0.9]]
ENV = Bandit(PAYOFF)
NET = rl.network_for(ENV, widths=(4,))
ONCE = {"num_envs": 4, "num_steps": 2, "epochs": 1, "minibatches": 1}


def one_step(key, shared, groups=None, learners=None):
    learner = rl.ppo(ENV, NET, shared=shared, groups=groups, **ONCE)
    params = rl.initialize(key, NET, learners or 3, shared=learners is None)
    state = jax.jit(learner.init)(params, key)
    return jax.jit(learner.step)(key, state)


def assert_close(one, two, **tolerance):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def test_groups_of_one_are_independent_learners_and_pads_count_for_nothing(key):
    each, info = one_step(key, False, learners=3)
    alone, _ = one_step(key, True, (0, 1, 2), learners=3)
    assert_close(each.params, alone.params, rtol=1e-6)
    assert info.value_loss.shape == (3,)
    unequal, info = one_step(key, True, (0, 1, 1), learners=2)
    first = lambda state: jax.tree.map(lambda x: x[0], state.params)  # noqa: E731
    assert_close(first(each), first(unequal), rtol=1e-4, atol=1e-6)
    assert info.value_loss.shape == (2,)


@pytest.mark.slow
def test_one_group_is_a_shared_learner(key):
    learner = rl.ppo(ENV, NET, shared=True, **ONCE)
    params = rl.initialize(key, NET, 3, shared=True)
    one = jax.tree.map(lambda x: x[None], params)
    shared, _ = jax.jit(learner.step)(key, jax.jit(learner.init)(params, key))
    learner = rl.ppo(ENV, NET, groups=(0, 0, 0), **ONCE)
    grouped, _ = jax.jit(learner.step)(key, jax.jit(learner.init)(one, key))
    squeezed = jax.tree.map(lambda x: x[0], grouped.params)
    assert_close(shared.params, squeezed, rtol=1e-4, atol=1e-6)


def test_identity_is_one_more_field_and_nothing_else(key):
    plain = envs.Donations(3)
    env = envs.WithIdentity(plain)
    (state, first), (_, other) = (jax.jit(e.reset)(key) for e in (env, plain))
    np.testing.assert_array_equal(first.observation.identity, np.eye(3))
    without = first.observation._asdict()
    del without["identity"]
    assert_close(without, other.observation._asdict())
    assert env.global_state(state).shape == plain.global_state(state).shape
    part = rl.feature_slices(first.observation)["identity"]
    np.testing.assert_array_equal(rl.features_of(first.observation)[:, part], np.eye(3))


@pytest.mark.slow
def test_identity_passes_the_battery_of_environments():
    conformance.check(lambda n: envs.WithIdentity(envs.SimpleSpread(n)), symmetric=False)


def reach(graph, rounds):
    """``[N, N]``, whether ``j`` is within ``rounds`` hops of ``i``, by matrix powers."""
    n = graph.num_agents
    step = np.eye(n, dtype=bool)
    lists = topology.in_neighbors(graph)
    for i in range(n):
        step[i, lists.neighbors[i][lists.mask[i]]] = True
    return np.linalg.matrix_power(step.astype(int), rounds) > 0


@pytest.mark.parametrize("rounds", [0, 2])
def test_actions_depend_on_agents_within_as_many_hops_as_rounds(rounds, key):
    n = 6
    joint = rl.JointAgent(Echo(n))
    graph = topology.directed_ring(n)
    network = rl.message_passing_network(joint, graph, rounds=rounds, widths=(5,))
    params = jax.tree.map(lambda x: 3.0 * x, jax.jit(network.init)(key)["actor"])
    seen = jax.random.normal(key, (n,))

    def logits(seen):
        features = jnp.concatenate([seen, jnp.ones(n)])
        return network.actor(params, (), features)[1].logits

    jacobian = jax.jit(jax.jacobian(logits))(seen)  # [N, A, N]
    np.testing.assert_array_equal(np.abs(jacobian).sum(axis=1) > 0, reach(graph, rounds))
    order = np.array([3, 1, 0, 5, 4, 2])
    where = np.argsort(order)
    renamed = topology.from_edges(
        np.stack([where[np.asarray(graph.senders)], where[np.asarray(graph.receivers)]], axis=1),
        n,
        directed=True,
    )
    other = rl.message_passing_network(joint, renamed, rounds=rounds, widths=(5,))
    features = jnp.concatenate([seen[order], jnp.ones(n)])
    moved = other.actor(params, (), features)[1].logits
    np.testing.assert_allclose(moved, logits(seen)[order], rtol=1e-5, atol=1e-6)


def test_absent_neighbors_send_nothing(key):
    joint = rl.JointAgent(Absent(3, discrete=True))
    network = rl.message_passing_network(joint, topology.complete(3), rounds=2, widths=(4,))
    params = jax.jit(network.init)(key)["actor"]
    outputs = []
    for junk in (0.0, float("nan")):
        physics = Physics(jnp.array([True, True, False]), jnp.float32(junk))
        _, timestep = jax.jit(joint.reset)(key, physics)
        features = rl.features_of(timestep.observation)[0]
        outputs.append(network.actor(params, (), features)[1].logits[:2])
    np.testing.assert_array_equal(*outputs)
    assert np.isfinite(outputs[0]).all()


def test_messages_tell_what_only_a_neighbor_sees(key):
    env = Echo(3)
    joint = rl.JointAgent(env)
    network = rl.message_passing_network(joint, topology.directed_ring(3), widths=(8,))
    hp = rl.PPOHyperparameters(lr=2e-2, discount=0.0, entropy=0.0)
    learner = rl.ppo(joint, network, num_envs=32, num_steps=4, minibatches=1, hyperparameters=hp)
    params = rl.initialize(key, network, 1, shared=True)
    state, step = jax.jit(learner.init)(params, key), jax.jit(learner.step)
    for index in range(30):
        state, info = step(jax.random.fold_in(key, index), state)
        if not index:
            assert float(info.reward) == pytest.approx(0.5, abs=0.1)
    assert float(info.reward) > 0.95
