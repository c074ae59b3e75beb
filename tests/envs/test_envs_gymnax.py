"""gymnax's environments, one copy per agent: equal numbers, the time limit as truncation."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, envs


class Discrete:
    def __init__(self, n):
        self.n, self.shape = n, ()


class Box:
    def __init__(self, low, high, shape):
        self.low, self.high, self.shape = low, high, shape


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Params:
    stride: float = 1.0
    noise: float = 0.0
    max_steps_in_episode: int = 5


class State(NamedTuple):
    place: jax.Array
    time: jax.Array
    terminal: jax.Array  # also by the clock, as MinAtar's


class Walk:
    """gymnax's interface, as in 0.0.9: a walker falls off at 3; ``done`` also at the time limit."""

    default_params = Params()
    clock_is_done = True

    def __init__(self, space=None):
        self.space = Discrete(3) if space is None else space

    def action_space(self, params=None):
        return self.space

    def reset_env(self, key, params):
        place = params.noise * jax.random.normal(key)
        state = State(place, jnp.int32(0), jnp.zeros((), bool))
        return self.seen(state, params), state

    def step_env(self, key, state, action, params):
        push = action - 1 if isinstance(self.space, Discrete) else jnp.sum(action)
        place = state.place + params.stride * push + params.noise * jax.random.normal(key)
        clock = state.time + 1 >= params.max_steps_in_episode
        done = (jnp.abs(place) >= 3) | (clock if self.clock_is_done else False)
        state = State(jnp.where(state.terminal, jnp.nan, place), state.time + 1, done)
        return self.seen(state, params), state, place, done, {"discount": 1 - done}

    def seen(self, state, params):
        return jnp.stack([state.place, state.time / params.max_steps_in_episode])


class Walk1(Walk):
    """As in 1.x: ``done`` is a termination only."""

    clock_is_done = False


class FlattenWrapper:
    """gymnax's wrappers hand the original's attributes out."""

    def __init__(self, env):
        self._env = env

    def __getattr__(self, name):
        return getattr(self._env, name)


def advance(env, state, *rows):
    step = jax.jit(env.step)
    timesteps = []
    for row in rows:
        state, timestep = step(state, jnp.asarray(row))
        timesteps.append(timestep)
    return state, timesteps


@pytest.mark.parametrize("original", [Walk, Walk1])
def test_a_termination_is_none_of_the_clocks(original):
    env = envs.from_gymnax(original(), num_agents=3, restart=False)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    assert first.observation.view.shape == (3, 2)
    state, seen = advance(env, state, *[[2, 1, 0]] * 3, [2, 2, 2], [1, 1, 1])
    assert [t.reward.tolist() for t in seen] == [
        [1, 0, -1],
        [2, 0, -2],
        [3, 0, -3],
        [0, 1, 0],
        [0, 1, 0],
    ]
    masks = [t.observation.agent_mask.tolist() for t in seen]
    assert masks == [[True] * 3, [True] * 3, *[[False, True, False]] * 3]
    assert [bool(t.last()) for t in seen] == [False] * 4 + [True]
    assert bool(seen[-1].extras["truncated"])
    assert seen[-1].discount.tolist() == [0, 1, 0]
    # Those that fell stay where they were when they did, and show it.
    assert state.world.state.place.tolist() == [3, 1, -3]
    np.testing.assert_allclose(seen[-1].observation.view[:, 1], [0.6, 1.0, 0.6])


def test_copies_that_terminate_begin_anew_and_none_waits():
    env = envs.from_gymnax(Walk(), num_agents=2, time_limit=8)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    assert not bool(first.extras["restarted"].any())
    _, seen = advance(env, state, *[[2, 1]] * 8)
    assert [t.reward[0].item() for t in seen] == [1, 2, 3, 1, 2, 3, 1, 2]
    assert [t.discount.tolist() for t in seen] == [[float(i not in (2, 5)), 1.0] for i in range(8)]
    assert [t.extras["restarted"].tolist() for t in seen] == [
        [i in (2, 5), False] for i in range(8)
    ]
    assert all(t.observation.agent_mask.all() for t in seen)
    assert [bool(t.last()) for t in seen] == [False] * 7 + [True]
    np.testing.assert_allclose(seen[2].observation.view[0], [0, 0])  # the first one of the next
    np.testing.assert_allclose(seen[2].observation.view[1], [0, 3 / 8])


def test_new_episodes_of_copies_have_streams_of_their_own():
    env = envs.from_gymnax(Walk(), Params(noise=0.5), num_agents=3, time_limit=20)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    starts = [first.observation.view[:, 0]]
    _, seen = advance(env, state, *[[2, 2, 2]] * 20)
    for timestep in seen:
        starts.append(timestep.observation.view[timestep.extras["restarted"], 0])
    starts = np.concatenate(starts)
    assert len(starts) > 8
    assert len(np.unique(starts)) == len(starts)
    with pytest.raises(ValueError, match="restart: expected True or False"):
        envs.from_gymnax(Walk(), num_agents=3, restart=1)


@pytest.mark.parametrize("original", [Walk, Walk1])
def test_the_episode_terminates_when_all_have(original):
    env = envs.from_gymnax(original(), num_agents=2, restart=False)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    _, seen = advance(env, state, [2, 2], [2, 2], [2, 1], [1, 1], [1, 2])
    assert bool(seen[-1].last())  # in the very step in which the clock stops
    assert not bool(seen[-1].extras["truncated"])
    assert seen[-1].discount.tolist() == [0, 0]


