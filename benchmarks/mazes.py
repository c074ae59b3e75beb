"""Mazes: environment steps per second of random actions and of PPO, against peers.

``python -m benchmarks.mazes --json PATH [--quick] [--only SECTION …]``

Levels of 13 × 13 inner cells, one agent each, a view of 5 × 5, automatic resets. Implementations
that are programs take turns, segment by segment, and compilation is apart, as in
``benchmarks.worlds``. Peers of random actions: xminigrid, where it is installed, with a grid and a
view of the same size, and a loop over numpy environments in Python. PPO's row is the whole
iteration: acting, stepping, advantages and updates.
"""

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import command
from benchmarks.worlds import Row, Runner, measure, run_sections
from jaxswarm import envs, rl
from jaxswarm.envs import maze

SIZE = 15


def levels_of(count: int) -> maze.MazeParams:
    """Physics of ``count`` environments, a random level each."""
    keys = jax.random.split(jax.random.key(0), count)
    levels = jax.jit(jax.vmap(lambda key: maze.random_level(key, SIZE)))(keys)
    return maze.MazeParams(levels, jnp.full(count, 0.9))


def acting(count: int) -> Runner:
    """Random actions in ``count`` environments."""
    env = envs.AutoReset(envs.Vmapped(maze.CaveEscape(size=SIZE), count))

    def step(key: jax.Array, state: Any) -> Any:
        state, timestep = env.step(state, jax.random.randint(key, (count, 1), 0, 3))
        parts = (timestep.reward, timestep.observation.view)
        return state, sum(jnp.sum(part, dtype=jnp.float32) for part in parts)

    start = jax.jit(lambda key, params: env.reset(key, params, per_env=True)[0])
    return Runner("jaxswarm", step, start(jax.random.key(0), levels_of(count)), count)


def xminigrid(count: int) -> Runner:
    """The same by xminigrid: an empty room of the same size, which begins anew without a draw."""
    import xminigrid  # pyright: ignore[reportMissingImports]
    from xminigrid.wrappers import GymAutoResetWrapper  # pyright: ignore[reportMissingImports]

    env, params = xminigrid.make(
        "MiniGrid-Empty-16x16", height=SIZE, width=SIZE, view_size=5, max_steps=250
    )
    env = GymAutoResetWrapper(env)

    def step(key: jax.Array, state: Any) -> Any:
        action = jax.random.randint(key, (count,), 0, 3)
        state = jax.vmap(env.step, in_axes=(None, 0, 0))(params, state, action)
        parts = (state.reward, state.observation)
        return state, sum(jnp.sum(part, dtype=jnp.float32) for part in parts)

    start = jax.jit(jax.vmap(env.reset, in_axes=(None, 0)))
    return Runner(
        "xminigrid", step, start(params, jax.random.split(jax.random.key(0), count)), count
    )


class NumpyMaze:
    """The same environment for one agent, a step at a time."""

    def __init__(self, level: maze.Level, time_limit: int = 250):
        self.level, self.time_limit = level, time_limit
        self.padded = np.pad(np.asarray(level.tiles), 4, constant_values=maze.WALL)
        self.padded[tuple(np.asarray(level.goal) + 4)] = 4
        self.goal = tuple(np.asarray(level.goal).tolist())
        self.reset()

    def reset(self) -> np.ndarray:
        """The first observation, one-hot ``[5, 5, 5]``."""
        self.position = tuple(np.asarray(self.level.start).tolist())
        self.direction, self.time = int(self.level.direction), 0
        return self.view()

    def view(self) -> np.ndarray:
        """The cells ahead, one-hot."""
        row, column = self.position[0] + 4, self.position[1] + 4
        top, left = ((-2, 0), (0, -2), (-2, -4), (-4, -2))[self.direction]
        window = self.padded[row + top : row + top + 5, column + left : column + left + 5]
        return np.eye(5, dtype=np.float32)[np.rot90(window, (self.direction + 1) % 4)]

    def step(self, action: int) -> tuple[np.ndarray, float, bool]:
        """Observation (the next episode's first, if this one is over), reward and end."""
        self.time += 1
        reward, over = 0.0, self.time >= self.time_limit
        if action < 2:
            self.direction = (self.direction + 2 * action - 1) % 4
        else:
            dr, dc = maze.DIRECTIONS[self.direction]
            there = self.position[0] + int(dr), self.position[1] + int(dc)
            tile = self.padded[there[0] + 4, there[1] + 4]
            if tile != maze.WALL:
                self.position = there
            if there == self.goal:
                reward, over = 1.0 - 0.9 * self.time / self.time_limit, True
            over = over or tile == maze.LAVA
        return (self.reset() if over else self.view()), reward, over


def numpy_loop(setting: str, count: int, seconds: float) -> Row:
    """Steps per second of a loop over ``count`` numpy environments."""
    levels = jax.tree.map(np.asarray, levels_of(count).level)
    worlds = [NumpyMaze(jax.tree.map(lambda x, i=i: x[i], levels)) for i in range(count)]
    rng = np.random.default_rng(0)
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        for world, action in zip(worlds, rng.integers(0, 3, count).tolist(), strict=True):
            world.step(action)
        steps += 1
    rate = steps / (time.perf_counter() - began)
    row: Row = {"setting": setting, "impl": "numpy loop", "steps_per_s": rate}
    return row | {"agent_steps_per_s": rate * count, "compile_s": 0.0}


def random_actions(quick: bool, seconds: float) -> Iterator[list[Row]]:
    """Random actions in batches of environments."""
    for count in (8,) if quick else (64, 1024):
        setting = f"maze 15 × 15, random actions × {count:,}"
        runners = [acting(count)]
        if importlib.util.find_spec("xminigrid"):
            runners.append(xminigrid(count))
        rows = measure(runners, seconds=seconds, repeats=2 if quick else 5)
        yield [row | {"setting": setting} for row in rows] + [numpy_loop(setting, count, seconds)]


def ppo(quick: bool, seconds: float) -> Iterator[list[Row]]:
    """Whole iterations of PPO with an MLP, environments side by side, a level each."""
    count, steps = (8, 8) if quick else (512, 64)
    for epochs in (1,) if quick else (1, 4):
        env = maze.CaveEscape(size=SIZE)
        network = rl.network_for(env, widths=(64,))
        learner = rl.ppo(env, network, num_envs=count, num_steps=steps, epochs=epochs)
        params = rl.initialize(jax.random.key(0), network, 1, shared=True)
        state = jax.jit(learner.init)(params, jax.random.key(1))
        runner = rl.EnvRunner(env, count).reset(jax.random.key(2), levels_of(count), per_env=True)
        state = state._replace(
            runner=state.runner._replace(env_state=runner.env_state, observation=runner.observation)
        )

        def step(key: jax.Array, state: Any, learner: Any = learner) -> Any:
            state, info = learner.step(key, state)
            return state, info.reward

        rows = measure(
            [Runner("jaxswarm", step, state, count * steps)],
            seconds=seconds,
            repeats=2 if quick else 5,
        )
        setting = f"maze 15 × 15, PPO, {epochs} epochs × {count:,}"
        yield [row | {"setting": setting} for row in rows]


SECTIONS: dict[str, Callable[[bool, float], Iterator[list[Row]]]] = {
    "random": random_actions,
    "ppo": ppo,
}


def run(sections: Sequence[str], *, quick: bool = False) -> dict[str, Any]:
    """All rows: what ``--json`` writes."""
    return run_sections(SECTIONS, sections, quick=quick, peer="xminigrid")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    command.main("mazes", __doc__, SECTIONS, run, arguments)


if __name__ == "__main__":
    main()
