"""Mazes whose levels are physics: movement, views, shortest paths, generation, edits and files."""

import functools
from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs
from jaxswarm.envs import maze
from jaxswarm.envs.maze import families, paths
from jaxswarm.envs.maze._wave_function_collapse import TEMPLATES, Patterns

SIZE, COUNT = 9, 32
LEFT, RIGHT, FORWARD = range(3)
HALL = """
#######
#>.~.G#
#."..~#
#######
"""


def single(levels, index):
    return jax.tree.map(lambda x: x[index], levels)


@functools.cache
def random_levels():
    keys = jax.random.split(jax.random.key(1), COUNT)
    draw = jax.jit(jax.vmap(lambda k: maze.random_level(k, SIZE, num_blocks=40)))
    return maze.Level(*map(np.asarray, draw(keys)))


@functools.cache
def mutate():
    return jax.jit(jax.vmap(lambda k, level: maze.mutate(k, level, 5)))


def slow_distances(level):
    """Breadth-first search from the goal, one cell after another."""
    found = np.full(level.tiles.shape, -1)
    queue = deque([tuple(level.goal)])
    found[tuple(level.goal)] = 0
    while queue:
        row, column = queue.popleft()
        for dr, dc in maze.DIRECTIONS.tolist():
            there = row + dr, column + dc
            if level.tiles[there] in (maze.FLOOR, maze.MOSS) and found[there] < 0:
                found[there] = found[row, column] + 1
                queue.append(there)
    return found


def test_distances_are_those_of_a_breadth_first_search():
    levels = random_levels()
    found = np.asarray(jax.jit(jax.vmap(maze.distances))(levels))
    assert (found == -1).any()
    lengths, solvable = [], []
    for index in range(COUNT):
        level = single(levels, index)
        expected = slow_distances(level)
        np.testing.assert_array_equal(found[index], expected)
        lengths.append(expected[tuple(level.start)])
        solvable.append(lengths[-1] >= 0)
    both = jax.jit(jax.vmap(lambda level: (maze.distance(level), maze.solvable(level))))(levels)
    np.testing.assert_array_equal(both[0], lengths)
    np.testing.assert_array_equal(both[1], solvable)
    assert 0 < np.sum(solvable) < COUNT


def test_the_longest_winding_path_is_within_the_fixed_number_of_iterations():
    tiles = np.full((9, 9), maze.WALL, np.uint8)
    tiles[1:-1:2, 1:-1] = maze.FLOOR
    tiles[[2, 6], -2] = tiles[4, 1] = maze.FLOOR
    ends = np.array([1, 1]), np.array([7, 1])
    level = maze.Level(tiles, ends[0], np.array(0), ends[1])
    assert int(maze.distance(level)) == 4 * 6 + 3 * 2 <= paths.longest_path(9, 9)


def test_cells_of_shortest_paths_are_those_whose_distances_add_up():
    levels = random_levels()
    masks = np.asarray(jax.jit(jax.vmap(maze.shortest_path_cells))(levels))
    for index in range(8):
        level = single(levels, index)
        there, back = slow_distances(level), slow_distances(level._replace(goal=level.start))
        length = there[tuple(level.start)]
        expected = (there >= 0) & (back >= 0) & (there + back == length)
        np.testing.assert_array_equal(masks[index], expected)


def test_edits_keep_levels_valid_and_change_few_cells(key):
    levels = random_levels()
    edited = levels
    for step in range(4):
        keys = jax.random.split(jax.random.fold_in(key, step), COUNT)
        before, edited = edited, maze.Level(*map(np.asarray, mutate()(keys, edited)))
        maze.levels.check(edited)
        changed = np.sum(np.asarray(before.tiles) != edited.tiles, axis=(1, 2))
        assert changed.max() <= 5
        assert changed.mean() > 2
    moved = (np.asarray(levels.goal) != edited.goal).any(axis=1)
    assert 0 < moved.sum() < COUNT
    same = maze.mutate(key, single(levels, 0), 0)
    assert all(np.array_equal(a, b) for a, b in zip(same, single(levels, 0), strict=True))


def test_edits_of_plain_mazes_stay_plain(key):
    level = maze.empty_level(SIZE)
    edit = jax.jit(lambda k: maze.mutate(k, level, 30, tiles=(maze.FLOOR, maze.WALL)))
    assert set(np.unique(edit(key).tiles)) == {maze.FLOOR, maze.WALL}


