"""Off-policy learners: replay buffers, SAC's update against numpy, and bit-identical resume."""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, envs, gossip, rl, simulate, topology
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.envs.pendulum import PendulumParams
from jaxswarm.rl import networked
from jaxswarm.rl.actor_critic import sample_and_log_prob
from tests.tracing import Counted


class Observation(NamedTuple):
    value: jax.Array
    agent_mask: jax.Array


class Steps(SwarmEnvironment):
    """Agents observe the step count, rewards are 1, 2, …; ``params`` is true if the end terminates.

    Agent 0 is absent after the first step if ``leaves``.
    """

    def __init__(self, num_agents: int = 2, time_limit: int = 3, leaves: bool = False):
        self.leaves = leaves
        super().__init__(num_agents, time_limit)

    @property
    def params(self):
        return False

    @cached_property
    def action_spec(self):
        return continuous_actions(self.num_agents, 1)

    def start(self, key, params):
        return jnp.int32(0)

    def agent_mask(self, world):
        absent = self.leaves & (world > 0) & (jnp.arange(self.num_agents) == 0)
        return ~absent

    def advance(self, key, world, action, params):
        over = (world + 1 >= self.time_limit) & params
        return Outcome(world + 1, jnp.arange(1.0, self.num_agents + 1.0), over, {})

    def observe(self, world, params, step_count):
        now = jnp.broadcast_to(world.astype(jnp.float32), (self.num_agents, 1))
        return Observation(now, self.agent_mask(world))


ENV = envs.Pendulum(num_agents=2, time_limit=20)
NET = rl.q_network_for(ENV, widths=(8,))
SIZES: dict[str, Any] = {"num_envs": 2, "batch_size": 8, "capacity": 64, "warm_up": 8}


def items(count, start=0):
    x = jnp.arange(start, start + count, dtype=jnp.float32)
    return rl.Experience(x[:, None], x[:, None], x, x, x[:, None], x >= 0)


def batch_of(key, count=16):
    one, two, three, four, five = jax.random.split(key, 5)
    return rl.Experience(
        jax.random.normal(one, (count, 3)),
        jax.random.normal(two, (count, 1)),
        jax.random.normal(three, (count,)),
        jax.random.bernoulli(four, 0.5, (count,)).astype(jnp.float32),
        jax.random.normal(one, (count, 3)),
        jax.random.bernoulli(five, 0.7, (count,)),
    )


@pytest.mark.slow
def test_uniform_replay_samples_its_items_and_overwrites_the_oldest(key):
    replay = rl.uniform_replay(200, 100)
    state = replay.init(items(100))
    drawn = np.asarray(replay.sample(key, state).reward)
    assert set(drawn) <= set(range(100))
    assert len(set(drawn)) > 40
    state = jax.jit(replay.add)(state, items(150, 100))
    drawn = np.asarray(replay.sample(key, state).reward)
    assert drawn.min() >= 50
    assert drawn.max() > 200


@pytest.mark.slow
def test_fading_replay_prefers_the_newest_by_the_papers_distribution():
    replay = rl.fading_replay(40, 40)
    state = replay.init(items(20, 1))
    scale = np.mean(np.arange(1, 21))
    assert float(state.reward_scale) == pytest.approx(scale)
    np.testing.assert_allclose(state.items.reward, np.tile(np.arange(1, 21), 2) / scale, rtol=1e-6)
    state = replay.add(state, items(30, 100))
    state = replay.add(state, items(20, 1000))  # oldest first: 110 … 129 are gone with the tiles
    many = jax.vmap(lambda k: replay.sample(k, state).raw[:, 0])(
        jax.random.split(jax.random.key(0), 500)
    )
    values, counts = np.unique(np.asarray(many), return_counts=True)
    held = np.concatenate([np.arange(110, 130), np.arange(1000, 1020)])
    weight = np.tanh((np.pi * np.arange(1, 41) / 40) ** np.e)
    expected = dict(zip(held, weight / weight.sum(), strict=True))
    assert set(values) <= set(held)
    found = {v: c / many.size for v, c in zip(values, counts, strict=True)}
    gap = [abs(found.get(v, 0.0) - p) for v, p in expected.items()]
    assert max(gap) < 4 * np.sqrt(0.05 / many.size)


