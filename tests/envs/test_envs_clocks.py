"""Time limits of adapted environments truncate, whatever their clocks and limits are called."""

import dataclasses
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from jumanji import specs
from jumanji.env import Environment
from jumanji.types import restart, termination, transition

from jaxswarm import envs
from jaxswarm.envs.adapters.time_limit import LIMITS

LIMIT = 3


def began(clock):
    return {"inner": {clock: jnp.int32(LIMIT if clock == "left" else 0)}}


def ticked(state, clock):
    return {"inner": {clock: state["inner"][clock] + (-1 if clock == "left" else 1)}}


def is_over(state, clock):
    now = state["inner"][clock]
    return now <= 0 if clock == "left" else now >= LIMIT


class Box:
    low, high, shape = -1.0, 1.0, (1,)


class Jaxmarl:
    agents = ("a", "b")

    def __init__(self, clock, limit="max_steps"):
        self.clock = clock
        setattr(self, limit, LIMIT)

    def observation_space(self, agent):
        return Box()

    def action_space(self, agent):
        return Box()

    def reset(self, key):
        return dict.fromkeys(self.agents, jnp.zeros(1)), began(self.clock)

    def step_env(self, key, state, actions):
        state = ticked(state, self.clock)
        over = is_over(state, self.clock)
        dones = dict.fromkeys((*self.agents, "__all__"), over)
        each = {agent: jnp.ones(()) for agent in self.agents}
        return dict.fromkeys(self.agents, jnp.zeros(1)), state, each, dones, {}


class Gymnax:
    def __init__(self, clock, limit="max_steps"):
        self.clock = clock
        setattr(self, limit, LIMIT)
        self.default_params = {"gain": 1.0}

    def action_space(self, params):
        return SimpleNamespace(n=2)

    def reset_env(self, key, params):
        return jnp.zeros(1), began(self.clock)

    def step_env(self, key, state, action, params):
        state = ticked(state, self.clock)
        return jnp.zeros(1), state, jnp.ones(()), is_over(state, self.clock), {}


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class BraxState:
    obs: jax.Array
    reward: jax.Array
    done: jax.Array
    info: dict
    metrics: dict = dataclasses.field(default_factory=dict)


class Brax:
    action_size = 1

    def __init__(self, clock, limit="max_steps"):
        self.clock = clock
        setattr(self, limit, LIMIT)

    def reset(self, key):
        return BraxState(jnp.zeros(1), jnp.zeros(()), jnp.zeros(()), began(self.clock))

    def step(self, state, action):
        info = ticked(state.info, self.clock)
        over = is_over(info, self.clock).astype(jnp.float32)
        return BraxState(jnp.zeros(1), jnp.ones(()), over, info)


class Jumanji(Environment):
    def __init__(self, clock, limit="max_steps"):
        self.clock = clock
        setattr(self, limit, LIMIT)
        super().__init__()

    @property
    def action_spec(self):
        return specs.BoundedArray((2, 1), jnp.float32, -1.0, 1.0, "action")

    @property
    def observation_spec(self):
        return specs.Array((2, 1), jnp.float32, "view")

    def reset(self, key):
        return began(self.clock), restart(View(jnp.zeros((2, 1))), shape=(2,))

    def step(self, state, action):
        state = ticked(state, self.clock)
        view, reward = View(jnp.zeros((2, 1))), jnp.ones(2)
        ends = (termination(reward, view, shape=(2,)), transition(reward, view, shape=(2,)))
        over = is_over(state, self.clock)
        return state, jax.tree.map(lambda a, b: jnp.where(over, a, b), *ends)


from typing import NamedTuple  # noqa: E402


class View(NamedTuple):
    place: jax.Array


ADAPTERS = {
    "jaxmarl": lambda *names, **options: envs.from_jaxmarl(Jaxmarl(*names), **options),
    "gymnax": lambda *names, **options: envs.from_gymnax(
        Gymnax(*names), num_agents=2, restart=False, **options
    ),
    "brax": lambda *names, **options: envs.from_brax(
        Brax(*names), num_agents=2, restart=False, **options
    ),
    "jumanji": lambda *names, **options: envs.from_jumanji(Jumanji(*names), **options),
}


def assert_truncates(env):
    assert env.time_limit == LIMIT
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    action = jnp.zeros(env.action_spec.shape, env.action_spec.dtype)
    for step in range(LIMIT):
        state, timestep = env.step(state, action)
        assert bool(timestep.last()) == (step == LIMIT - 1)
        assert timestep.discount.tolist() == [1.0, 1.0]
    assert bool(timestep.extras["truncated"])


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("clock", ["step", "time", "t", "timestep", "moves", "left"])
def test_a_clock_of_any_name_truncates(adapter, clock):
    assert_truncates(ADAPTERS[adapter](clock))


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("limit", ["time_limit", "episode_length", "horizon"])
def test_a_limit_of_another_name_is_found(adapter, limit):
    assert limit in LIMITS
    assert_truncates(ADAPTERS[adapter]("moves", limit))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_limit_that_is_unknown_is_asked_for(adapter):
    if adapter == "brax":
        assert ADAPTERS[adapter]("moves", "whatever").time_limit == 1_000
        return
    with pytest.raises(ValueError, match="time_limit: expected a number of steps, got None"):
        ADAPTERS[adapter]("moves", "whatever")


@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("limit", [9, 2.5, float("nan"), "3", 0])
def test_a_limit_that_cannot_be_is_refused(adapter, limit):
    with pytest.raises(ValueError, match="time_limit: expected"):
        ADAPTERS[adapter]("time", time_limit=limit)


class Skips(Jaxmarl):
    """Four frames a step; its limit is in frames."""

    def __init__(self):
        super().__init__("time")
        self.max_steps = 4 * LIMIT

    def step_env(self, key, state, actions):
        state = {"inner": {"time": state["inner"]["time"] + 4}}
        over = state["inner"]["time"] >= self.max_steps
        dones = dict.fromkeys((*self.agents, "__all__"), over)
        each = {agent: jnp.ones(()) for agent in self.agents}
        return dict.fromkeys(self.agents, jnp.zeros(1)), state, each, dones, {}


def test_a_limit_in_frames_is_refused_and_can_be_given_in_steps():
    with pytest.raises(ValueError, match=r"time_limit: .*grows by 4 in a step; give time_limit=3"):
        envs.from_jaxmarl(Skips())
    assert_truncates(envs.from_jaxmarl(Skips(), time_limit=LIMIT))
