"""Measures of the DRED experiment: distance of levels, mixing of cells, equal steps."""

import jax
import numpy as np
import pytest

from experiments.dred import generative
from experiments.dred.claims import equal_steps
from experiments.dred.config import SCALES, Config
from jaxswarm.envs import maze


def test_shift_is_zero_for_the_reference_and_grows_with_each_feature():
    draw = np.random.default_rng(0)
    reference = np.concatenate(
        [draw.integers(3, 9, (50, 1)), draw.random((50, 3)), np.zeros((50, 1))], axis=1
    )
    assert generative.shift(reference, reference) == 0.0
    for number in range(4):
        other = reference.copy()
        other[:, number] += 1.0
        expected = 1.0 / reference[:, number].std()
        assert generative.shift(other, reference) == pytest.approx(expected)
    unsolvable = np.concatenate([reference, reference])  # the same paths among solvable levels
    unsolvable[50:, 0], unsolvable[50:, 4] = -1.0, 1.0
    assert generative.shift(unsolvable, reference) == pytest.approx(0.5)


def test_features_count_tiles_and_mark_unsolvable_levels():
    level = maze.empty_level(7)
    tiles = level.tiles.copy()
    tiles[1, 3], tiles[2, 3] = maze.LAVA, maze.MOSS
    blocked = tiles.copy()
    blocked[1:6, 4] = maze.WALL
    batch = maze.Level(*(np.stack([x, x]) for x in level))._replace(
        tiles=np.stack([tiles, blocked])
    )
    found = np.asarray(jax.jit(jax.vmap(generative.features))(batch))
    np.testing.assert_allclose(found[0], [8, 0.0, 1 / 25, 1 / 25, 0], rtol=1e-6)
    np.testing.assert_allclose(found[1], [-1, 5 / 25, 1 / 25, 1 / 25, 1], rtol=1e-6)


def test_mixed_cells_come_from_either_level_and_are_valid():
    first = maze.empty_level(7)
    walls = first.tiles.copy()
    walls[1:6, 2:5] = maze.WALL
    second = first._replace(tiles=walls)
    mix = jax.jit(jax.vmap(lambda key: generative.mixed_cells(key, first, second)))
    found = jax.tree.map(np.asarray, mix(jax.random.split(jax.random.key(0), 16)))
    maze.levels.check(maze.Level(*found), "levels", at_least=16)
    assert np.isin(found.tiles, [maze.FLOOR, maze.WALL]).all()
    assert len({tile.tobytes() for tile in found.tiles}) > 8


def test_equal_steps_counts_the_levels_that_are_only_evaluated():
    config = SCALES["small"]
    at = equal_steps(config)
    taken = (at + 1) / config.checks * (config.envs + config.new)
    assert taken <= config.envs < taken + (config.envs + config.new) / config.checks


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="iterations: expected a multiple of checks"):
        Config(iterations=7)
    with pytest.raises(ValueError, match="envs, capacity: expected"):
        Config(capacity=8)
    with pytest.raises(ValueError, match="arms: expected names"):
        Config(arms=("uniform", "nothing"))
