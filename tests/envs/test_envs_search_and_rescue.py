"""Search and rescue: jumanji's own environment as oracle for views, motion, finds and rewards."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jumanji.environments.swarms.common.types import AgentState
from jumanji.environments.swarms.search_and_rescue.env import SearchAndRescue as Original
from jumanji.environments.swarms.search_and_rescue.generator import RandomGenerator
from jumanji.environments.swarms.search_and_rescue.types import State, TargetState

from jaxswarm import envs
from jaxswarm.envs.search_and_rescue import SearchParams, SearchWorld
from jaxswarm.envs.search_and_rescue.environment import rays
from tests.later import Later

N, M = 5, 12
ENV = Later(lambda: envs.SearchAndRescue(num_agents=N, num_targets=M, num_rays=32))
THEIRS = Original(
    generator=RandomGenerator(num_targets=M, num_searchers=N),
    target_dynamics=lambda key, targets, size: targets,  # type: ignore[arg-type]
)
THEIRS._observation_fn.num_vision = 32
STILL = SearchParams(drift=0.0)


def world_of(state):
    searchers, targets = state.searchers, state.targets
    return SearchWorld(
        searchers.pos,
        searchers.heading,
        searchers.speed,
        targets.pos,
        targets.vel,
        targets.found,
        jnp.int32(state.step),
    )


def scene(seed):
    """Crowded, so that agents see and find one another's targets; targets do not move."""
    rng = np.random.default_rng(seed)
    where = (0.95 + 0.12 * rng.uniform(size=(N + M, 2))) % 1.0  # across the border
    searchers = AgentState(
        pos=jnp.asarray(where[:N], jnp.float32),
        heading=jnp.asarray(rng.uniform(0, 2 * np.pi, N), jnp.float32),
        speed=jnp.asarray(rng.uniform(0.005, 0.02, N), jnp.float32),
    )
    targets = TargetState(
        pos=jnp.asarray(where[N:], jnp.float32),
        vel=jnp.zeros((M, 2)),
        found=jnp.asarray(rng.uniform(size=M) < 0.3),
    )
    return State(searchers=searchers, targets=targets, key=jax.random.key(seed), step=7)


@jax.numpy_rank_promotion("allow")  # jumanji's views promote
def test_a_step_is_jumanjis():
    step = jax.jit(THEIRS.step)
    advance = jax.jit(lambda w, a: ENV.value.advance(jax.random.key(0), w, a, STILL))
    observe = jax.jit(lambda w: ENV.value.observe(w, STILL, w.time))
    finds = 0
    for seed in range(8):
        theirs = scene(seed)
        action = jax.random.uniform(jax.random.key(seed), (N, 2), minval=-1.2, maxval=1.2)
        after, timestep = step(theirs, action)
        outcome = advance(world_of(theirs), action)
        for one, two in zip(world_of(after), outcome.world, strict=True):
            np.testing.assert_allclose(one, two, atol=1e-5)
        np.testing.assert_allclose(timestep.reward, outcome.reward, atol=1e-5)
        seen = observe(outcome.world)
        expected = np.asarray(timestep.observation.searcher_views)
        # A ray that grazes an edge may fall to either side of it.
        assert np.isclose(seen.views, expected, atol=1e-4).mean() > 0.998
        assert (expected >= 0).any(axis=(0, 2)).all()  # all three kinds are in sight
        finds += int(outcome.metrics["found"]) - int(theirs.targets.found.sum())
    assert finds > 8


@pytest.mark.parametrize("num_rays", [2, 3, 8, 13, 128])
def test_rays_are_those_of_a_comparison_of_every_ray_with_every_body(num_rays):
    rng = np.random.default_rng(num_rays)
    away, bearing = rng.uniform(0, 1, (4, 9)), rng.uniform(-2, 2, (4, 9))
    kinds = rng.integers(-1, 2, (4, 9))
    seen = jax.jit(rays, static_argnums=(3, 4))
    found = seen(jnp.asarray(away), jnp.asarray(bearing), kinds, 2, num_rays, 0.7, 1.2, 0.1)
    slow = np.full((4, 2, num_rays), -1.0)
    for i, j in np.ndindex(4, 9):
        if kinds[i, j] >= 0 and away[i, j] < 0.7:
            here = slow[i, kinds[i, j]]
            sees = abs(np.linspace(-1.2, 1.2, num_rays) - bearing[i, j]) < np.arctan2(
                0.1, away[i, j]
            )
            nearer = sees & ((here < 0) | (away[i, j] / 0.7 < here))
            here[nearer] = away[i, j] / 0.7
    np.testing.assert_allclose(found, slow, atol=1e-6)


def test_searchers_that_find_a_target_together_share_the_point(key):
    env = envs.SearchAndRescue(num_agents=2, num_targets=1, time_limit=10)
    side = jnp.array([[0.49, 0.5], [0.51, 0.5]])
    world = SearchWorld(
        side,
        jnp.array([0.0, jnp.pi]),
        jnp.full(2, 0.005),
        jnp.array([[0.5, 0.5]]),
        jnp.zeros((1, 2)),
        jnp.zeros(1, bool),
        jnp.int32(4),
    )
    advance = jax.jit(env.advance)
    outcome = advance(key, world, jnp.zeros((2, 2)), STILL)
    np.testing.assert_allclose(outcome.reward, [0.3, 0.3], atol=1e-6)  # half of (10 − 4) / 10
    assert bool(outcome.terminated)
    turned = world._replace(heading=jnp.array([jnp.pi, jnp.pi]))
    np.testing.assert_allclose(
        advance(key, turned, jnp.zeros((2, 2)), STILL).reward, [0.0, 0.6], atol=1e-6
    )


@pytest.mark.slow
def test_targets_drift_no_faster_than_they_may(key):
    wild = SearchParams(drift=0.01)
    state, _ = ENV.value.reset(key, wild)
    step = jax.jit(ENV.value.step)
    for _ in range(3):
        before = state.world.targets
        state, _ = step(state, jnp.zeros((N, 2)))
        moved = np.asarray(state.world.targets - before)
        moved = moved - np.round(moved)
        assert 0 < np.linalg.norm(moved, axis=1).max() <= 0.002 + 1e-6


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="num_targets"):
        envs.SearchAndRescue(num_targets=0)
    with pytest.raises(ValueError, match="num_rays"):
        envs.SearchAndRescue(num_rays=1)