@pytest.mark.parametrize("terminates", [False, True])
def test_experience_has_the_true_next_observation_and_marks_termination(key, terminates):
    env = Steps()
    runner = rl.OffPolicyRunner(env, rl.q_network_for(env, widths=(4,)), 2, shared=True)
    state = runner.reset(key, terminates)
    state, collected, episodes, _ = runner.collect(key, None, (), state, 7)
    observed = np.asarray(collected.features)[:, 0, 0, 0]
    assert observed.tolist() == [0, 1, 2, 0, 1, 2, 0]
    np.testing.assert_array_equal(collected.next_features, collected.features + 1)
    discount = np.asarray(collected.discount)[:, 0, 0]
    last = 0.0 if terminates else 1.0
    assert discount.tolist() == [1, 1, last, 1, 1, last, 1]
    assert int(episodes.count) == 4
    assert episodes.mean_return.tolist() == [3.0, 6.0]
    assert state.episode_return.tolist() == [[1.0, 2.0]] * 2
    assert (np.abs(np.tanh(collected.raw)) <= 1.0).all()


def test_absent_agents_are_masked(key):
    env = Steps(leaves=True)
    runner = rl.OffPolicyRunner(env, rl.q_network_for(env, widths=(4,)), 1, shared=True)
    _, collected, _, _ = runner.collect(key, None, (), runner.reset(key), 3)
    assert collected.mask[:, 0].tolist() == [[True, True], [False, True], [False, True]]


def frozen(**options):
    return rl.SACHyperparameters(0.0, 0.0, 0.0, **options)


def test_a_sac_update_is_the_papers(key):
    """Losses in numpy, from the same samples; masked items do not count."""
    learner = rl.sac_learner(ENV, NET)
    state = learner.init(NET.init(key), temperature=0.3)
    state = state._replace(target_critic=jax.tree.map(lambda x: x + 0.1, state.target_critic))
    batch = batch_of(key)
    after, info = jax.jit(learner.update)(key, state, batch, frozen(discount=0.9, tau=0.25))
    next_key, now_key = jax.random.split(key)
    raw, log_prob = sample_and_log_prob(next_key, NET, state.params["actor"], batch.next_features)
    q = np.asarray(NET.q_values(state.target_critic, batch.next_features, jnp.tanh(raw)))[..., 0]
    soft = q.min(axis=0) - 0.3 * np.asarray(log_prob)
    y = np.asarray(batch.reward) + 0.9 * np.asarray(batch.discount) * soft
    q = np.asarray(NET.q_values(state.params["critic"], batch.features, jnp.tanh(batch.raw)))[
        ..., 0
    ]
    mask = np.asarray(batch.mask)
    assert float(info["critic_loss"]) == pytest.approx(
        (0.5 * np.square(q - y).sum(axis=0))[mask].mean(), rel=1e-4
    )
    raw, log_prob = sample_and_log_prob(now_key, NET, state.params["actor"], batch.features)
    q = np.asarray(NET.q_values(state.params["critic"], batch.features, jnp.tanh(raw)))[..., 0]
    loss = 0.3 * np.asarray(log_prob) - q.min(axis=0)
    assert float(info["actor_loss"]) == pytest.approx(loss[mask].mean(), rel=1e-4)
    assert float(info["entropy"]) == pytest.approx(-np.asarray(log_prob)[mask].mean(), rel=1e-4)
    moved = jax.tree.map(
        lambda t, p: 0.75 * t + 0.25 * p, state.target_critic, state.params["critic"]
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.target_critic, moved
    )
    jax.tree.map(np.testing.assert_array_equal, after.params, state.params)
    _, mean = jax.jit(learner.update)(key, state, batch, frozen(pessimism=0.0))
    assert float(mean["actor_loss"]) < float(info["actor_loss"])


@pytest.mark.slow
def test_critics_differ_and_log_probabilities_of_saturated_actions_are_finite(key):
    params = jax.jit(NET.init)(key)["critic"]
    values = NET.q_values(params, jnp.ones((3, 3)), jnp.zeros((3, 1)))
    assert values.shape == (2, 3, 1)
    assert (np.abs(values[0] - values[1]) > 1e-3).all()
    _, log_prob = sample_and_log_prob(key, NET, NET.init(key)["actor"], 1e3 * jnp.ones((4, 3)))
    assert np.isfinite(log_prob).all()


