"""Players of Crafter act one after another; then hunger, thirst, fatigue and recovery count.

Conflicts are resolved by id: of two players that collect the same tree the first gets it. Vital
signs of all players are updated after the last has acted, so that food shared in a step counts in
that step for givers and takers alike.

Shapes: ``N`` players; see :mod:`jaxswarm.envs.crafter.types`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.crafter import rules as r
from jaxswarm.envs.crafter.types import CrafterWorld, Herd

RIPE_AGE = 300
_DAMAGE = np.array([1, 2, 3, 5])
_SHAREABLE = np.array(r.SHAREABLE)
_WALKABLE = np.isin(np.arange(len(r.MATERIALS)), [r.GRASS, r.PATH, r.SAND, r.LAVA])
_COLLECTED = np.full(r.NUM_ITEMS, -1)
_COLLECTED[[r.DRINK, *range(4, 10)]] = np.arange(7)
_PLACED, _MADE = 7, 11
_EAT_COW, _EAT_PLANT, _WAKE_UP = 17, 18, 19
_CODE_OF_PLACE = np.array([r.STONE, r.TABLE, r.FURNACE])
_AROUND = np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1], indexing="ij"), -1).reshape(9, 2)


class Notes(NamedTuple):
    """What went wrong or changed hands in a step.

    Attributes:
        invalid_share: ``bool[N]``, tried to share with itself, a dead player or one that holds nine
            already, or an item that it does not hold; nothing happened.
        shared: ``bool[N]``, shared an item.
        received: ``bool[N]``, received an item.
        overflow: ``bool[N]``, placed a plant although all slots are taken; nothing happened.
    """

    invalid_share: jax.Array
    shared: jax.Array
    received: jax.Array
    overflow: jax.Array


def act(
    world: CrafterWorld, action: jax.Array, draw: jax.Array, rules: r.Rules
) -> tuple[CrafterWorld, Notes]:
    """Let all players act in the order of their ids.

    Args:
        world: before.
        action: ``int32[N]``; beyond 16, ``17 + item N + player`` shares ``SHAREABLE[item]``.
        draw: ``float32[N]`` in ``[0, 1)``, for what is collected with a probability.
        rules: the recipes.
    """
    n = action.shape[0]
    tables: Any = jax.tree.map(jnp.asarray, rules)
    none = jnp.zeros(n, bool)
    start = (world, Notes(none, none, none, none))

    def one(carry: tuple[CrafterWorld, Notes], i: jax.Array) -> tuple[tuple, None]:
        return _act_one(carry, i, action[i], draw[i], tables), None

    return jax.lax.scan(one, start, jnp.arange(n))[0]


def _act_one(
    carry: tuple[CrafterWorld, Notes], i: jax.Array, action: jax.Array, draw: jax.Array, rules: Any
) -> tuple[CrafterWorld, Notes]:
    world, notes = carry
    size, n = world.terrain.shape[0], world.alive.shape[0]
    alive, items = world.alive[i], world.inventory[i]
    achieved = world.achieved[i]
    tired = items[r.ENERGY] < r.LARGEST
    wakes = world.sleeping[i] & ~tired
    action = jnp.where(world.sleeping[i] & tired, r.SLEEP, action)
    action = jnp.where(alive, action, r.NOOP)
    sleeping = (world.sleeping[i] & ~wakes) | ((action == r.SLEEP) & tired)
    achieved = achieved.at[_WAKE_UP].set(achieved[_WAKE_UP] | wakes)

    moves = (action >= r.MOVE) & (action < r.MOVE + 4)
    at = world.position[i]
    heading = jnp.where(moves, action - r.MOVE, world.facing[i])
    target = at + jnp.asarray(r.DIRECTIONS)[heading]  # the cell ahead, after a turn
    inside = jnp.all((target >= 0) & (target < size))
    cell = jnp.clip(target, 0, size - 1)
    material = jnp.where(inside, world.terrain[cell[0], cell[1]], r.OUTSIDE).astype(jnp.int32)
    cow = (world.cows.health > 0) & jnp.all(world.cows.position == target[None], axis=1)
    plant = (world.plants.health > 0) & jnp.all(world.plants.position == target[None], axis=1)
    player = world.alive & jnp.all(world.position == target[None], axis=1)
    empty = ~(jnp.any(cow) | jnp.any(plant) | jnp.any(player))

    steps = moves & empty & jnp.asarray(_WALKABLE)[material]
    position = jnp.where(steps, target, at)
    burns = steps & (material == r.LAVA)

    # Do: collect from the ground, hit a cow, eat a plant.
    does = action == r.DO
    collects = does & empty & (rules.chance[material] > 0)
    collects &= jnp.all(items >= rules.require[material])
    gets = collects & (draw < rules.chance[material])
    gained = jnp.where(gets, rules.receive[material], 0)
    damage = jnp.max(jnp.where(jnp.append(True, items[13:] > 0), _DAMAGE, 1))
    hit = cow & does
    cow_health = world.cows.health - jnp.where(hit, damage, 0)
    eats_cow = jnp.any(hit & (cow_health <= 0))
    ripe = plant & (world.plants.age > RIPE_AGE) & does
    eats_plant = jnp.any(ripe)
    food = 6 * eats_cow + 4 * eats_plant

    # Place and make.
    place = jnp.clip(action - r.PLACE, 0, 3)
    places = (action >= r.PLACE) & (action < r.MAKE) & empty & rules.place_where[place, material]
    places &= jnp.all(items >= rules.place_uses[place])
    slot = jnp.argmin(world.plants.health)
    plants_it = places & (place == 3)
    overflow = plants_it & (world.plants.health[slot] > 0)
    places, plants_it = places & ~overflow, plants_it & ~overflow
    make = jnp.clip(action - r.MAKE, 0, 5)
    around = at[None] + _AROUND
    within = jnp.all((around >= 0) & (around < size), axis=1)
    around = jnp.clip(around, 0, size - 1)
    near = jnp.where(within, world.terrain[around[:, 0], around[:, 1]], 0).astype(jnp.int32)
    has_near = jnp.any(near[:, None] == jnp.arange(len(r.MATERIALS))[None], axis=0)
    makes = (action >= r.MAKE) & (action < r.SHARE)
    makes &= jnp.all(items >= rules.make_uses[make]) & jnp.all(has_near | ~rules.make_nearby[make])
    used = jnp.where(places, rules.place_uses[place], 0)
    used += jnp.where(makes, rules.make_uses[make], 0)
    tool = jnp.arange(r.NUM_ITEMS) == 10 + make
    gained = gained + jnp.where(makes & tool, 1, 0)
    gained = gained.at[r.FOOD].add(food)

    # Share one unit with any living player.
    code = jnp.clip(action - r.SHARE, 0, len(r.SHAREABLE) * n - 1)
    item, receiver = jnp.asarray(_SHAREABLE)[code // n], code % n
    wants = (action >= r.SHARE) & alive
    gives = wants & (receiver != i) & world.alive[receiver] & (items[item] > 0)
    gives &= world.inventory[receiver, item] < r.LARGEST
    shared = (jnp.arange(r.NUM_ITEMS) == item) & gives

    items = jnp.clip(items + gained - used - shared, 0, r.LARGEST)
    items = items.at[r.HEALTH].set(jnp.where(burns, 0, items[r.HEALTH]))
    inventory = world.inventory.at[i].set(items)
    inventory = inventory.at[receiver].add(shared.astype(jnp.int32))
    drinks = does & empty & (material == r.WATER)
    counters = world.counters.at[i, 0].multiply(jnp.where(eats_cow, 0.0, 1.0))
    counters = counters.at[i, 1].multiply(jnp.where(drinks, 0.0, 1.0))

    leaves = jnp.where(collects, rules.leaves[material], material)
    put = jnp.asarray(_CODE_OF_PLACE)[jnp.clip(place, 0, 2)]
    leaves = jnp.where(places & ~plants_it, put, leaves).astype(jnp.int8)
    leaves = jnp.where(inside, leaves, world.terrain[cell[0], cell[1]])
    terrain = world.terrain.at[cell[0], cell[1]].set(leaves)
    here = jnp.arange(world.plants.health.shape[0]) == slot
    age = jnp.where(ripe | (here & plants_it), 0, world.plants.age)
    plants = Herd(
        jnp.where((here & plants_it)[:, None], target[None], world.plants.position),
        jnp.where(here & plants_it, 1, world.plants.health),
        age,
    )
    collected = (gained > 0) & gets
    first = jnp.zeros(len(r.ACHIEVEMENTS), bool)
    first = first.at[:7].set(collected[np.flatnonzero(_COLLECTED >= 0)])
    first = first.at[_PLACED : _PLACED + 4].set((jnp.arange(4) == place) & places)
    first = first.at[_MADE : _MADE + 6].set((jnp.arange(6) == make) & makes)
    first = first.at[_EAT_COW].set(eats_cow).at[_EAT_PLANT].set(eats_plant)
    world = world._replace(
        terrain=terrain,
        position=world.position.at[i].set(position),
        facing=world.facing.at[i].set(heading),
        inventory=inventory,
        counters=counters,
        sleeping=world.sleeping.at[i].set(sleeping),
        achieved=world.achieved.at[i].set(achieved | first),
        cows=world.cows._replace(health=cow_health),
        plants=plants,
    )
    notes = Notes(
        notes.invalid_share.at[i].set(wants & ~gives),
        notes.shared.at[i].set(gives),
        notes.received.at[receiver].set(notes.received[receiver] | gives),
        notes.overflow.at[i].set(overflow),
    )
    return world, notes


def live(world: CrafterWorld) -> CrafterWorld:
    """Update the vital signs of all players, wake those that were hurt, remove the dead."""
    asleep, items = world.sleeping, world.inventory
    pace = jnp.where(asleep, 0.5, 1.0)
    hunger, thirst = world.counters[:, 0] + pace, world.counters[:, 1] + pace
    fatigue = world.counters[:, 2]
    fatigue = jnp.where(asleep, jnp.minimum(fatigue - 1.0, 0.0), fatigue + 1.0)
    starves, parches = hunger > 25.0, thirst > 20.0
    rested, exhausted = fatigue < -10.0, fatigue > 30.0
    # Values below 0 count as 0 only after health was updated, which makes no difference to it.
    food = items[:, r.FOOD] - starves
    drink = items[:, r.DRINK] - parches
    energy = items[:, r.ENERGY] + rested - exhausted
    content = (food > 0) & (drink > 0) & ((energy > 0) | asleep)
    recover = world.counters[:, 3] + jnp.where(
        content, jnp.where(asleep, 2.0, 1.0), jnp.where(asleep, -0.5, -1.0)
    )
    heals, hurts = recover > 25.0, recover < -15.0
    health = jnp.maximum(items[:, r.HEALTH] + heals - hurts, 0)
    vital = jnp.clip(jnp.stack([health, food, drink, energy], axis=1), 0, r.LARGEST)
    counters = jnp.stack(
        [
            jnp.where(starves, 0.0, hunger),
            jnp.where(parches, 0.0, thirst),
            jnp.where(rested | exhausted, 0.0, fatigue),
            jnp.where(heals | hurts, 0.0, recover),
        ],
        axis=1,
    )
    alive, health = world.alive, vital[:, 0]
    inventory = items.at[:, :4].set(jnp.where(alive[:, None], vital, items[:, :4]))
    return world._replace(
        inventory=inventory,
        counters=jnp.where(alive[:, None], counters, world.counters),
        sleeping=asleep & ~(alive & (health < world.last_health)),
        last_health=jnp.where(alive, health, world.last_health),
        alive=alive & (health > 0),
    )