def test_a_full_level_without_a_free_cell_is_still_edited(key):
    level = maze.levels.from_text("####\n#>G#\n####\n####")
    edited = maze.mutate(key, level, 3, move_probability=1.0)
    assert all(np.array_equal(a, b) for a, b in zip(edited, level, strict=True))


def test_random_levels_are_valid_and_of_the_tiles_asked_for(key):
    levels = maze.levels.check(random_levels())
    assert set(np.unique(levels.tiles)) == {maze.FLOOR, maze.WALL, maze.MOSS, maze.LAVA}
    plain = maze.random_level(key, SIZE, num_blocks=40, tiles=(maze.WALL,))
    assert set(np.unique(plain.tiles)) <= {maze.FLOOR, maze.WALL}
    assert len(np.unique(levels.direction)) == 4


# The environment.


@functools.cache
def world(size=SIZE, num_agents=1):
    return maze.CaveEscape(num_agents, size=size, time_limit=40)


@functools.cache
def play():
    """Observations, rewards and positions of given actions ``[T]`` in a batch of levels."""
    env = world()

    def episode(level, actions):
        state, first = env.reset(jax.random.key(0), maze.MazeParams(level))

        def step(state, action):
            state, timestep = env.step(state, action[None])
            return state, (timestep, state.world)

        _, (timesteps, worlds) = jax.lax.scan(step, state, actions)
        return first, timesteps, worlds

    return jax.jit(jax.vmap(episode, in_axes=(0, None)))


def actions_for(steps=30, seed=0):
    return np.random.default_rng(seed).choice(3, steps, p=(0.2, 0.2, 0.6)).astype(np.int32)


def turned(level, turns):
    """A level turned to the left by quarters of a circle."""
    size = level.tiles.shape[0]
    start, goal, direction = level.start, level.goal, level.direction
    for _ in range(turns):
        start, goal = (np.array([size - 1 - at[1], at[0]], np.int32) for at in (start, goal))
        direction = np.array((direction - 1) % 4, np.int32)
    return maze.Level(np.rot90(level.tiles, turns), start, direction, goal)


def test_views_and_rewards_do_not_change_when_the_level_is_turned():
    moved = False
    for index in range(3):
        level = single(random_levels(), index)
        batch = maze.levels.stack([turned(level, turns) for turns in range(4)])
        first, timesteps, worlds = play()(batch, actions_for(seed=index))
        for turns in range(1, 4):
            np.testing.assert_array_equal(first.observation.view[0], first.observation.view[turns])
            for name in ("view", "agent_mask"):
                seen = getattr(timesteps.observation, name)
                np.testing.assert_array_equal(seen[0], seen[turns])
            np.testing.assert_array_equal(timesteps.reward[0], timesteps.reward[turns])
        moved |= bool((np.asarray(worlds.position[0, -1]) != np.asarray(level.start)).any())
    assert moved


