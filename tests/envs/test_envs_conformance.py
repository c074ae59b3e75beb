"""Every environment passes the conformance test, and environments with a fault do not."""

from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, topology
from jaxswarm.envs import Outcome
from jaxswarm.envs.coordination_game import CoordinationParams
from jaxswarm.envs.risky_point_mass import RiskyParams

ENVIRONMENTS = {
    "spread": (lambda n: envs.SimpleSpread(num_agents=n), {}),
    "tag": (lambda n: envs.SimpleTag(num_hunters=n - 1), {}),
    "porters": (lambda n: envs.Porters(num_agents=n), {"symmetric": False}),  # they have an order
    "sum guessing": (lambda n: envs.SumGuessing(num_agents=n), {}),
    "coordination": (
        lambda n: envs.CoordinationGame(num_agents=n, margin=1),
        {"noiseless": CoordinationParams(flip=0.0, margin=1.0)},
    ),
    "aloha": (  # a graph of their own: agents are not interchangeable
        lambda n: envs.Aloha(num_agents=n, topology=topology.ring(n)),
        {"symmetric": False},
    ),
    "crafter": (  # players act in the order of their ids
        lambda n: envs.MultiAgentCrafter(num_agents=n, size=16, chunk=8),
        {"symmetric": False},
    ),
    "donations": (lambda n: envs.Donations(num_agents=n), {"symmetric": False}),
    "pendulum": (lambda n: envs.Pendulum(num_agents=n), {}),
    "risky point mass": (
        lambda n: envs.RiskyPointMass(num_agents=n),
        {"noiseless": RiskyParams(noise=0.0, risk=0.0)},
    ),
    "corridor": (lambda n: envs.CorridorMaze(num_agents=n, rows=2, columns=4), {}),
    "search and rescue": (
        lambda n: envs.SearchAndRescue(num_agents=n, num_targets=7, num_rays=16),
        {},
    ),
    "maze": (lambda n: envs.CaveEscape(num_agents=n, size=7), {}),
    "coverage and energy": (lambda n: envs.CoverageEnergy(num_agents=n), {}),
    "deep-sea treasure": (lambda n: envs.DeepSeaTreasure(num_agents=n), {}),
    "two objectives": (lambda n: envs.TwoObjectiveGrid(num_agents=n), {}),
    "feed": (lambda n: envs.FeedEnv(num_agents=n, num_factors=3), {}),
    "feed by preference": (
        lambda n: envs.FeedEnv(num_agents=n, num_factors=3, actions="preference"),
        {},
    ),
    "live feed": (lambda n: envs.LiveFeedEnv(num_agents=n, num_factors=3), {}),
    "theatre": (  # acts and facts are of particular actors: see test_envs_theatre.py
        lambda n: envs.Theatre(num_agents=n),
        {"symmetric": False},
    ),
    "pursuit": (lambda n: envs.swarmbench.make("pursuit", num_agents=n), {}),
    "synchronization": (
        lambda n: envs.swarmbench.make("synchronization", num_agents=n, message_length=2),
        {},
    ),
    "foraging": (lambda n: envs.swarmbench.make("foraging", num_agents=n, as_features=True), {}),
    "foraging arena": (lambda n: envs.swarmbench.ForagingArena(num_agents=n, size=8), {}),
    "flocking": (lambda n: envs.swarmbench.make("flocking", num_agents=n), {"steps": 4}),
    "transport": (lambda n: envs.swarmbench.make("transport", num_agents=n), {"num_agents": 5}),
}
SLOW = {
    "crafter",
    "tag",
    "search and rescue",
    "porters",
    "feed",
    "feed by preference",
    "live feed",
    "foraging arena",
    "theatre",
    *envs.swarmbench.TASKS,
}


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow) if x in SLOW else x for x in ENVIRONMENTS]
)
def test_environment_conforms(name):
    make, options = ENVIRONMENTS[name]
    envs.conformance.check(make, **options)


