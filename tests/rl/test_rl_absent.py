"""Absent agents change nothing in any learner, even if what they observe and earn is NaN."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import gossip, rl, topology
from jaxswarm.rl import networked
from jaxswarm.rl.networked.reward_model import reward_inputs, reward_model
from jaxswarm.rl.on_policy import Transition
from jaxswarm.rl.returns import normalized
from jaxswarm.systems import bn_actor_critic, hammer, stac, symphony
from tests.rl.rl_absent import Absent, Physics

N = 3
ENV, CHOICES = Absent(N), Absent(N, discrete=True)
OWN = rl.network_for(ENV, widths=(4,))
GLOBAL = rl.network_for(ENV, widths=(4,), critic="global")
MEMORY = rl.network_for(ENV, widths=(4,), hidden_size=3)
Q = rl.q_network_for(ENV, widths=(4,))
STAC = stac.stac_network_for(ENV, widths=(4,))
SYMPHONY = symphony.symphony_network_for(ENV, width=4, nodes=3)
RING = gossip.averaging(gossip.mixing(topology.ring(N)))
ON: dict[str, Any] = {"num_envs": 2, "num_steps": 3, "epochs": 2, "minibatches": 1}
OFF: dict[str, Any] = {"num_envs": 1, "batch_size": 4, "capacity": 36, "warm_up": 6}
MODEL: dict[str, Any] = {"reward_widths": (3,)}


def learner_of(network, make, env=ENV, **options):
    """``(algorithm, initial(key))`` of a learner that all agents share, or one for each."""
    shared = options.get("shared", True)
    return make(env, network, **options), lambda key: rl.initialize(key, network, N, shared=shared)


def networked_of(network, make, **options):
    algorithm = make(ENV, network, RING, **options)
    return algorithm, lambda key: networked.initial_params(key, network, N)


def value_team(mixer, make):
    network = rl.value_network_for(CHOICES, mixer, hidden_size=3)
    algorithm = make(CHOICES, network, num_envs=2, batch_size=2, capacity=4)
    return algorithm, lambda key: rl.value_decomposition.initial_params(key, network)


def hammer_ppo():
    env = hammer.HammerEnvironment(ENV, 1)
    return learner_of(hammer.hammer_network(env, widths=(4,)), rl.ppo, env, **ON)


def central_agent():
    env = hammer.HammerEnvironment(ENV, 1)
    networks = hammer.central_agent_networks(env, widths=(4,))
    return hammer.central_agent_ppo(env, networks, **ON), networks.composed.init


def bn_mappo():
    team = bn_actor_critic.Team(CHOICES)
    network = bn_actor_critic.team_network(team, widths=(4,), graph_width=2, iterations=2)
    return bn_actor_critic.bn_mappo(team, network, **ON), network.init


def grouped_ppo():
    algorithm = rl.ppo(ENV, OWN, groups=(0, 1, 1), **ON)
    return algorithm, lambda key: rl.initialize(key, OWN, 2, shared=False)


def message_passing():
    joint = rl.JointAgent(CHOICES)
    network = rl.message_passing_network(joint, topology.ring(N), widths=(4,))
    return rl.ppo(joint, network, **ON), network.init


LEARNERS = {
    "ppo": lambda: learner_of(OWN, rl.ppo, **ON),
    "ppo recurrent": lambda: learner_of(MEMORY, rl.ppo, **ON),
    "ippo": lambda: learner_of(OWN, rl.ippo, shared=False, **ON),
    "mappo": lambda: learner_of(GLOBAL, rl.mappo, **ON),
    "sac": lambda: learner_of(Q, rl.sac, **OFF),
    "sac each": lambda: learner_of(Q, rl.sac, shared=False, **OFF),
    "stac": lambda: learner_of(STAC, stac.stac, **OFF),
    "stac each": lambda: learner_of(STAC, stac.stac, shared=False, **OFF),
    "symphony": lambda: learner_of(SYMPHONY, symphony.symphony, **OFF),
    "symphony each": lambda: learner_of(SYMPHONY, symphony.symphony, shared=False, **OFF),
    "td3": lambda: learner_of(Q, rl.td3, **OFF),
    "ppo groups": grouped_ppo,
    "ppo normalized values": lambda: learner_of(OWN, rl.ppo, normalize_values=True, **ON),
    "independent q": lambda: value_team("independent", rl.independent_q),
    "message passing": message_passing,
    "vdn": lambda: value_team("additive", rl.vdn),
    "qmix": lambda: value_team("monotonic", rl.qmix),
    "networked_ppo": lambda: networked_of(
        GLOBAL, networked.networked_ppo, reward_steps=2, joint="mean", **MODEL, **ON
    ),
    "networked_sac": lambda: networked_of(Q, networked.networked_sac, **MODEL, **OFF),
    "hammer": hammer_ppo,
    "central agent": central_agent,
    "bn_mappo": bn_mappo,
}
EACH = ("ippo", "sac each", "stac each", "symphony each", "networked_ppo", "networked_sac")
QUICK = ("ippo", "sac each")


def marked(names):
    slow = pytest.mark.slow
    return [name if name in QUICK else pytest.param(name, marks=slow) for name in names]


def learned(state):
    """What a learner has learned: weights, optimizers, statistics and replay."""
    if hasattr(state, "agents"):  # networked SAC
        state = state.agents
    ignored = "runner round ledger iteration critic_gossip reward_gossip env_params".split()
    fields = {name: x for name, x in state._asdict().items() if name not in ignored}
    inner = fields.get("learner")
    if hasattr(inner, "runner"):  # networked PPO, and teams
        fields["learner"] = inner._replace(runner=())
    return fields


@functools.cache
def program(name):
    """``run(present, junk) -> (learned before, learned after)``, one program for all physics."""
    algorithm, initial = LEARNERS[name]()

    key = jax.random.key(1)
    begin = jax.jit(lambda *physics: algorithm.init(initial(key), key, Physics(*physics)))
    step = jax.jit(algorithm.step)

    def run(present, junk):
        start = state = begin(jnp.array(present), jnp.float32(junk))
        for index in range(2):
            state, _ = step(jax.random.fold_in(key, index), state)
        return learned(start), learned(state)

    return run


def assert_same(one, two):
    pairs = zip(jax.tree.leaves_with_path(one), jax.tree.leaves(two), strict=True)
    for (path, a), b in pairs:
        np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))


@pytest.mark.parametrize("name", marked(LEARNERS))
def test_absent_agents_change_nothing(name):
    run = program(name)
    before, after = run([False, True, True], np.nan)
    for path, leaf in jax.tree.leaves_with_path(after):
        assert np.isfinite(np.asarray(leaf, float)).all(), jax.tree_util.keystr(path)
    assert_same(after, run([False, True, True], 7.0)[1])  # whatever they observe and earn
    if name in EACH:
        absent, present = (
            [jax.tree.map(lambda x, i=i: np.asarray(x)[i], tree) for tree in (before, after)]
            for i in (0, 1)
        )
        assert_same(*absent)
        moved = [
            not np.array_equal(a, b)
            for a, b in zip(*(jax.tree.leaves(tree) for tree in present), strict=True)
        ]
        assert np.mean(moved) > 0.5
    assert_same(*run([False, False, False], np.nan))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sac", "stac", "symphony"])
def test_a_batch_without_agents_changes_no_state(name, key):
    learner, network, hp = {
        "sac": (rl.sac_learner(ENV, Q), Q, rl.SACHyperparameters()),
        "stac": (stac.stac_learner(ENV, STAC), STAC, stac.STACHyperparameters()),
        "symphony": (
            symphony.symphony_learner(SYMPHONY),
            SYMPHONY,
            symphony.SymphonyHyperparameters(),
        ),
    }[name]
    state = learner.init(network.init(key))
    nan = jnp.full((4, 1), jnp.nan)
    batch = rl.Experience(nan, nan, nan[:, 0], nan[:, 0], nan, jnp.zeros(4, bool))
    update = jax.jit(learner.update)
    assert_same(update(key, state, batch, hp)[0], state)
    half = jnp.arange(4) < 2  # the others are NaN in one batch, 9 in the other

    def filled(junk):
        column = jnp.where(half, 0.3, junk)
        return rl.Experience(*(column.reshape(x.shape) for x in batch[:-1]), half)

    pair = [filled(junk) for junk in (np.nan, 9.0)]
    after = [update(key, state, given, hp)[0] for given in pair]
    assert_same(*after)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after[0]))


@pytest.mark.parametrize("make", [rl.uniform_replay, rl.fading_replay])
@pytest.mark.slow
def test_items_without_an_agent_are_not_stored(make):
    def items(values, mask):
        x = jnp.asarray(values, jnp.float32)
        return rl.Experience(x[:, None], x[:, None], x, x, x[:, None], jnp.asarray(mask))

    replay = make(4, 2)
    state = replay.init(items([1, 1, 1, 1], [True] * 4))
    assert_same(replay.add(state, items([np.nan, np.nan], [False, False])), state)
    state = replay.add(state, items([np.nan, 5, np.nan, 6], [False, True, False, True]))
    drawn = jax.vmap(replay.sample, (0, None))(jax.random.split(jax.random.key(0), 50), state)
    assert set(np.unique(drawn.features)) == {1.0, 5.0, 6.0}


def test_a_reward_model_without_rewards_keeps_its_state(key):
    model = reward_model(2, widths=(3,), lr=0.1)
    state = jax.jit(model.init)(key)
    nan = jnp.full((4, 2), jnp.nan)
    fitted, error = model.fit(state, nan, nan[:, 0], jnp.zeros(4, bool), num_steps=2)
    assert_same(fitted, state)
    assert float(error) == 0.0


def test_means_over_agents_count_those_that_are_present():
    steps, mask = (1, 1, 4), jnp.array([True, True, False, False])[None, None]
    blank = jnp.zeros(steps)
    raw = jnp.array([0.5, 1.5, jnp.nan, 9.0])[None, None, :, None]
    network = rl.network_for(Absent(4), widths=(4,), squash=False)
    fields = dict.fromkeys(Transition._fields, blank) | {
        "raw": jnp.concatenate([raw, jnp.zeros((1, 1, 4, 1))]),
        "critic_input": jnp.zeros((2, 1, 4, 1)),
        "mask": jnp.concatenate([mask, mask]),
    }
    inputs = reward_inputs(network, Transition(**fields), "mean")
    mean = np.clip([0.5, 1.5], -1.0, 1.0).mean()
    np.testing.assert_allclose(inputs[:, :, 1], [[mean, -mean]] * 4, rtol=1e-6)  # √4 · ½


def test_normalized_advantages_ignore_what_is_masked():
    x, mask = jnp.array([1.0, 3.0, jnp.nan, 1e30]), jnp.array([True, True, False, False])
    np.testing.assert_allclose(normalized(x, mask), [-1.0, 1.0, 0.0, 0.0], rtol=1e-6)
    slope = jax.grad(lambda x: jnp.sum(normalized(x, mask) * jnp.arange(4.0)))(x)
    assert np.isfinite(slope[:2]).all()


@pytest.mark.slow
def test_an_optimizer_with_counts_stands_still_without_an_agent():
    optimizer = optax.chain(optax.scale_by_adam(), optax.scale_by_schedule(lambda count: count))
    algorithm = rl.ppo(ENV, OWN, optimizer=optimizer, **ON)
    state = algorithm.init(
        rl.initialize(jax.random.key(0), OWN, N, shared=True),
        jax.random.key(1),
        Physics(jnp.zeros(N, bool), jnp.float32(0.0)),
    )
    after, _ = jax.jit(algorithm.step)(jax.random.key(2), state)
    assert_same(after.opt_state, state.opt_state)
