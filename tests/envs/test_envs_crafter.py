"""Multi-Agent Crafter: single-player rules equal to crafter's, conflicts by id, sharing, worlds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs
from jaxswarm.envs import crafter, grid
from jaxswarm.envs.crafter import ACTIONS, ITEMS, MATERIALS
from jaxswarm.envs.crafter.types import Herd

GRASS, TREE, LAVA, WATER, STONE = (
    MATERIALS.index(name) for name in ("grass", "tree", "lava", "water", "stone")
)
N = 3


class Small:
    """One small environment, whose programs all tests share."""

    def __init__(self):
        self.env = envs.MultiAgentCrafter(num_agents=N, size=16, chunk=8, time_limit=50)
        self.reset, self.step = jax.jit(self.env.reset), jax.jit(self.env.step)

    def meadow(self, **changes):
        """A state on grass without cows, players side by side; fields of the world replaced."""
        state, _ = self.reset(jax.random.key(0))
        world = state.world
        herd = Herd(*(np.zeros_like(x) for x in world.cows))
        world = world._replace(terrain=np.full((16, 16), GRASS, np.int8), cows=herd)
        return state._replace(world=world._replace(**changes))

    def do(self, state, *names):
        share = self.env.share_action
        codes = [share(*x) if isinstance(x, tuple) else ACTIONS.index(x) for x in names]
        return self.step(state, np.array(codes, np.int32))


@pytest.fixture(scope="module")
def small():
    return Small()


def held(state, agent, item):
    return int(state.world.inventory[agent, ITEMS.index(item)])


def with_items(state, agent, **amounts):
    inventory = np.array(state.world.inventory)
    for name, amount in amounts.items():
        inventory[agent, ITEMS.index(name)] = amount
    return state._replace(world=state.world._replace(inventory=inventory))


def test_of_two_players_at_one_tree_the_first_gets_the_wood(small):
    terrain = np.full((16, 16), GRASS, np.int8)
    terrain[8, 8] = TREE
    position = np.array([[8, 7], [8, 9], [2, 2]], np.int32)
    state = small.meadow(terrain=terrain, position=position, facing=np.array([1, 0, 3]))
    state, _ = small.do(state, "do", "do", "noop")
    assert (held(state, 0, "wood"), held(state, 1, "wood")) == (1, 0)
    assert int(state.world.terrain[8, 8]) == GRASS


def test_of_two_players_entering_one_cell_the_first_does(small):
    position = np.array([[8, 9], [8, 7], [2, 2]], np.int32)
    state = small.meadow(position=position)
    state, _ = small.do(state, "move_left", "move_right", "noop")
    assert state.world.position[:2].tolist() == [[8, 8], [8, 7]]
    assert state.world.facing[:2].tolist() == [0, 1]


def test_sharing_moves_one_unit_at_any_distance_and_nothing_else_is_valid(small):
    state = with_items(small.meadow(), 0, wood=2)
    state = with_items(state, 1, wood=9, stone=1)
    total = np.asarray(state.world.inventory)[:, 4:].sum()
    state, timestep = small.do(state, ("wood", 2), ("stone", 1), ("coal", 0))
    assert (held(state, 0, "wood"), held(state, 2, "wood"), held(state, 1, "stone")) == (1, 1, 1)
    assert timestep.extras["invalid_share"].tolist() == [False, True, True]
    assert timestep.extras["received"].tolist() == [False, False, True]
    state, timestep = small.do(state, ("wood", 1), "noop", "noop")  # holds nine already
    assert bool(timestep.extras["invalid_share"][0])
    dead = state._replace(world=state.world._replace(alive=np.array([True, True, False])))
    dead, timestep = small.do(dead, ("wood", 2), "noop", "noop")
    assert bool(timestep.extras["invalid_share"][0])
    assert np.asarray(dead.world.inventory)[:, 4:].sum() == total


def test_lava_kills_and_the_dead_stay_as_they_are(small):
    terrain = np.full((16, 16), GRASS, np.int8)
    terrain[7, 7] = LAVA
    position = np.array([[8, 7], [8, 9], [2, 2]], np.int32)
    state = small.meadow(terrain=terrain, position=position)
    state, timestep = small.do(state, "move_up", "noop", "noop")
    assert timestep.observation.agent_mask.tolist() == [False, True, True]
    assert not timestep.last()
    after, timestep = small.do(state, "do", "do", "do")
    assert float(timestep.reward[0]) == 0.0
    for field in ("position", "inventory", "counters", "achieved", "facing"):
        np.testing.assert_array_equal(
            getattr(after.world, field)[0], getattr(state.world, field)[0], err_msg=field
        )


def test_a_diamond_terminates_and_the_time_limit_truncates(small):
    terrain = np.full((16, 16), GRASS, np.int8)
    terrain[9, 8] = MATERIALS.index("diamond")
    position = np.array([[8, 8], [2, 9], [2, 2]], np.int32)
    state = with_items(small.meadow(terrain=terrain, position=position), 0, iron_pickaxe=1)
    _, timestep = small.do(state, "do", "noop", "noop")
    assert bool(timestep.last())
    assert bool(timestep.extras["diamond"])
    assert timestep.discount.tolist() == [0.0] * N
    assert (np.asarray(timestep.reward) >= 10.0).all()
    _, timestep = small.do(state._replace(step_count=jnp.int32(49)), "noop", "noop", "noop")
    assert bool(timestep.last())
    assert timestep.discount.tolist() == [1.0] * N


def test_a_cow_takes_three_blows_and_feeds(small):
    cows = Herd(np.zeros((8, 2), np.int32), np.zeros(8, np.int32), np.zeros(8, np.int32))
    position = np.array([[8, 8], [2, 9], [2, 2]], np.int32)
    state = with_items(small.meadow(position=position), 0, food=2)
    for blow in range(3):
        cows.position[0], cows.health[0] = (9, 8), 3 - blow
        state = state._replace(world=state.world._replace(cows=cows))
        state, _ = small.do(state, "do", "noop", "noop")
    assert held(state, 0, "food") == 8
    assert (np.asarray(state.world.cows.health) <= 0).all()


def test_inventories_stay_within_bounds_under_random_actions(small):
    state, _ = small.reset(jax.random.key(1))
    state = with_items(state, 0, **dict.fromkeys(ITEMS[4:], 9))
    rng, alive = np.random.default_rng(0), N
    for action in rng.integers(0, small.env.num_actions, (300, N)).astype(np.int32):
        state, timestep = small.step(state, action)
        inventory, position = np.asarray(state.world.inventory), np.asarray(state.world.position)
        assert ((inventory >= 0) & (inventory <= 9)).all()
        assert ((position >= 0) & (position < 16)).all()
        assert int(timestep.extras["num_alive"]) <= alive
        alive = int(timestep.extras["num_alive"])


def test_worlds_without_a_diamond_in_reach_are_flagged(small):
    terrain = np.full((16, 16), GRASS, np.int8)
    terrain[0, :5], terrain[1, :5] = TREE, STONE
    for column, name in enumerate(("coal", "iron", "diamond")):
        terrain[2, column] = MATERIALS.index(name)
    enough = jax.jit(crafter.obtainable)
    assert enough(terrain, np.array([8, 8])).tolist() == [True] * 5
    terrain[1:4, 1:4], terrain[2, 2] = WATER, MATERIALS.index("diamond")
    assert enough(terrain, np.array([8, 8])).tolist() == [True, False, True, False, False]
    state, first = small.reset(jax.random.key(0))
    found = enough(state.world.terrain, state.world.position[0])
    assert bool(first.observation.agent_mask.all())
    assert bool(state.world.solvable) == bool(found.all())


def oracle_distances(free, slow, goals):
    """Bellman–Ford from the goals; entering slow cells costs two."""
    cost = np.where(free | goals, 1, np.where(slow, 2, 10_000))
    far = np.full(free.shape, 10_000)
    reach = np.where(goals, 0, far)
    for _ in range(free.size):
        entered = np.pad(reach + cost, 1, constant_values=20_000)
        around = np.minimum.reduce(
            [entered[:-2, 1:-1], entered[2:, 1:-1], entered[1:-1, :-2], entered[1:-1, 2:]]
        )
        nearer = np.minimum(reach, around)
        if (nearer == reach).all():
            break
        reach = nearer
    return reach


def test_searches_on_boards_of_bits_find_shortest_paths():
    rng = np.random.default_rng(0)
    shape = (17, 40)  # two words a row
    search = jax.jit(jax.vmap(grid.bitboards.first_step, (None, None, None, 0)))
    pack, flood = jax.jit(grid.bitboards.pack), jax.jit(grid.reached)
    relax = jax.jit(grid.distances)
    for _ in range(4):
        kind = rng.choice(3, shape, p=(0.6, 0.15, 0.25))
        goals = rng.random(shape) < 0.004
        free, slow = (kind == 0) & ~goals, (kind == 1) & ~goals
        cells = np.argwhere(free)[::7]
        found = search(pack(free), pack(slow), pack(goals), cells)
        want = oracle_distances(free, slow, goals)
        lengths = want[tuple(cells.T)]
        np.testing.assert_array_equal(found.found, lengths < 10_000)
        np.testing.assert_array_equal(
            np.where(found.found, found.length, 0), np.where(lengths < 10_000, lengths, 0)
        )
        plain = np.asarray(relax(free, goals))
        reach = np.asarray(flood(free, goals))
        np.testing.assert_array_equal(reach, plain < free.size)
        for cell, direction, ok in zip(cells, found.direction, found.found, strict=True):
            if ok:
                row, column = cell + grid.DIRECTIONS[int(direction)]
                step = 1 if free[row, column] or goals[row, column] else 2
                assert want[row, column] + step == want[tuple(cell)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_agents": 0}, "num_agents: expected"),
        ({"num_agents": 15, "size": 16}, "num_agents: expected a whole number in"),
        ({"size": 20}, "size: expected a multiple of chunk=16"),
        ({"chunk": 0}, "chunk: expected"),
        ({"recipes": {}}, "recipes: expected a mapping with collect, place, make"),
        ({"recipes": crafter.TEAM_RECIPES | {"make": {"spade": {}}}}, "tool"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        envs.MultiAgentCrafter(**options)


def test_shares_and_maps_that_do_not_exist_are_refused(small):
    with pytest.raises(ValueError, match="item"):
        small.env.share_action("health", 0)
    with pytest.raises(ValueError, match="player: expected an index"):
        small.env.share_action("wood", 3)
    with pytest.raises(ValueError, match="terrain: expected"):
        small.env.reset_to_level(jax.random.key(0), np.zeros((16, 16), np.int8))


@pytest.mark.slow
@pytest.mark.parametrize("changed", [False, True])
def test_a_single_player_lives_as_in_crafter(changed, monkeypatch):
    """1,000 random steps on one map, cows and plants handed over; saplings are always found."""
    oracle = pytest.importorskip("crafter")
    from crafter import constants, objects

    names = ("collect", "place", "make")
    recipes = {name: {k: dict(v) for k, v in getattr(constants, name).items()} for name in names}
    if changed:
        recipes = {name: dict(crafter.TEAM_RECIPES[name]) for name in names}
    recipes["collect"]["grass"] = {"require": {}, "receive": {"sapling": 1}, "leaves": "grass"}
    for name in names:
        entries = {}
        for key, entry in recipes[name].items():
            kind = "object" if key == "plant" else "material"
            entries[key] = {"require": {}, "gives": 1, "type": kind} | entry
        monkeypatch.setitem(constants.__dict__, name, entries)
    world = oracle.Env(seed=4, length=None)
    world._obs = lambda: None
    world._balance_chunk = lambda *_: None
    world.reset()
    for each in world._world.objects:
        if isinstance(each, (objects.Zombie, objects.Skeleton)):
            world._world.remove(each)
    rng = np.random.default_rng(0)
    share = {"water": 8, "grass": 38, "stone": 15, "path": 12, "sand": 5, "tree": 10, "coal": 5}
    share |= {"iron": 4, "diamond": 1, "table": 1, "furnace": 1}
    codes = [MATERIALS.index(name) for name in share]
    weights = np.array(list(share.values())) / sum(share.values())
    mosaic = rng.choice(codes, (64, 64), p=weights)
    mosaic[30:35, 30:35] = GRASS
    world._world._mat_map[:] = mosaic.T
    env = envs.MultiAgentCrafter(num_agents=1, recipes=recipes, max_plants=64)
    step = jax.jit(env.step)
    state, _ = env.reset_to_level(jax.random.key(0), world._world._mat_map.T.copy())
    player, done = world._player, set()
    likely = np.ones(len(ACTIONS))
    likely[[1, 2, 3, 4]], likely[5] = 4.0, 12.0
    likely[ACTIONS.index("sleep")] = 0.2
    for time in range(1000):
        if time % 200 == 150:  # so that it lives to the end, after having suffered
            gifts = {"food": 9, "drink": 9, "energy": 9, "wood": 5, "stone": 5}
            player.inventory.update(gifts)
            state = with_items(state, 0, **gifts)
        cows = [each for each in world._world.objects if isinstance(each, objects.Cow)]
        herd = Herd(*(np.zeros_like(x) for x in state.world.cows))
        for slot, cow in enumerate(cows):
            herd.position[slot], herd.health[slot] = cow.pos[::-1], cow.health
        plants = [each for each in world._world.objects if isinstance(each, objects.Plant)]
        garden = Herd(*(np.zeros_like(x) for x in state.world.plants))
        for slot, plant in enumerate(plants):
            garden.position[slot], garden.health[slot] = plant.pos[::-1], plant.health
            garden.age[slot] = plant.grown
        state = state._replace(world=state.world._replace(cows=herd, plants=garden))
        action = int(rng.choice(len(ACTIONS), p=likely / likely.sum()))
        world.step(action)
        state, _ = step(state, np.array([action], np.int32))
        mine = state.world
        where = f"step {time}, {ACTIONS[action]}"
        np.testing.assert_array_equal(mine.position[0], player.pos[::-1], err_msg=where)
        want = [player.inventory[name] for name in ITEMS]
        assert mine.inventory[0].tolist() == want, where
        np.testing.assert_array_equal(mine.terrain, world._world._mat_map.T, err_msg=where)
        assert bool(mine.sleeping[0]) == player.sleeping, where
        counters = [player._hunger, player._thirst, player._fatigue, player._recover]
        np.testing.assert_allclose(mine.counters[0], counters, err_msg=where)
        np.testing.assert_allclose(
            crafter.daylight(mine.time), world._world.daylight, atol=1e-5, err_msg=where
        )
        done |= {k for k, v in player.achievements.items() if v}
    assert player.health > 0
    ours = {name for name, flag in zip(crafter.ACHIEVEMENTS, mine.achieved[0], strict=True) if flag}
    assert ours == done
    assert len(done) >= 14  # of 20