class Broken(envs.SimpleSpread):
    """A spread with one fault."""

    def __init__(self, num_agents, fault):
        self.fault = fault
        super().__init__(num_agents)

    @cached_property
    def action_spec(self):
        return envs.continuous_actions(self.num_agents, 2)

    def advance(self, key, world, action, params):
        if self.fault == "favourite":
            action = action.at[0].multiply(2.0)
        if self.fault == "loop":
            for agent in range(self.num_agents):
                action = action.at[agent].multiply(1.0)
        outcome = super().advance(key, world, action, params)
        if self.fault == "nan gradient":
            far = jnp.sqrt(jnp.sum(jnp.square(action - action), axis=1))
            return outcome._replace(reward=outcome.reward + far)
        return outcome

    def step(self, state, action):
        state, timestep = super().step(state, action)
        if self.fault == "extras":
            timestep.extras = {**timestep.extras, "late": jnp.zeros(())}
        if self.fault == "terminates":
            timestep.discount = jnp.where(timestep.last(), 0.0, timestep.discount)
        return state, timestep

    def agent_mask(self, world):
        if self.fault == "comes back":
            return world.velocity[:, 0] >= 0.0
        return super().agent_mask(world)

    def observe(self, world, params, step_count):
        return (
            super().observe(world, params, step_count)._replace(agent_mask=self.agent_mask(world))
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("favourite", "permuting"),
        ("loop", "program grows"),
        ("nan gradient", "gradient"),
        ("extras", "timestep: structure"),
        ("terminates", "time limit terminates"),
        ("comes back", "came back"),
    ],
)
def test_the_conformance_test_finds_the_fault(fault, message):
    with pytest.raises(AssertionError, match=message):
        envs.conformance.check(lambda n: Broken(n, fault))


class Count(envs.SwarmEnvironment):
    """Agents add their actions to a sum; done at ten. Physics: a gain."""

    action_spec = envs.discrete_actions(3, 2)
    params = {"gain": 1.0}  # noqa: RUF012

    def start(self, key, params):
        return jnp.zeros(())

    def advance(self, key, world, action, params):
        world = world + params["gain"] * jnp.sum(action)
        return Outcome(world, jnp.full(3, world), world >= 10.0, {"sum": world})

    def observe(self, world, params, step_count):
        return CountSeen(jnp.full(3, world), jnp.ones(3, bool))


from typing import NamedTuple  # noqa: E402


class CountSeen(NamedTuple):
    total: jax.Array
    agent_mask: jax.Array


def test_physics_differ_across_a_batch_and_survive_a_reset(key):
    env = envs.AutoReset(Count(3, time_limit=100))
    many = envs.Vmapped(env, 4)
    state, _ = many.reset(key, {"gain": jnp.arange(4.0)}, per_env=True)
    ones = jnp.ones((4, 3), jnp.int32)
    step = jax.jit(many.step)
    sums = []
    for _ in range(6):
        state, timestep = step(state, ones)
        sums.append(timestep.extras["sum"].tolist())
    assert [row[1] for row in sums] == [3, 6, 9, 12, 3, 6]
    assert [row[3] for row in sums] == [9, 18, 9, 18, 9, 18]
    assert [row[0] for row in sums] == [0] * 6
    assert state.params["gain"].tolist() == [0, 1, 2, 3]


def test_a_batch_under_vmap_computes_resets_only_where_an_episode_ends(key):
    """The choice stays a conditional of one flag, also in batches of batches, and has gradients."""
    env = envs.AutoReset(Count(3, time_limit=4))
    state, _ = jax.jit(jax.vmap(jax.vmap(env.reset)))(jax.random.split(key, (2, 2)))
    step, ones = jax.vmap(jax.vmap(env.step)), jnp.ones((2, 2, 3), jnp.int32)
    program = jax.make_jaxpr(step)(state, ones)
    (choice,) = [e for e in program.jaxpr.eqns if e.primitive.name == "cond"]
    assert choice.invars[0].aval.shape == ()

    def total(gain):
        return step(state._replace(params={"gain": gain}), ones)[1].reward.sum()

    np.testing.assert_array_equal(jax.jit(jax.grad(total))(jnp.ones((2, 2))), 9.0)


