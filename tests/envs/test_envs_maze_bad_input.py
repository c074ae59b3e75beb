"""Every public function of ``envs.maze`` refuses bad arguments by name."""

import types

import jax
import numpy as np
import pytest

from jaxswarm.envs import maze
from jaxswarm.envs.maze import families, levels
from tests.rl.bad_input import COUNT, FLAG, KEY, NAME, NUMBER, OBJECT, SHARE, SIZE, accepted

KEY0 = jax.random.key(0)
LEVEL = maze.empty_level(6)
BATCH = levels.stack([LEVEL, LEVEL])
CODES = ((), (4,), (-1,), (0.5,), (0, 0), None, "x")
FAMILY = {"seed": COUNT, "count": SIZE, "hints": FLAG}
SINGLE = (*OBJECT, BATCH, LEVEL._replace(goal=LEVEL.start))


def with_defaults(fn, /, **defaults):
    return lambda **changed: fn(**(defaults | changed))


CASES = {
    "CaveEscape": (
        with_defaults(maze.CaveEscape().reset, key=KEY0),
        {"params": (maze.MazeParams(3), maze.MazeParams(BATCH), maze.MazeParams(LEVEL), 3)},
    ),
    "add_hints": (
        with_defaults(maze.add_hints, key=KEY0, level=LEVEL),
        {
            "key": KEY,
            "level": SINGLE,
            "shares": ((0.5, 0.1), (-0.1, 0.2), (0.1, 1.2), ("x", 0.2), 3, None, (0.1,)),
            "power": (*NUMBER, -1.0),
        },
    ),
    "distance": (maze.distance, {"level": (*OBJECT, BATCH)}),
    "distances": (maze.distances, {"level": (*OBJECT, BATCH)}),
    "draw_level": (with_defaults(maze.draw_level, ax=3), {"level": (*OBJECT, BATCH)}),
    "empty_level": (maze.empty_level, {"size": (*SIZE, 3)}),
    "level_vae": (
        with_defaults(maze.level_vae, size=6),
        {"size": (*SIZE, 3), "latent": SIZE, "encoder": NAME, "beta": (*SHARE[:-2], -1.0)},
    ),
    "load_levels": (maze.load_levels, {"path": ("levels.pkl", 3, None)}),
    "mutate": (
        with_defaults(maze.mutate, key=KEY0, level=LEVEL),
        {
            "key": KEY,
            "level": SINGLE,
            "num_edits": COUNT,
            "tiles": (*CODES, (1,)),
            "move_probability": SHARE,
        },
    ),
    "place_ends": (
        with_defaults(maze.place_ends, key=KEY0, tiles=LEVEL.tiles),
        {
            "key": KEY,
            "tiles": (3, None, "x", np.zeros(4, int), np.full((4, 4), 9), np.zeros((4, 4))),
            "at_least": SIZE,
        },
    ),
    "random_level": (
        with_defaults(maze.random_level, key=KEY0, size=6),
        {
            "key": KEY,
            "size": (*SIZE, 3),
            "num_blocks": [x for x in COUNT if x is not None],
            "tiles": CODES,
        },
    ),
    "save_levels": (
        with_defaults(maze.save_levels, path="levels.npz", levels=BATCH),
        {"path": ("levels.pkl", 3, None), "levels": (*OBJECT, LEVEL)},
    ),
    "shortest_path_cells": (maze.shortest_path_cells, {"level": (*OBJECT, BATCH)}),
    "solvable": (maze.solvable, {"level": (*OBJECT, BATCH)}),
    "levels.check": (
        with_defaults(levels.check, level=LEVEL),
        {"level": OBJECT, "at_least": SIZE},
    ),
    "levels.stack": (levels.stack, {"levels": (*OBJECT, [])}),
    "levels.join": (levels.join, {"levels": (*OBJECT, [], [LEVEL])}),
    "levels.text": (levels.text, {"level": (*OBJECT, BATCH)}),
    "levels.from_text": (
        levels.from_text,
        {"rows": (3, None, "", "####\n#>G#\n###", "#x##", "####\n#..#\n####\n####")},
    ),
    "backtracker": (
        with_defaults(families.backtracker, seed=0, count=1, size=7),
        FAMILY | {"size": (*SIZE, 3, 8)},
    ),
    "blocks": (
        with_defaults(families.blocks, seed=0, count=1, size=7),
        FAMILY | {"size": (*SIZE, 5)},
    ),
    "from_mazelib": (
        with_defaults(families.from_mazelib, seed=0, count=1, size=7),
        {"size": (*SIZE, 5, 8), "algorithm": NAME},
    ),
    "wave_function_collapse": (
        with_defaults(families.wave_function_collapse, seed=0, count=1, size=7),
        FAMILY
        | {"size": (*SIZE, 5)}
        | {"template": (*NAME, (), ("..", ".."), ("...", "..", "..."), ("###",) * 3, ("abc",) * 3)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_by_name(name):
    call, bad = CASES[name]
    assert accepted(call, bad) == []


def test_every_public_function_is_in_the_battery():
    things = {name: getattr(maze, name) for name in maze.__all__}
    public = {
        name
        for name, thing in things.items()
        if callable(thing)
        and not isinstance(thing, types.ModuleType)
        and not hasattr(thing, "_fields")
    }
    assert public <= set(CASES)
