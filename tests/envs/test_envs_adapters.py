"""Adapted environments pass the conformance test and keep the original's numbers."""

import jax
import jax.numpy as jnp
import jumanji
import numpy as np
import pytest
from jumanji.environments import Connector, LevelBasedForaging, RobotWarehouse, SearchAndRescue
from jumanji.environments.routing.connector.generator import RandomWalkGenerator
from jumanji.environments.routing.lbf.generator import RandomGenerator as Foragers
from jumanji.environments.swarms.search_and_rescue.generator import (
    RandomGenerator as Searchers,
)

from jaxswarm import envs


@pytest.fixture(autouse=True)
def _rank_promotion_as_jumanji_needs_it():
    with jax.numpy_rank_promotion("allow"):
        yield


MAKERS = {
    "foraging": lambda n: LevelBasedForaging(
        Foragers(8, fov=8, num_agents=n, num_food=2), time_limit=6
    ),
    "rescue": lambda n: SearchAndRescue(
        generator=Searchers(num_targets=20, num_searchers=n), time_limit=6
    ),
    "connector": lambda n: Connector(RandomWalkGenerator(grid_size=n, num_agents=n), time_limit=6),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name == "rescue" else name for name in MAKERS],
)
@pytest.mark.slow
def test_jumanji_environments_conform(name):
    original = MAKERS[name](5)
    env = envs.from_jumanji(original)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    step = jax.jit(env.step)
    theirs, their_step = state.world.state, jax.jit(original.step)
    policy = envs.random_policy(env.action_spec)
    for index in range(env.time_limit):
        action, _ = policy.act(jax.random.key(index), (), (), first.observation)
        theirs, expected = their_step(theirs, action)
        state, timestep = step(state, action)
        np.testing.assert_allclose(timestep.reward, expected.reward)
        for leaf in jax.tree.leaves(timestep.observation):
            assert leaf.shape[0] == 5
        assert jax.tree.structure(timestep) == jax.tree.structure(first)
    assert bool(timestep.last())
    assert bool(expected.last())
    if bool(timestep.extras["truncated"]):
        assert timestep.discount.tolist() == [1.0] * 5  # theirs is 0 in SearchAndRescue


@pytest.mark.slow
def test_a_scalar_reward_is_given_to_all_agents():
    env = envs.from_jumanji(RobotWarehouse(time_limit=3))
    state, first = jax.jit(env.reset)(jax.random.key(0))
    assert first.reward.shape == (env.num_agents,)
    _, timestep = jax.jit(env.step)(state, jnp.zeros(env.num_agents, jnp.int32))
    assert timestep.reward.shape == (env.num_agents,)


@pytest.mark.slow
def test_the_originals_discount_can_be_kept():
    def last_discount(**options):
        env = envs.from_jumanji(
            SearchAndRescue(generator=Searchers(num_targets=20, num_searchers=3), time_limit=1),
            **options,
        )
        state, _ = jax.jit(env.reset)(jax.random.key(0))
        return jax.jit(env.step)(state, jnp.zeros((3, 2)))[1].discount.tolist()

    assert last_discount() == [1.0] * 3
    assert last_discount(time_limit_is_truncation=False) == [0.0] * 3
    assert last_discount(succeeded=lambda state: jnp.ones((), bool)) == [0.0] * 3


def test_environments_of_this_package_are_in_jumanjis_registry():
    assert "jaxswarm.SimpleSpread-v0" in envs.register()
    envs.register()
    env = jumanji.make("jaxswarm.SimpleSpread-v0", num_agents=5)
    assert env.num_agents == 5


class Space:
    def __init__(self, shape=None, n=None):
        if n is None:
            self.shape, self.low, self.high = shape, -1.0, 1.0
        else:
            self.n = n