@pytest.mark.parametrize(("target_entropy", "rises"), [(5.0, True), (-50.0, False)])
def test_the_temperature_moves_towards_the_target_entropy(key, target_entropy, rises):
    learner = rl.sac_learner(ENV, NET)
    state = learner.init(NET.init(key))
    hp = rl.SACHyperparameters(target_entropy=target_entropy, temperature_lr=0.1)
    after, _ = jax.jit(learner.update)(key, state, batch_of(key), hp)
    assert (float(after.log_alpha) > 0.0) == rises


def tiny(**options):
    return rl.sac(ENV, NET, **(SIZES | {"updates": 2} | options))


def begun(algorithm, key, *, shared=False, **options):
    def start(key):
        return algorithm.init(rl.initialize(key, NET, 2, shared=shared), key, **options)

    return jax.jit(start)(key)


@pytest.mark.slow
def test_independent_learners_do_not_affect_each_other(key):
    algorithm = tiny(shared=False)
    step = Counted(algorithm.step)
    light = PendulumParams(mass=jnp.array([1.0, 1.0]))
    heavy = PendulumParams(mass=jnp.array([1.0, 2.0]))
    one, two = (step(key, begun(algorithm, key, env_params=p))[0] for p in (light, heavy))
    assert step.traces == 1
    first = [jax.tree.map(lambda x: x[0], s.learner) for s in (one, two)]
    jax.tree.map(np.testing.assert_array_equal, *first)
    other = [jax.tree.leaves(jax.tree.map(lambda x: x[1], s.learner.params)) for s in (one, two)]
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(*other, strict=True))


@pytest.mark.slow
def test_a_shared_learner_uses_the_experience_of_all_agents(key):
    algorithm = tiny()
    state, info = jax.jit(algorithm.step)(key, begun(algorithm, key, shared=True))
    assert int(state.replay.current_index) == 2 * 2 * 8 + 2 * 2
    assert info.learning["critic_loss"].shape == ()
    assert state.learner.log_alpha.shape == ()


@pytest.mark.slow
def test_hyperparameters_are_traced_and_may_differ_between_agents(key):
    algorithm = tiny(shared=False)
    rates = rl.SACHyperparameters(critic_lr=jnp.array([0.0, 1e-2]), tau=0.5)
    state = begun(algorithm, key)
    after, _ = jax.jit(algorithm.step)(key, state, rates)
    gaps = [np.abs(a - b).max(axis=tuple(range(1, a.ndim))) for a, b in zip(
        *(map(np.asarray, jax.tree.leaves(s.learner.params["critic"])) for s in (state, after)),
        strict=True,
    )]  # fmt: skip
    assert max(gap[0] for gap in gaps) == 0.0 < max(gap[1] for gap in gaps)


@pytest.mark.slow
def test_training_resumes_bit_identically_with_its_buffer(key, tmp_path):
    algorithm = tiny()
    state = begun(algorithm, key, shared=True)

    def run(where, rounds, **options):
        return simulate(
            algorithm.step, state, rounds, key=key, every=2, checkpoint=where, progress=False,
            **options,
        )  # fmt: skip

    whole, records = run(None, 9)
    run(tmp_path, 5)
    again, kept = run(tmp_path, 9, resume=True)

    def same(a, b):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)

    jax.tree.map(same, (whole, records), (again, kept))
    assert int(whole.replay.current_index) != int(state.replay.current_index)


def team(rule, **options):
    return networked.networked_sac(ENV, NET, rule, reward_widths=(4,), **(SIZES | options))


@pytest.mark.slow
def test_networked_sac_averages_critics_and_not_actors(key):
    complete = gossip.averaging(gossip.mixing(topology.complete(2), "uniform"))
    algorithm = team(complete, average_temperatures=True)
    start = jax.jit(lambda key: algorithm.init(networked.initial_params(key, NET, 2), key))(key)
    state, info = jax.jit(algorithm.step)(key, start)
    held = state.agents.learner
    alike = (
        held.sac.params["critic"],
        held.sac.target_critic,
        held.reward_model.params,
        held.sac.log_alpha,
    )
    assert float(agents.disagreement(alike)) < 1e-9
    assert float(agents.disagreement(held.sac.params["actor"])) > 1e-9
    assert float(info.traffic.messages) == 2.0


