"""Grid tasks of the DQC experiment: tables equal the environment's moves, data obey the tables."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import harness
from experiments.dqc import worlds
from experiments.dqc.arms import section_data
from experiments.dqc.config import PARTS, SCALES, TASKS, Config
from jaxswarm import envs
from jaxswarm.envs.corridor_maze import MOVES, CorridorWorld
from jaxswarm.rl import offline

GRIDS = worlds.grid_tasks()


@pytest.mark.parametrize(("index", "rows", "columns"), [(0, 6, 3), (1, 1, 60)])
def test_tables_are_the_corridor_maze(index, rows, columns):
    task = GRIDS[index]
    cells = np.repeat(task.cells[: task.size], 4, axis=0)
    env = envs.CorridorMaze(len(cells), rows=rows, columns=columns)
    assert task.size == env.floor.sum()
    world = CorridorWorld(
        jnp.asarray(cells), jnp.zeros(len(cells), jnp.int32), jnp.zeros(len(cells), bool)
    )
    action = jnp.tile(jnp.arange(4), task.size)
    moved = jax.jit(env.advance)(jax.random.key(0), world, action, env.params).world.position
    after = task.after[: task.size].reshape(-1)
    np.testing.assert_array_equal(task.cells[after], moved)
    last = task.size - 1
    assert (task.cells[last] == env.goal).all()
    assert task.distance[0, last] == last


def test_the_ring_has_a_short_and_a_long_way_and_only_the_short_one_is_allowed():
    for task in GRIDS[2:]:
        for start, goal in task.pairs:
            short = task.distance[start, goal]
            assert worlds.allowed_steps(task, start, goal) < task.size - short
    assert GRIDS[2].detour.max() == worlds.DETOUR
    assert GRIDS[3].detour.max() == 0


@pytest.mark.parametrize("index", range(4), ids=TASKS)
def test_data_move_as_the_tables_say(index):
    task = GRIDS[index]
    data = worlds.data_set(np.random.default_rng(0), task, 20, 40)
    cell, move = data["cell"], data["move"]
    stepped = task.after[cell[:, :-1], move] == cell[:, 1:]
    assert stepped.all() if task.slip == 0 else 0.6 < stepped.mean() < 1
    assert cell.max() < task.size
    rows = worlds.flat_rows(task, data)
    sets = offline.trajectories(*rows)
    assert len(sets.starts) == 20 * 40
    chosen = np.asarray(sets.action).reshape(20, 41, 2)[:, :-1]
    np.testing.assert_array_equal(chosen, MOVES[move])
    # Observations tell all cells apart.
    assert len(np.unique(task.features[: task.size], axis=0)) == task.size


def test_the_planner_solves_all_tasks_and_open_loop_fails_where_actions_stick():
    rng = np.random.default_rng(0)
    closed, open_loop = (
        [worlds.oracle_success(rng, task, 30, executed=executed) for task in GRIDS]
        for executed in (1, 16)
    )
    assert min(closed) > 0.95
    assert open_loop[0] < 0.7
    assert min(open_loop[1:]) == 1.0


def test_a_shard_that_leads_to_a_section_shows_no_way_to_the_others():
    task = GRIDS[1]
    low = worlds.data_set(np.random.default_rng(0), task, 40, 60, leads=(0, 15))
    last = low["cell"][:, -20:]
    assert (last < 20).mean() > 0.8
    whole = worlds.data_set(np.random.default_rng(0), task, 200, 100)
    assert worlds.covered_pairs(task, low) <= 0.4
    assert worlds.covered_pairs(task, whole) == 1.0
    own = section_data(SCALES["smoke"], task, 0)
    assert len({len(each["cell"]) for each in own}) == 1
    means = [each["cell"][:, -1].mean() for each in own]
    assert means == sorted(means)


@pytest.mark.slow
def test_all_parts_run_at_smoke_sizes(tmp_path):
    experiment = harness.load("dqc")
    config = dataclasses.replace(SCALES["smoke"], parts=PARTS)
    outcome = harness.run_and_record(experiment, config, scale="smoke", runs=tmp_path)
    assert outcome.error is None
    assert len(outcome.claims) == 33


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": ("exakt",)}, "unknown part"),
        ({"mazes": ("gaint",)}, "did you mean"),
        ({"seeds": 1}, "seeds: expected"),
        ({"horizon": 200}, "horizon"),
        ({"agents": 3}, "episodes: expected a multiple"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