class Chase:
    """JaxMARL's interface: dictionaries keyed by agent. Each walks by its action; 3 is home."""

    max_steps = 4

    def __init__(self, shapes=(1, 1, 1)):
        self.agents = ["red", "green", "blue"]
        self.shapes = dict(zip(self.agents, shapes, strict=True))

    def observation_space(self, agent):
        return Space((self.shapes[agent],))

    def action_space(self, agent):
        return Space(n=2)

    def reset(self, key):
        place = jnp.zeros(3)
        return self._seen(place), ChaseState(place, jnp.int32(0))

    def _seen(self, place):
        return {name: place[index][None] for index, name in enumerate(self.agents)}

    def step_env(self, key, state, actions):
        place = state.place + jnp.stack([actions[name] for name in self.agents])
        state = ChaseState(place, state.step + 1)
        clock = state.step >= self.max_steps
        dones = {name: (place[i] >= 2) | clock for i, name in enumerate(self.agents)}
        dones["__all__"] = jnp.all(place >= 2) | clock
        rewards = {name: place[index] for index, name in enumerate(self.agents)}
        return self._seen(place), state, rewards, dones, {}


from typing import NamedTuple  # noqa: E402


class ChaseState(NamedTuple):
    place: jax.Array
    step: jax.Array


class Armed(Chase):
    """A chase in which those at home, where 3 is, may only stay."""

    def get_avail_actions(self, state):
        may = jnp.stack([jnp.ones(3), (state.place < 1).astype(jnp.float32)], axis=1)
        return {name: may[index] for index, name in enumerate(self.agents)}


def test_jaxmarl_legal_actions_become_a_mask():
    env = envs.from_jaxmarl(Armed())
    state, first = jax.jit(env.reset)(jax.random.key(0))
    assert first.observation.action_mask.all()
    assert first.observation.action_mask.shape == (3, 2)
    _, timestep = jax.jit(env.step)(state, jnp.array([1, 0, 1]))
    expected = [[True, False], [True, True], [True, False]]
    assert timestep.observation.action_mask.tolist() == expected
    assert not hasattr(
        jax.eval_shape(envs.from_jaxmarl(Chase()).reset, jax.random.key(0))[1].observation,
        "action_mask",
    )


def test_jaxmarl_dictionaries_become_arrays():
    env = envs.from_jaxmarl(Chase())
    state, first = jax.jit(env.reset)(jax.random.key(0))
    assert first.observation.view.shape == (3, 1)
    step = jax.jit(env.step)
    action = jnp.array([1, 0, 1])
    rewards, masks = [], []
    for _ in range(4):
        state, timestep = step(state, action)
        rewards.append(timestep.reward.tolist())
        masks.append(timestep.observation.agent_mask.tolist())
    assert rewards == [[1, 0, 1], [2, 0, 2], [0, 0, 0], [0, 0, 0]]  # done agents earn nothing
    assert masks[1] == [False, True, False]
    assert bool(timestep.extras["truncated"])
    assert timestep.discount.tolist() == [0, 1, 0]


BAD = {
    "different spaces": (lambda: envs.from_jaxmarl(Chase((1, 2, 1))), "one observation space"),
    "not jaxmarl": (lambda: envs.from_jaxmarl(object()), "without 'agents'"),
    "not jumanji": (lambda: envs.from_jumanji(Chase()), "jumanji environment"),
    "agents": (lambda: envs.from_jumanji(MAKERS["rescue"](3), num_agents=4), "num_agents"),
    "scalar": (lambda: envs.from_jumanji(jumanji.make("Maze-v0"), copies=False), "agents axis"),
    "several copies of": (
        lambda: envs.from_jumanji(jumanji.make("Minesweeper-v0"), num_agents=4),
        "copies=True gives",
    ),
    "shared copies": (
        lambda: envs.from_jumanji(jumanji.make("Maze-v0"), shared=("walls",)),
        "shared: expected None with copies",
    ),
    "restarting team": (
        lambda: envs.from_jumanji(MAKERS["rescue"](3), restart=True),
        "restart: expected None where agents share one environment",
    ),
    "copies without a limit": (
        lambda: envs.from_jumanji(jumanji.make("Game2048-v1"), num_agents=2),
        "time_limit: expected a number of steps",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
