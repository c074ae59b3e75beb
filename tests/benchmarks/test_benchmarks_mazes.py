"""The benchmark of mazes compares environments that do the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import mazes
from jaxswarm.envs import maze


@pytest.mark.slow
def test_the_numpy_environment_is_ours():
    env = maze.CaveEscape(size=mazes.SIZE)
    level = jax.tree.map(lambda x: np.asarray(x)[0], mazes.levels_of(1).level)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    state, first = reset(jax.random.key(0), maze.MazeParams(level))
    other = mazes.NumpyMaze(level)
    np.testing.assert_array_equal(first.observation.view[0], other.reset())
    for action in np.random.default_rng(0).integers(0, 3, 40).tolist():
        state, timestep = step(state, jnp.array([action]))
        view, reward, over = other.step(action)
        assert over == bool(timestep.last())
        np.testing.assert_allclose(reward, timestep.reward[0], rtol=1e-6)
        if over:
            state, timestep = reset(jax.random.key(0), maze.MazeParams(level))
        np.testing.assert_array_equal(timestep.observation.view[0], view)