@pytest.mark.slow
def test_beginning_anew_around_a_batch_is_beginning_anew_in_it(key):
    """To the bit, with ends that come at different times, by success and by the clock."""
    env = Count(3, time_limit=4)
    inside = envs.Vmapped(envs.AutoReset(env, keeps_global=True), 4)
    around = envs.AutoReset(envs.Vmapped(env, 4), keeps_global=True)
    gains = {"gain": jnp.array([0.0, 1.0, 2.0, 4.0])}
    one, two = (e.reset(key, gains, per_env=True)[0] for e in (inside, around))
    ends = []
    for step in range(9):
        action = jax.random.bernoulli(jax.random.fold_in(key, step), 0.8, (4, 3)).astype(jnp.int32)
        (one, seen), (two, also) = (
            jax.jit(e.step)(state, action) for e, state in ((inside, one), (around, two))
        )
        ends.append(np.asarray(seen.last()))
        for a, b in zip(jax.tree.leaves((one, seen)), jax.tree.leaves((two, also)), strict=True):
            raw = (
                jax.random.key_data if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else jnp.asarray
            )
            np.testing.assert_array_equal(raw(a), raw(b))
    assert 0 < np.sum(ends) < np.size(ends)
    assert len({tuple(row) for row in np.array(ends).T}) > 1


def test_success_terminates_and_the_clock_truncates(key):
    env = Count(3, time_limit=2)
    slow, fast = {"gain": jnp.float32(0.1)}, {"gain": jnp.float32(9.0)}
    ones = jnp.ones(3, jnp.int32)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    state, _ = reset(key, fast)
    _, timestep = step(state, ones)
    assert bool(timestep.last())
    assert timestep.discount.tolist() == [0, 0, 0]
    assert not bool(timestep.extras["truncated"])
    state, _ = reset(key, slow)
    state, timestep = step(state, ones)
    assert not bool(timestep.last())
    _, timestep = step(state, ones)
    assert bool(timestep.last())
    assert timestep.discount.tolist() == [1, 1, 1]
    assert bool(timestep.extras["truncated"])


def test_a_batch_is_each_environment_alone(key):
    env = envs.SimpleSpread(num_agents=3)
    many = envs.Vmapped(env, 2)
    states, _ = jax.jit(many.reset)(key)
    actions = jax.random.uniform(key, (2, 3, 2))
    _, together = jax.jit(many.step)(states, actions)
    alone = jax.tree.map(lambda leaf: leaf[1], states)
    _, apart = jax.jit(env.step)(alone, actions[1])
    assert jnp.allclose(together.reward[1], apart.reward)


BAD = {
    "agents": (lambda: envs.SimpleSpread(num_agents=0), "num_agents"),
    "time": (lambda: envs.SimpleSpread(time_limit=0), "time_limit"),
    "action": (lambda: _step(jnp.zeros((2, 2))), r"action: expected shape \(3, 2\)"),
    "physics": (lambda: envs.SimpleSpread().reset(jax.random.key(0), {"a": 1.0}), "params"),
    "envs": (lambda: envs.Vmapped(envs.SimpleSpread(), 0), "num_envs"),
    "per env": (
        lambda: envs.Vmapped(Count(3, 5), 4).reset(
            jax.random.key(0), {"gain": jnp.ones(3)}, per_env=True
        ),
        r"params\['gain'\]",
    ),
    "steps": (lambda: envs.unroll(jax.random.key(0), envs.SimpleSpread(), None, 0), "num_steps"),
    "policy": (lambda: envs.unroll(jax.random.key(0), envs.SimpleSpread(), 3, 2), "policy"),
    "order": (
        lambda: envs.unroll(jax.random.key(0), None, envs.SimpleSpread(), 2),  # swapped
        "env: expected",
    ),
    "bounds": (lambda: envs.continuous_actions(3, 2, 1.0, -1.0), "low, high"),
    "spec": (lambda: envs.spec_of(jnp.zeros(3)), "NamedTuple"),
}


def _step(action):
    env = envs.SimpleSpread(num_agents=3)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    return env.step(state, action)


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
