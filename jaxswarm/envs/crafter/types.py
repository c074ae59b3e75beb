"""State and observation of Multi-Agent Crafter.

Shapes: ``N`` agents, a map of ``S × S`` cells, room for ``C`` cows and ``P`` plants, 16 items, 20
achievements.
"""

from typing import Any, NamedTuple

import jax


class CrafterParams(NamedTuple):
    """Rewards, traced. Physics (recipes, size) are static.

    Attributes:
        unlock: reward of an agent for each achievement that is its first of the kind.
        health: reward of an agent per point of health gained or lost.
        diamond: reward of every agent that is alive when any collects a diamond.
        move: reward of an agent for a step that changes its cell.
        noop: reward of an agent for the action noop.
    """

    unlock: Any = 1.0
    health: Any = 0.1
    diamond: Any = 10.0
    move: Any = 0.0
    noop: Any = 0.0


class Herd(NamedTuple):
    """Cows or plants in slots; those with ``health <= 0`` are free.

    Attributes:
        position: ``int32[C, 2]``.
        health: ``int32[C]``.
        age: ``int32[C]``, steps since a plant was placed or eaten; 0 for cows.
    """

    position: jax.Array
    health: jax.Array
    age: jax.Array


class CrafterWorld(NamedTuple):
    """The world.

    Attributes:
        terrain: ``int8[S, S]``, codes of ``crafter.MATERIALS``.
        position: ``int32[N, 2]``, row and column.
        facing: ``int32[N]``, index into ``crafter.DIRECTIONS``: left, right, up, down.
        inventory: ``int32[N, 16]``, columns ``crafter.ITEMS``, each in ``[0, 9]``.
        counters: ``float32[N, 4]`` of hunger, thirst, fatigue and recovery.
        sleeping: ``bool[N]``.
        alive: ``bool[N]``; an agent that is not is nowhere.
        last_health: ``int32[N]``, at the end of the last step.
        achieved: ``bool[N, 20]``, columns ``crafter.ACHIEVEMENTS``.
        cows: slots of cows.
        plants: slots of plants.
        time: ``int32[]``, steps since the start.
        solvable: ``bool[]``, whether a diamond and all that it takes were in reach at the start.
    """

    terrain: jax.Array
    position: jax.Array
    facing: jax.Array
    inventory: jax.Array
    counters: jax.Array
    sleeping: jax.Array
    alive: jax.Array
    last_health: jax.Array
    achieved: jax.Array
    cows: Herd
    plants: Herd
    time: jax.Array
    solvable: jax.Array


class CrafterObservation(NamedTuple):
    """What each agent observes; zeros for agents that are dead.

    Attributes:
        view: ``int32[N, 7, 9]``, codes of the cells around it: 0 outside of the world, then
            ``crafter.MATERIALS`` and 13 cow, 14 sapling, 15 ripe plant, 16 player (itself in the
            middle). With ``as_features`` one-hot, ``float32[N, 7, 9, 17]``.
        inventory: ``int32[N, 16]``.
        position: ``int32[N, 2]``, row and column.
        facing: ``int32[N, 2]``, row and column of the unit vector ahead.
        sleeping: ``bool[N]``.
        daylight: ``float32[N]`` in ``[0, 1]``.
        agent_mask: ``bool[N]``, alive.
        action_mask: ``bool[N, A]``, actions for which the agent holds what they take; the place is
            not looked at.
    """

    view: jax.Array
    inventory: jax.Array
    position: jax.Array
    facing: jax.Array
    sleeping: jax.Array
    daylight: jax.Array
    agent_mask: jax.Array
    action_mask: jax.Array
