"""Learners that replay: what they remember, what an update is, and runs that resume to the bit."""

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
from jaxswarm.rl._off_policy import Playground
from jaxswarm.rl._sac import sampled
from jaxswarm.systems import stac
from jaxswarm.systems.stac._stac import critic_law


class Seen(NamedTuple):
    value: jax.Array
    agent_mask: jax.Array


class Steps(SwarmEnvironment):
    """Everyone sees the step count and earns its index; the physics says how the last step ends.

    Agent 0 leaves after the first step if ``leaves``.
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
        gone = self.leaves & (world > 0) & (jnp.arange(self.num_agents) == 0)
        return ~gone

    def advance(self, key, world, action, params):
        over = (world + 1 >= self.time_limit) & params
        return Outcome(world + 1, jnp.arange(1.0, self.num_agents + 1.0), over, {})

    def observe(self, world, params, step_count):
        now = jnp.broadcast_to(world.astype(jnp.float32), (self.num_agents, 1))
        return Seen(now, self.agent_mask(world))


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


def test_uniform_replay_draws_what_it_holds_and_forgets_the_oldest(key):
    replay = rl.uniform(200, 100)
    state = replay.start(items(100))
    drawn = np.asarray(replay.sample(key, state).reward)
    assert set(drawn) <= set(range(100))
    assert len(set(drawn)) > 40
    state = jax.jit(replay.add)(state, items(150, 100))
    drawn = np.asarray(replay.sample(key, state).reward)
    assert drawn.min() >= 50
    assert drawn.max() > 200


def test_fading_replay_prefers_the_newest_by_the_papers_law():
    draws = rl.fading(40, 40)
    state = draws.start(items(20, 1))
    unit = np.mean(np.arange(1, 21))
    assert float(state.unit) == pytest.approx(unit)
    np.testing.assert_allclose(state.items.reward, np.tile(np.arange(1, 21), 2) / unit, rtol=1e-6)
    state = draws.add(state, items(30, 100))
    state = draws.add(state, items(20, 1000))  # oldest first: 110 … 129 are gone with the tiles
    many = jax.vmap(lambda k: draws.sample(k, state).raw[:, 0])(
        jax.random.split(jax.random.key(0), 500)
    )
    values, counts = np.unique(np.asarray(many), return_counts=True)
    held = np.concatenate([np.arange(110, 130), np.arange(1000, 1020)])
    law = np.tanh((np.pi * np.arange(1, 41) / 40) ** np.e)
    expected = dict(zip(held, law / law.sum(), strict=True))
    assert set(values) <= set(held)
    found = {v: c / many.size for v, c in zip(values, counts, strict=True)}
    gap = [abs(found.get(v, 0.0) - p) for v, p in expected.items()]
    assert max(gap) < 4 * np.sqrt(0.05 / many.size)


@pytest.mark.parametrize("terminates", [False, True])
def test_experience_keeps_the_true_next_observation_and_tells_a_cut_from_an_end(key, terminates):
    env = Steps()
    ground = Playground(env, rl.q_network_for(env, widths=(4,)), 2, True)
    playing, done, finished, _ = ground.play(key, None, (), ground.begin(key, terminates), 7)
    seen = np.asarray(done.features)[:, 0, 0, 0]
    assert seen.tolist() == [0, 1, 2, 0, 1, 2, 0]
    np.testing.assert_array_equal(done.next_features, done.features + 1)
    ended = np.asarray(done.discount)[:, 0, 0]
    last = 0.0 if terminates else 1.0
    assert ended.tolist() == [1, 1, last, 1, 1, last, 1]
    assert int(finished.episodes) == 4
    assert finished.episode_return.tolist() == [3.0, 6.0]
    assert playing.episode_return.tolist() == [[1.0, 2.0]] * 2
    assert (np.abs(np.tanh(done.raw)) <= 1.0).all()


def test_agents_that_left_are_masked(key):
    env = Steps(leaves=True)
    ground = Playground(env, rl.q_network_for(env, widths=(4,)), 1, True)
    _, done, _, _ = ground.play(key, None, (), ground.begin(key), 3)
    assert done.mask[:, 0].tolist() == [[True, True], [False, True], [False, True]]


def frozen(**numbers):
    return rl.SACHyperparameters(0.0, 0.0, 0.0, **numbers)


def test_a_sac_update_is_the_papers(key):
    """Losses by hand, in numpy, from the same draws; nothing masked counts."""
    learner = rl.sac_learner(ENV, NET)
    state = learner.init(NET.init(key), temperature=0.3)
    state = state._replace(target=jax.tree.map(lambda x: x + 0.1, state.target))
    batch = batch_of(key)
    after, info = jax.jit(learner.update)(key, state, batch, frozen(discount=0.9, tau=0.25))
    next_key, now_key = jax.random.split(key)
    raw, log_prob = sampled(NET, next_key, state.params["actor"], batch.next_features)
    q = np.asarray(NET.values(state.target, batch.next_features, jnp.tanh(raw)))[..., 0]
    soft = q.min(axis=0) - 0.3 * np.asarray(log_prob)
    y = np.asarray(batch.reward) + 0.9 * np.asarray(batch.discount) * soft
    q = np.asarray(NET.values(state.params["critic"], batch.features, jnp.tanh(batch.raw)))[..., 0]
    mask = np.asarray(batch.mask)
    assert float(info["critic_loss"]) == pytest.approx(
        (0.5 * np.square(q - y).sum(axis=0))[mask].mean(), rel=1e-4
    )
    raw, log_prob = sampled(NET, now_key, state.params["actor"], batch.features)
    q = np.asarray(NET.values(state.params["critic"], batch.features, jnp.tanh(raw)))[..., 0]
    regret = 0.3 * np.asarray(log_prob) - q.min(axis=0)
    assert float(info["actor_loss"]) == pytest.approx(regret[mask].mean(), rel=1e-4)
    assert float(info["entropy"]) == pytest.approx(-np.asarray(log_prob)[mask].mean(), rel=1e-4)
    moved = jax.tree.map(lambda t, p: 0.75 * t + 0.25 * p, state.target, state.params["critic"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.target, moved)
    jax.tree.map(np.testing.assert_array_equal, after.params, state.params)
    _, mean = jax.jit(learner.update)(key, state, batch, frozen(pessimism=0.0))
    assert float(mean["actor_loss"]) < float(info["actor_loss"])


def test_critics_differ_and_log_probabilities_are_of_the_stretched_action(key):
    params = NET.init(key)["critic"]
    values = NET.values(params, jnp.ones((3, 3)), jnp.zeros((3, 1)))
    assert values.shape == (2, 3, 1)
    assert (np.abs(values[0] - values[1]) > 1e-3).all()
    _, log_prob = sampled(NET, key, NET.init(key)["actor"], 1e3 * jnp.ones((4, 3)))
    assert np.isfinite(log_prob).all()


@pytest.mark.parametrize(("wanted", "rises"), [(5.0, True), (-50.0, False)])
def test_the_temperature_moves_towards_the_entropy_asked_for(key, wanted, rises):
    learner = rl.sac_learner(ENV, NET)
    state = learner.init(NET.init(key))
    numbers = rl.SACHyperparameters(target_entropy=wanted, temperature_lr=0.1)
    after, _ = jax.jit(learner.update)(key, state, batch_of(key), numbers)
    assert (float(after.log_temperature) > 0.0) == rises


def tiny(**options):
    return rl.sac(ENV, NET, **(SIZES | {"updates": 2} | options))


def begun(algorithm, key, *, shared=False, **options):
    params = rl.initialize(key, NET, 2, shared=shared)
    return jax.jit(lambda key: algorithm.init(params, key, **options))(key)


def test_agents_of_their_own_do_not_touch_each_other(key):
    algorithm = tiny(shared=False)
    step = jax.jit(algorithm.step)
    light = PendulumParams(mass=jnp.array([1.0, 1.0]))
    heavy = PendulumParams(mass=jnp.array([1.0, 2.0]))
    one, two = (step(key, begun(algorithm, key, physics=p))[0] for p in (light, heavy))
    assert step._cache_size() == 1
    first = [jax.tree.map(lambda x: x[0], s.learner) for s in (one, two)]
    jax.tree.map(np.testing.assert_array_equal, *first)
    other = [jax.tree.leaves(jax.tree.map(lambda x: x[1], s.learner.params)) for s in (one, two)]
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(*other, strict=True))


@pytest.mark.slow
def test_sharing_agents_learn_from_everybody(key):
    algorithm = tiny()
    state, info = jax.jit(algorithm.step)(key, begun(algorithm, key, shared=True))
    assert int(state.replay.current_index) == 2 * 2 * 8 + 2 * 2
    assert info.learning["critic_loss"].shape == ()
    assert state.learner.log_temperature.shape == ()


@pytest.mark.slow
def test_numbers_are_traced_and_of_each_agent(key):
    algorithm = tiny(shared=False)
    rates = rl.SACHyperparameters(critic_lr=jnp.array([0.0, 1e-2]), tau=0.5)
    state = begun(algorithm, key)
    after, _ = jax.jit(algorithm.step)(key, state, rates)
    gaps = [np.abs(a - b).max(axis=tuple(range(1, a.ndim))) for a, b in zip(
        *(map(np.asarray, jax.tree.leaves(s.learner.params["critic"])) for s in (state, after)),
        strict=True,
    )]  # fmt: skip
    assert max(gap[0] for gap in gaps) == 0.0 < max(gap[1] for gap in gaps)


def test_training_resumes_to_the_bit_with_its_buffer(key, tmp_path):
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


def test_networked_sac_averages_critics_and_keeps_actors_at_home(key):
    everyone = gossip.averaging(gossip.mixing(topology.complete(2), "uniform"))
    algorithm = team(everyone, average_temperatures=True)
    start = jax.jit(algorithm.init)(networked.networked_parameters(key, NET, 2), key)
    state, info = jax.jit(algorithm.step)(key, start)
    held = state.agents.learner
    alike = (held.sac.params["critic"], held.sac.target, held.rewards, held.sac.log_temperature)
    assert float(agents.disagreement(alike)) < 1e-9
    assert float(agents.disagreement(held.sac.params["actor"])) > 1e-9
    assert float(info.traffic.messages) == 2.0


@pytest.mark.slow
def test_actors_are_averaged_where_asked_for(key):
    everyone = gossip.averaging(gossip.mixing(topology.complete(2), "uniform"))
    algorithm = team(everyone, average_actors=True)
    start = jax.jit(algorithm.init)(networked.networked_parameters(key, NET, 2), key)
    state, _ = jax.jit(algorithm.step)(key, start)
    assert float(agents.disagreement(state.agents.learner.sac.params)) < 1e-9


def test_disagreement_of_critics_contracts_at_the_spectral_rate(key):
    env = envs.Pendulum(num_agents=5, time_limit=20)
    W = gossip.mixing(topology.ring(5))
    rate = float(topology.spectra.second_eigenvalue(W)) ** 2
    algorithm = networked.networked_sac(
        env, NET, gossip.averaging(W), parameters=frozen(), reward_widths=(4,), **SIZES
    )
    start = jax.jit(algorithm.init)(rl.initialize(key, NET, 5, shared=False), key)
    step = jax.jit(algorithm.step)
    before = float(agents.disagreement(start.agents.learner.sac.params["critic"]))
    for _ in range(3):
        start, _ = step(key, start)
        after = float(agents.disagreement(start.agents.learner.sac.params["critic"]))
        assert 0.0 < after <= rate * before * (1 + 1e-4)
        before = after


STAC_NET = stac.stac_network_for(ENV, widths=(8,), dropout=0.5)


def test_a_stac_update_is_the_papers(key):
    """The negative log-likelihood of a target with β deviations off, by hand."""
    sober = stac.stac_network_for(ENV, widths=(8,), dropout=0.0)
    learner = stac.stac_learner(ENV, sober)
    state = learner.init(sober.init(key), temperature=0.3)
    batch = batch_of(key)
    numbers = stac.STACHyperparameters(0.0, 0.0, 0.2, 0.9, beta=0.5)
    after, info = jax.jit(learner.update)(key, state, batch, numbers)
    keys = jax.random.split(key, 7)
    raw, log_prob = sampled(sober, keys[0], state.params["actor"], batch.next_features)
    mean, std = critic_law(sober, state.target, batch.next_features, raw)
    y = batch.reward + 0.9 * batch.discount * (mean - 0.5 * std - 0.3 * log_prob)
    mean, std = critic_law(sober, state.params["critic"], batch.features, batch.raw)
    density = jax.scipy.stats.norm.logpdf(y, mean, std)
    mask = np.asarray(batch.mask)
    assert float(info["critic_loss"]) == pytest.approx(-np.asarray(density)[mask].mean(), rel=1e-4)
    raw, log_prob = sampled(sober, keys[4], state.params["actor"], batch.features)
    mean, std = critic_law(sober, state.params["critic"], batch.features, raw)
    regret = np.asarray(0.3 * log_prob - mean + 0.5 * std)[mask].mean()
    assert float(info["actor_loss"]) == pytest.approx(regret, rel=1e-4)
    expected = 0.3 * np.exp(0.2 * 0.3 * (-1.0 - float(info["entropy"])))
    assert float(after.temperature) == pytest.approx(expected, rel=1e-5)


def test_stac_s_dropout_needs_a_key_and_its_policy_averages(key):
    params = STAC_NET.init(key)
    x, a = jnp.ones((4, 3)), jnp.zeros((4, 1))
    still = STAC_NET.values(params["critic"], x, a)
    np.testing.assert_array_equal(still, STAC_NET.values(params["critic"], x, a))
    assert (STAC_NET.values(params["critic"], x, a, key) != still).any()
    many = stac.averaged(STAC_NET, 5)
    raw = many.head.sample(key, jnp.array([0.3, 0.0]))
    assert raw.shape == (5, 1)
    np.testing.assert_allclose(many.head.action(raw), jnp.tanh(raw).mean(axis=0), atol=1e-6)
    acting = rl.policy(many, shared=True)
    _, first = ENV.reset(key)
    action, _ = acting.act(key, params, acting.init(first.observation), first.observation)
    assert action.shape == ENV.action_spec.shape


def test_stac_steps_and_traces_beta_once(key):
    algorithm = stac.stac(ENV, STAC_NET, **SIZES)
    params = rl.initialize(key, STAC_NET, 2, shared=True)
    state = jax.jit(lambda key: algorithm.init(params, key))(key)
    step = jax.jit(algorithm.step)
    ends = [step(key, state, stac.STACHyperparameters(beta=jnp.float32(b)))[0] for b in (0.0, 0.5)]
    assert step._cache_size() == 1
    first, second = (jax.tree.leaves(end.learner.params["critic"]) for end in ends)
    assert any((a != b).any() for a, b in zip(first, second, strict=True))
    assert all(np.isfinite(leaf).all() for leaf in first)


def test_bad_inputs_are_named(key):
    with pytest.raises(ValueError, match="capacity: expected at least a batch"):
        rl.uniform(4, 8)
    with pytest.raises(ValueError, match="batch_size"):
        rl.uniform(4, 0)
    with pytest.raises(ValueError, match="floor"):
        rl.fading(8, 4, floor=0.0)
    with pytest.raises(ValueError, match="capacity: expected a multiple"):
        rl.fading(9, 4).start(items(4))
    with pytest.raises(ValueError, match="warm_up: expected at least 8 items"):
        tiny(warm_up=1)
    with pytest.raises(ValueError, match="updates"):
        tiny(updates=0)
    for name, value in (("tau", 0.0), ("tau", 1.5), ("discount", -1.0), ("pessimism", 2.0)):
        with pytest.raises(ValueError, match=name):
            tiny(parameters=rl.SACHyperparameters(**{name: value}))
    with pytest.raises(ValueError, match="target_entropy"):
        tiny(parameters=rl.SACHyperparameters(target_entropy=np.nan))
    with pytest.raises(ValueError, match="temperature: expected a positive"):
        rl.sac_learner(ENV, NET).init(NET.init(key), temperature=0.0)
    with pytest.raises(ValueError, match="bounded continuous"):
        rl.q_network_for(envs.Donations(3))
    with pytest.raises(ValueError, match="critic_dropout"):
        rl.q_network_for(ENV, critic_dropout=1.0)
    with pytest.raises(ValueError, match="positive sizes"):
        rl.q_network_for(ENV, num_critics=0)
    with pytest.raises(ValueError, match="std"):
        rl.q_network_for(ENV, std="sigmoid")
    with pytest.raises(ValueError, match="reward_lr"):
        team(gossip.identity(), reward_lr=-1.0)
    with pytest.raises(ValueError, match="network: expected one critic with two outputs"):
        stac.stac(ENV, NET, **SIZES)
    with pytest.raises(ValueError, match="beta"):
        stac.stac(ENV, STAC_NET, parameters=stac.STACHyperparameters(beta=-0.1), **SIZES)
    with pytest.raises(ValueError, match="samples"):
        stac.averaged(STAC_NET, 0)
    with pytest.raises(ValueError, match="must lead with 2 agents"):
        tiny(shared=False).init(rl.initialize(key, NET, 3, shared=False), key)


@pytest.mark.slow
def test_another_optimiser_can_be_given(key):
    learner = rl.sac_learner(ENV, NET, optimizer=optax.identity())
    state = learner.init(NET.init(key))
    after, _ = jax.jit(learner.update)(key, state, batch_of(key), rl.SACHyperparameters())
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after.params, state.params)
    assert max(jax.tree.leaves(moved["critic"])) > 0.0