def slow_view(level, position, direction, k=5):
    ahead, right = maze.DIRECTIONS[direction], maze.DIRECTIONS[(direction + 1) % 4]
    view = np.full((k, k), maze.WALL)
    for row in range(k):
        for column in range(k):
            at = position + (k - 1 - row) * ahead + (column - k // 2) * right
            if ((at >= 0) & (at < level.tiles.shape)).all():
                view[row, column] = level.tiles[tuple(at)]
            if (at == level.goal).all():
                view[row, column] = 4
    return view


def test_views_are_the_cells_ahead():
    levels = single(random_levels(), slice(4))
    _, timesteps, worlds = play()(levels, actions_for())
    for index in range(4):
        for step in range(0, 30, 3):
            position = np.asarray(worlds.position[index, step, 0])
            direction = int(worlds.direction[index, step, 0])
            seen = np.asarray(timesteps.observation.view[index, step, 0])
            assert (seen.sum(axis=-1) == 1).all()
            expected = slow_view(single(levels, index), position, direction)
            np.testing.assert_array_equal(seen.argmax(axis=-1), expected)


def test_moves_walls_lava_and_reward():
    """One level, three agents: into a wall, into lava, around it to the goal."""
    level = maze.levels.from_text(HALL)
    tiles = np.full((7, 7), maze.WALL, np.uint8)
    tiles[: level.tiles.shape[0]] = level.tiles
    env = world(7, 3)
    params = maze.MazeParams(level._replace(tiles=tiles), time_cost=0.5)
    state, timestep = jax.jit(env.reset)(jax.random.key(0), params)
    step = jax.jit(env.step)
    goal_way = [RIGHT, FORWARD, LEFT, FORWARD, FORWARD, FORWARD, LEFT, FORWARD, RIGHT, FORWARD]
    rewards = []
    for time, move in enumerate(goal_way):
        state, timestep = step(state, jnp.array([LEFT if time == 0 else FORWARD, FORWARD, move]))
        rewards.append(np.asarray(timestep.reward))
        if time == 1:
            assert timestep.observation.agent_mask.tolist() == [True, False, True]
            assert timestep.discount.tolist() == [1, 0, 1]
            assert not bool(timestep.last())
    positions = np.asarray(state.world.position).tolist()
    assert positions == [[1, 1], [1, 3], [1, 5]]  # at the wall, in the lava, at the goal
    assert int(timestep.extras["arrived"]) == int(timestep.extras["burned"]) == 1
    expected = np.zeros((10, 3), np.float32)
    expected[9, 2] = 1 - 0.5 * 10 / 40
    np.testing.assert_allclose(rewards, expected)
    assert not bool(timestep.last())  # the first agent is still there


def test_an_episode_ends_in_lava_without_bootstrapping():
    level = maze.levels.from_text("#####\n#>~G#\n#...#\n#...#\n#####")
    env = world(5)
    state, _ = env.reset(jax.random.key(0), maze.MazeParams(level))
    _, timestep = env.step(state, jnp.array([FORWARD]))
    assert bool(timestep.last())
    assert timestep.discount.tolist() == [0]
    assert timestep.reward.tolist() == [0]
    assert not bool(timestep.extras["truncated"])


def test_a_batch_of_levels_is_each_level_alone_and_survives_automatic_resets():
    levels = single(random_levels(), slice(3))
    many = envs.AutoReset(envs.Vmapped(maze.CaveEscape(size=SIZE, time_limit=2), 3))
    params = maze.MazeParams(levels, np.full(3, 0.9, np.float32))
    state, first = jax.jit(lambda k, p: many.reset(k, p, per_env=True))(jax.random.key(0), params)
    alone, _, _ = play()(levels, actions_for())
    np.testing.assert_array_equal(first.observation.view, alone.observation.view)
    step = jax.jit(many.step)
    for _ in range(2):
        state, timestep = step(state, jnp.ones((3, 1), jnp.int32))
    assert timestep.last().all()
    np.testing.assert_array_equal(timestep.observation.view, alone.observation.view)
    np.testing.assert_array_equal(state.params.level.tiles, levels.tiles)


def test_time_limits_are_in_proportion_to_the_area():
    assert maze.CaveEscape(size=15).time_limit == 250
    assert maze.CaveEscape(size=45).time_limit == 2250


# Families.


@functools.cache
def family(name, count=4, hints=True):
    return families.FAMILIES[name](3, count, SIZE, hints=hints)


@pytest.mark.parametrize("name", families.FAMILIES)
def test_families_are_solvable_valid_and_reproducible(name):
    levels = maze.levels.check(family(name), at_least=4)
    lengths = np.asarray(jax.jit(jax.vmap(maze.distance))(levels))
    assert (lengths >= 1).all()
    assert lengths.max() >= SIZE // 2
    again = families.FAMILIES[name](3, 4, SIZE)
    assert all(np.array_equal(a, b) for a, b in zip(again, levels, strict=True))


def test_hints_keep_the_distance_and_put_moss_nearer_to_the_path_than_lava():
    plain, hinted = (family("blocks", 4, hints) for hints in (False, True))
    measure = jax.jit(
        jax.vmap(lambda level: (maze.distance(level), maze.shortest_path_cells(level)))
    )
    before, after = measure(plain), measure(hinted)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    way = np.asarray(before[1])
    tiles = np.asarray(hinted.tiles)
    assert not (way & (tiles == maze.LAVA)).any()
    np.testing.assert_array_equal(tiles == maze.WALL, np.asarray(plain.tiles) == maze.WALL)
    away = {maze.MOSS: [], maze.LAVA: []}
    for index in range(4):
        cells = np.argwhere(way[index])
        for code, found in away.items():
            for at in np.argwhere(tiles[index] == code):
                found.append(np.abs(cells - at).sum(axis=1).min())
        floor = np.sum(np.asarray(plain.tiles)[index] == maze.FLOOR)
        for code in away:
            assert np.sum(tiles[index] == code) <= 0.25 * floor + 1
    assert np.mean(away[maze.MOSS]) < np.mean(away[maze.LAVA])


def test_backtracked_mazes_are_trees():
    tiles = np.asarray(family("backtracker").tiles)
    assert ((tiles != maze.WALL).sum(axis=(1, 2)) == 2 * 16 - 1).all()


@pytest.mark.parametrize("name", ["caves", "rooms"])
def test_every_window_of_a_collapsed_wave_occurs_in_the_template(name):
    allowed = {window.tobytes() for window in Patterns(TEMPLATES[name]).windows}
    for tiles in np.asarray(family(name).tiles):
        walls = tiles[1:-1, 1:-1] == maze.WALL
        for row, column in np.ndindex(SIZE - 4, SIZE - 4):
            assert (
                np.ascontiguousarray(walls[row : row + 3, column : column + 3]).tobytes() in allowed
            )


def test_templates_without_solution_are_refused():
    drawing = ("##.", ".##", "#.#")
    with pytest.raises(ValueError, match="template"):
        families.wave_function_collapse(0, 1, 9, template=drawing)


def test_mazelib_s_mazes_are_trees_and_leave_the_global_generators_alone():
    pytest.importorskip("mazelib")
    import random

    before = random.getstate()
    levels = families.from_mazelib(0, 2, SIZE, algorithm="Prims", hints=False)
    assert random.getstate() == before
    assert ((np.asarray(levels.tiles) != maze.WALL).sum(axis=(1, 2)) == 2 * 16 - 1).all()


# Files and checks.


def test_levels_survive_a_file(tmp_path):
    levels = random_levels()
    maze.save_levels(tmp_path / "levels.npz", levels)
    found = maze.load_levels(tmp_path / "levels.npz")
    for a, b in zip(levels, found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("ring", [True, False])
def test_masks_are_read_with_and_without_the_ring_of_walls(tmp_path, ring):
    levels = random_levels()
    tiles = np.asarray(levels.tiles)
    masks = {
        "walls": tiles == maze.WALL,
        "lava": tiles == maze.LAVA,
        "moss": tiles == maze.MOSS,
    }
    for name, cells in (("start", levels.start), ("goal", levels.goal)):
        masks[name] = np.zeros_like(masks["walls"])
        masks[name][np.arange(COUNT), np.asarray(cells)[:, 0], np.asarray(cells)[:, 1]] = True
    if not ring:
        masks = {k: v[:, 1:-1, 1:-1] for k, v in masks.items()}
    np.savez(tmp_path / "levels.npz", **masks)
    found = maze.load_levels(tmp_path / "levels.npz")
    np.testing.assert_array_equal(found.tiles, tiles)
    np.testing.assert_array_equal(found.goal, levels.goal)


def test_pickled_files_are_refused(tmp_path):
    np.savez(tmp_path / "levels.npz", walls=np.array([{}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        maze.load_levels(tmp_path / "levels.npz")


def test_text_is_read_as_it_is_written():
    level = single(random_levels(), 0)
    tiles = np.asarray(level.tiles).copy()
    tiles[tuple(level.start)] = tiles[tuple(level.goal)] = maze.FLOOR
    found = maze.levels.from_text(maze.levels.text(level))
    np.testing.assert_array_equal(found.tiles, tiles)
    assert int(found.direction) == int(level.direction)


def changed(**fields):
    return maze.empty_level(6)._replace(**fields)


def with_tile(at, code):
    tiles = maze.empty_level(6).tiles.copy()
    tiles[at] = code
    return changed(tiles=tiles)


REFUSED = {
    "start on wall": (lambda: with_tile((1, 1), maze.WALL), r"level.start: .*wall"),
    "start on lava": (lambda: with_tile((1, 1), maze.LAVA), r"level.start: .*lava"),
    "goal on wall": (lambda: with_tile((4, 4), maze.WALL), r"level.goal: .*wall"),
    "goal on lava": (lambda: with_tile((4, 4), maze.LAVA), r"level.goal: .*lava"),
    "goal is start": (lambda: changed(goal=np.array([1, 1])), r"level.goal"),
    "start outside": (lambda: changed(start=np.array([9, 1])), r"level.start: .*outside"),
    "open border": (lambda: with_tile((0, 2), maze.FLOOR), r"level.tiles: .*border"),
    "unknown tile": (lambda: with_tile((2, 2), 9), r"level.tiles"),
    "direction": (lambda: changed(direction=np.array(4)), r"level.direction"),
    "too small": (lambda: changed(tiles=np.ones((3, 3), np.uint8)), r"level.tiles"),
    "mixed sizes": (lambda: [maze.empty_level(6), maze.empty_level(7)], r"level\[1\]"),
    "no levels": (lambda: [], r"level"),
    "batch of goals": (lambda: changed(goal=np.array([[1, 2]])), r"level.goal"),
    "no level": (lambda: 3, r"level"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_levels_are_refused(case):
    level, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        maze.levels.check(level())


def test_too_few_levels_and_levels_of_another_size_are_refused():
    with pytest.raises(ValueError, match="at least 2 levels, got 1"):
        maze.levels.check(maze.empty_level(6), at_least=2)
    with pytest.raises(ValueError, match=r"params.level.tiles: expected shape \(9, 9\)"):
        world().reset(jax.random.key(0), maze.MazeParams(maze.empty_level(6)))
    bad = with_tile((1, 1), maze.WALL)
    with pytest.raises(ValueError, match=r"params.level.start"):
        world(6).reset(jax.random.key(0), maze.MazeParams(bad))


# Levels as data of other environments.


def test_a_foraging_arena_is_its_level():
    level = maze.levels.from_text("#######\n#>..#G#\n#.~...#\n#..#..#\n#.....#\n#.....#\n#######")
    env = envs.swarmbench.ForagingArena(num_agents=3, size=7)
    state, _ = jax.jit(env.reset)(jax.random.key(0), env.params._replace(level=level))
    terrain = np.asarray(state.world.terrain)
    walls = (level.tiles == maze.WALL) | (level.tiles == maze.LAVA)
    np.testing.assert_array_equal(terrain == 1, walls)
    assert terrain[1, 5] == 7  # food at the goal
    assert terrain[1, 1] == 8  # nest at the start
    at = np.asarray(state.world.position)
    assert (terrain[at[:, 0], at[:, 1]] == 0).all()
    crowded = maze.levels.from_text("#######\n#>.G###" + "\n#######" * 5)
    with pytest.raises(ValueError, match=r"params.level: expected free cells for 3 agents"):
        env.reset(jax.random.key(0), env.params._replace(level=crowded))


def test_the_benchmark_s_own_maps_are_solvable_levels():
    levels = maze.levels.check(envs.swarmbench.levels_from_foraging(9))
    assert levels.tiles.shape == (8, 9, 9)
    assert (np.asarray(jax.jit(jax.vmap(maze.distance))(levels)) > 0).all()


@pytest.mark.slow
def test_xminigrid_plays_the_same_level():
    xminigrid = pytest.importorskip("xminigrid")
    original, params = xminigrid.make("MiniGrid-EmptyRandom-8x8")

    def make(n):
        return envs.from_xminigrid(original, params, num_agents=n, time_limit=60, with_levels=True)

    theirs, ours = make(1), maze.CaveEscape(size=8, time_limit=60)
    rows = ["########", "#>.#..G#", '#."....#', *["#......#"] * 4, "########"]
    level = maze.levels.from_text("\n".join(rows))
    key = jax.random.key(0)
    state, _ = theirs.reset(key, theirs.params._replace(level=level))
    mine, _ = ours.reset(key, maze.MazeParams(level))
    step, own = jax.jit(theirs.step), jax.jit(ours.step)
    as_theirs = np.array([2, 1, 0])
    way = [FORWARD, FORWARD, RIGHT, FORWARD, LEFT, *[FORWARD] * 3, LEFT, FORWARD, RIGHT, FORWARD]
    for move in way:
        assert not bool(mine.world.arrived.any())
        state, one = step(state, jnp.asarray(as_theirs[[move]]))
        mine, two = own(mine, jnp.array([move]))
        position = state.world.state.state.agent.position
        np.testing.assert_array_equal(position, mine.world.position)
        np.testing.assert_allclose(one.reward, two.reward, atol=1e-6)
        np.testing.assert_array_equal(one.discount, two.discount)
        assert bool(one.last()) == bool(two.last())
    assert float(two.reward[0]) > 0
    envs.conformance.check(make, num_agents=2, steps=3)