@pytest.mark.slow
def test_actors_are_averaged_on_request(key):
    complete = gossip.averaging(gossip.mixing(topology.complete(2), "uniform"))
    algorithm = team(complete, average_actors=True)
    start = jax.jit(lambda key: algorithm.init(networked.initial_params(key, NET, 2), key))(key)
    state, _ = jax.jit(algorithm.step)(key, start)
    assert float(agents.disagreement(state.agents.learner.sac.params)) < 1e-9


@pytest.mark.slow
def test_disagreement_of_critics_contracts_at_the_spectral_rate(key):
    env = envs.Pendulum(num_agents=5, time_limit=20)
    W = gossip.mixing(topology.ring(5))
    rate = float(topology.spectra.second_eigenvalue(W)) ** 2
    algorithm = networked.networked_sac(
        env, NET, gossip.averaging(W), hyperparameters=frozen(), reward_widths=(4,), **SIZES
    )
    start = jax.jit(algorithm.init)(rl.initialize(key, NET, 5, shared=False), key)
    step = jax.jit(algorithm.step)
    before = float(agents.disagreement(start.agents.learner.sac.params["critic"]))
    for _ in range(3):
        start, _ = step(key, start)
        after = float(agents.disagreement(start.agents.learner.sac.params["critic"]))
        assert 0.0 < after <= rate * before * (1 + 1e-4)
        before = after


def test_bad_inputs_are_named(key):
    with pytest.raises(ValueError, match="capacity: expected at least a batch"):
        rl.uniform_replay(4, 8)
    with pytest.raises(ValueError, match="batch_size"):
        rl.uniform_replay(4, 0)
    with pytest.raises(ValueError, match="min_reward_scale"):
        rl.fading_replay(8, 4, min_reward_scale=0.0)
    with pytest.raises(ValueError, match="capacity: expected a multiple"):
        rl.fading_replay(9, 4).init(items(4))
    with pytest.raises(ValueError, match="warm_up: expected at least 8 items"):
        tiny(warm_up=1)
    with pytest.raises(ValueError, match="updates"):
        tiny(updates=0)
    for name, value in (("tau", 0.0), ("tau", 1.5), ("discount", -1.0), ("pessimism", 2.0)):
        with pytest.raises(ValueError, match=name):
            tiny(hyperparameters=rl.SACHyperparameters(**{name: value}))
    with pytest.raises(ValueError, match="target_entropy"):
        tiny(hyperparameters=rl.SACHyperparameters(target_entropy=np.nan))
    with pytest.raises(ValueError, match="temperature: expected a finite number > 0"):
        rl.sac_learner(ENV, NET).init(NET.init(key), temperature=0.0)
    with pytest.raises(ValueError, match="bounded continuous"):
        rl.q_network_for(envs.Donations(3))
    with pytest.raises(ValueError, match="critic_dropout"):
        rl.q_network_for(ENV, critic_dropout=1.0)
    with pytest.raises(ValueError, match="num_critics"):
        rl.q_network_for(ENV, num_critics=0)
    with pytest.raises(ValueError, match="std"):
        rl.q_network_for(ENV, std="sigmoid")
    with pytest.raises(ValueError, match="reward_lr"):
        team(gossip.identity(), reward_lr=-1.0)
    with pytest.raises(ValueError, match="must lead with 2 agents"):
        tiny(shared=False).init(rl.initialize(key, NET, 3, shared=False), key)


@pytest.mark.slow
def test_another_optimizer_can_be_given(key):
    learner = rl.sac_learner(ENV, NET, optimizer=optax.identity())
    state = learner.init(NET.init(key))
    after, _ = jax.jit(learner.update)(key, state, batch_of(key), rl.SACHyperparameters())
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after.params, state.params)
    assert max(jax.tree.leaves(moved["critic"])) > 0.0