def test_copies_are_the_originals_stepped_by_hand():
    original, params = Walk1(), Params(noise=0.3)
    env = envs.from_gymnax(original, params, num_agents=3)
    key = jax.random.key(4)
    start, key = jax.random.split(key)
    state, timestep = jax.jit(env.reset)(jax.random.key(4))
    by_hand = [original.reset_env(k, params) for k in agents.keys(start, 3)]
    for moves in ([0, 1, 2], [1, 1, 0]):
        for i, (view, _) in enumerate(by_hand):
            np.testing.assert_allclose(timestep.observation.view[i], view, rtol=1e-6)
        key, draw = jax.random.split(key)
        state, timestep = jax.jit(env.step)(state, jnp.array(moves))
        for i, k in enumerate(agents.keys(draw, 3)):
            view, own, reward, _, _ = original.step_env(k, by_hand[i][1], moves[i], params)
            by_hand[i] = (view, own)
            np.testing.assert_allclose(timestep.reward[i], reward, rtol=1e-5)


@pytest.mark.slow
def test_its_parameters_are_the_physics():
    env = envs.from_gymnax(Walk(), num_agents=2, time_limit=9)
    assert env.params.max_steps_in_episode == env.time_limit == 9
    whole = envs.from_gymnax(Walk(), Params(max_steps_in_episode=7.0))  # as one of theirs has it
    assert whole.time_limit == 7

    def first_reward(stride):
        state, _ = env.reset(jax.random.key(0), dataclasses.replace(env.params, stride=stride))
        return env.step(state, jnp.array([2, 2]))[1].reward

    short = dataclasses.replace(env.params, max_steps_in_episode=1)
    _, seen = advance(env, jax.jit(env.reset)(jax.random.key(0), short)[0], [2, 1], [0, 1], [2, 1])
    assert [t.reward.tolist() for t in seen] == [[1, 0], [0, 0], [1, 0]]  # nothing ended
    rewards = jax.jit(jax.vmap(first_reward))(jnp.array([0.5, 2.0]))
    assert rewards.tolist() == [[0.5, 0.5], [2.0, 2.0]]
    assert first_reward(jnp.array([0.5, 2.0])).tolist() == [0.5, 2.0]  # each agent its own
    with pytest.raises(ValueError, match=r"params.*stride: expected shape"):
        first_reward(jnp.ones(3))


def test_adapted_copies_conform():
    space = Box(-1.0, 1.0, (1,))
    envs.conformance.check(lambda n: envs.from_gymnax(Walk(space), num_agents=n), 2, steps=3)


def test_bounds_are_kept_each():
    space = Box(jnp.array([-1.0, -2.0]), jnp.array([1.0, 3.0]), (2,))
    spec = envs.from_gymnax(Walk(space), num_agents=3).action_spec
    assert spec.shape == (3, 2)
    np.testing.assert_allclose(spec.maximum, [[1, 3]] * 3)


class Endless(Walk):
    default_params = {"stride": 1.0}  # noqa: RUF012


class TwoViews(Walk):
    def seen(self, state, params):
        return {"place": state.place}


BAD = {
    "not gymnax": (lambda: envs.from_gymnax(object()), "object without 'default_params'"),
    "wrapped": (lambda: envs.from_gymnax(FlattenWrapper(Walk())), "FlattenWrapper"),
    "agents": (lambda: envs.from_gymnax(Walk(), num_agents=0), "num_agents"),
    "limit": (lambda: envs.from_gymnax(Walk(), time_limit=0), "time_limit"),
    "no limit": (lambda: envs.from_gymnax(Endless()), "time_limit: expected a number of steps"),
    "positional": (lambda: envs.from_gymnax(Walk(), 4), "env_params: .* num_agents="),
    "views": (lambda: envs.from_gymnax(TwoViews()), "one array, got dict"),
    "space": (lambda: envs.from_gymnax(Walk((1, 2))), "box of them, got actions in a tuple"),
    "bounds": (lambda: envs.from_gymnax(Walk(Box(-jnp.inf, 1.0, (1,)))), "finite increasing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_gymnax_itself(name):
    gymnax = pytest.importorskip("gymnax")
    original, params = gymnax.make(name)
    env = envs.from_gymnax(original, params, num_agents=2)
    state, timestep = jax.jit(env.reset)(jax.random.key(0))
    start, _ = jax.random.split(jax.random.key(0))
    keys, step = agents.keys(start, 2), jax.jit(original.step_env)
    by_hand = [original.reset_env(k, params) for k in keys]
    policy = envs.random_policy(env.action_spec)
    for index in range(4):
        for i, (view, _) in enumerate(by_hand):
            np.testing.assert_allclose(timestep.observation.view[i], view, rtol=1e-5, atol=1e-6)
        action, _ = policy.act(jax.random.key(index), (), (), timestep.observation)
        state, timestep = jax.jit(env.step)(state, action)
        for i, k in enumerate(keys):  # their steps draw nothing
            view, own, reward, _, _ = step(k, by_hand[i][1], action[i], params)
            by_hand[i] = (view, own)
            np.testing.assert_allclose(timestep.reward[i], reward, rtol=1e-5)


def test_gymnax_clock_truncates_and_a_fallen_pole_terminates():
    gymnax = pytest.importorskip("gymnax")
    original, params = gymnax.make("CartPole-v1")
    env = envs.from_gymnax(original, params, num_agents=2, time_limit=3)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    _, seen = advance(env, state, [0, 1], [1, 0], [0, 1])
    assert bool(seen[-1].extras["truncated"])
    assert seen[-1].discount.tolist() == [1, 1]
    env = envs.from_gymnax(original, params, num_agents=2)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    _, seen = advance(env, state, *[[1, 1]] * 12)  # a push to one side fells it within 11 steps
    last = next(t for t in seen if bool(t.last()))
    assert not bool(last.extras["truncated"])
    assert last.discount.tolist() == [0, 0]
