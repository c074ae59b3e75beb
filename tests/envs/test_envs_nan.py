"""An agent whose position is NaN is nowhere: it covers, catches, finds and pushes nothing."""

import functools
import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs

OPTIONS = {
    "SearchAndRescue-v0": {"num_agents": 3, "num_targets": 4, "num_rays": 8},
    "Flocking-v0": {"num_agents": 4, "size": 6},
    "Transport-v0": {"num_agents": 5, "size": 8},
    "CoordinationGame-v0": {},
    "TwoObjectiveGrid-v0": {},
    "Aloha-v0": {"num_agents": 4},
    "MultiAgentCrafter-v0": {"num_agents": 3, "size": 16, "chunk": 8},
    "SimpleTag-v0": {},
    "FeedEnv-v0": {"num_agents": 3, "actions": "preference"},
}
PRIVATE = "position velocity tip number remaining time package ground ends".split()
"""Fields of observations that are of the agent itself."""


@functools.cache
def env_of(name):
    module, _, kind = envs.ENVIRONMENTS[name].partition(":")
    make = getattr(importlib.import_module(module), kind)
    return make(**OPTIONS.get(name, {"num_agents": 3}))


def is_discrete(name):
    return jnp.issubdtype(env_of(name).action_spec.dtype, jnp.integer)


DISCRETE = frozenset(
    f"{name}-v0"
    for name in """
    Aloha CaveEscape CoordinationGame CorridorMaze CoverageEnergy DeepSeaTreasure Donations
    LiveFeedEnv MultiAgentCrafter Flocking Foraging Pursuit Synchronization Theatre Transport
    TwoObjectiveGrid
    """.split()
)
"""Environments of discrete actions, by name: making them all takes seconds."""


@pytest.mark.parametrize("name", [name for name in envs.ENVIRONMENTS if name not in DISCRETE])
def test_no_other_agent_gains_by_one_that_acts_nan(name):
    assert not is_discrete(name)
    env = env_of(name)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    for seed in range(2):
        still = jnp.zeros(env.action_spec.shape)
        state, _ = reset(jax.random.key(seed))
        gone = state
        for _ in range(3):
            state, normal = step(state, still)
            gone, broken = step(gone, still.at[0].set(jnp.nan))
            assert not (broken.reward[1:] > normal.reward[1:] + 1e-5).any()
            assert not float(broken.reward[0]) > float(normal.reward[0]) + 1e-5
            for field, leaf in broken.observation._asdict().items():
                if field in PRIVATE:
                    assert np.isfinite(np.asarray(leaf)[1:]).all(), field


@pytest.mark.parametrize("name", sorted(DISCRETE))
def test_a_discrete_action_that_is_none_is_refused(name):
    assert is_discrete(name)
    env = env_of(name)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    spec = env.action_spec
    with pytest.raises(ValueError, match="action: expected int32"):
        env.step(state, jnp.full(spec.shape, jnp.nan))
    with pytest.raises(ValueError, match=r"action: expected each in \[0, "):
        env.step(state, jnp.full(spec.shape, 99, jnp.int32))


def test_spread_counts_the_landmarks_that_others_cover():
    env = envs.SimpleSpread(3)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    state, timestep = jax.jit(env.step)(state, jnp.zeros((3, 2)).at[0, 0].set(jnp.nan))
    away = np.linalg.norm(
        np.asarray(state.world.landmarks)[:, None] - np.asarray(state.world.position)[None, 1:],
        axis=-1,
    )
    assert float(timestep.extras["uncovered"]) == pytest.approx(away.min(axis=1).sum(), rel=1e-4)
    assert np.isnan(timestep.reward[0])


def test_a_hunter_that_is_nowhere_catches_nothing():
    env = envs.SimpleTag()
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    step = jax.jit(env.step)
    for _ in range(2):
        state, timestep = step(state, jnp.zeros((4, 2)).at[0, 0].set(jnp.nan))
        assert int(timestep.extras["catches"]) == 0
        assert not (timestep.reward[1:] > 0).any()
        assert np.isfinite(state.world.position[1:]).all()


def test_a_walker_that_is_nowhere_drops_the_package():
    env = envs.Porters(3)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    state, timestep = env.step(state, jnp.zeros((3, 1)).at[1, 0].set(jnp.nan))
    assert bool(timestep.extras["fell"])
    assert timestep.reward.tolist() == [-10.0] * 3


@pytest.mark.slow
def test_a_searcher_that_is_nowhere_finds_nothing_and_is_not_seen():
    env = envs.SearchAndRescue(2, num_targets=3, num_rays=8)
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    together = jnp.full((2, 2), 0.5)
    world = state.world._replace(
        position=together.at[0, 0].set(jnp.nan), targets=jnp.full((3, 2), 0.5), heading=jnp.zeros(2)
    )
    seen = jax.jit(env.observe)(world, env.params, jnp.int32(0))
    assert (seen.views[0] == -1).all()
    assert (seen.views[1, 0] == -1).all()
    _, timestep = jax.jit(env.step)(state._replace(world=world), jnp.zeros((2, 2)))
    assert float(timestep.reward[0]) == 0.0
