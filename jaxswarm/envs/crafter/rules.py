"""Materials, items, actions and recipes of Crafter as arrays.

Codes follow Crafter's order, so that a map of its worlds is a map here: 0 is outside of the world
(or unknown), 1 to 12 are materials; in views, 13 to 16 are what stands on them. Recipes are data: a
:class:`Rules` of small integer tables that :func:`rules_of` makes of nested dicts in the format of
Crafter's ``data.yaml``.

References:
    D. Hafner, Benchmarking the spectrum of agent capabilities, 2021 (Crafter).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks, errors

MATERIALS = (
    "outside",
    "water",
    "grass",
    "stone",
    "path",
    "sand",
    "tree",
    "lava",
    "coal",
    "iron",
    "diamond",
    "table",
    "furnace",
)
"""Names of the codes of a map; 0 is outside of the world."""

OUTSIDE, WATER, GRASS, STONE, PATH, SAND, TREE, LAVA, COAL, IRON, DIAMOND, TABLE, FURNACE = range(
    len(MATERIALS)
)
COW, SAPLING, RIPE, PLAYER = 13, 14, 15, 16
NUM_CODES = 17
"""Codes of views: the materials, then cow, sapling, ripe plant, player."""

ITEMS = (
    "health",
    "food",
    "drink",
    "energy",
    "sapling",
    "wood",
    "stone",
    "coal",
    "iron",
    "diamond",
    "wood_pickaxe",
    "stone_pickaxe",
    "iron_pickaxe",
    "wood_sword",
    "stone_sword",
    "iron_sword",
)
"""Columns of an inventory; the first four are vital signs."""

HEALTH, FOOD, DRINK, ENERGY = range(4)
NUM_ITEMS = len(ITEMS)
LARGEST = 9
"""Largest amount of every item."""

SHAREABLE = tuple(i for i, name in enumerate(ITEMS) if name not in ("health", "energy"))
"""Items that may be shared."""

ACTIONS = (
    "noop",
    "move_left",
    "move_right",
    "move_up",
    "move_down",
    "do",
    "sleep",
    "place_stone",
    "place_table",
    "place_furnace",
    "place_plant",
    "make_wood_pickaxe",
    "make_stone_pickaxe",
    "make_iron_pickaxe",
    "make_wood_sword",
    "make_stone_sword",
    "make_iron_sword",
)
"""Crafter's actions by number; actions from 17 on share an item."""

NOOP, MOVE, DO, SLEEP, PLACE, MAKE, SHARE = 0, 1, 5, 6, 7, 11, 17
DIRECTIONS = np.array([[0, -1], [0, 1], [-1, 0], [1, 0]], np.int32)
"""Left, right, up, down as (row, column), in the order of the actions."""

PLACES = ("stone", "table", "furnace", "plant")
MAKES = ITEMS[10:]
ACHIEVEMENTS = (
    *(f"collect_{name}" for name in ("drink", *ITEMS[4:10])),
    *(f"place_{name}" for name in PLACES),
    *(f"make_{name}" for name in MAKES),
    "eat_cow",
    "eat_plant",
    "wake_up",
)
"""What can be achieved first, Crafter's list without combat."""

TEAM_RECIPES: dict[str, Any] = {
    "collect": {
        "tree": {"require": {}, "receive": {"wood": 1}, "leaves": "grass"},
        "stone": {"require": {"wood_pickaxe": 1}, "receive": {"stone": 1}, "leaves": "path"},
        "coal": {"require": {"wood_pickaxe": 1}, "receive": {"coal": 1}, "leaves": "path"},
        "iron": {"require": {"stone_pickaxe": 1}, "receive": {"iron": 1}, "leaves": "path"},
        "diamond": {"require": {"iron_pickaxe": 1}, "receive": {"diamond": 1}, "leaves": "path"},
        "water": {"require": {}, "receive": {"drink": 1}, "leaves": "water"},
        "grass": {"receive": {"sapling": 1}, "probability": 0.1, "leaves": "grass"},
    },
    "place": {
        "stone": {"uses": {"stone": 1}, "where": ["grass", "sand", "path", "water", "lava"]},
        "table": {"uses": {"wood": 2}, "where": ["grass", "sand", "path"]},
        "furnace": {"uses": {"stone": 4}, "where": ["grass", "sand", "path"]},
        "plant": {"uses": {"sapling": 1}, "where": ["grass"]},
    },
    "make": {
        "wood_pickaxe": {"uses": {"wood": 1}, "nearby": ["table"]},
        "stone_pickaxe": {"uses": {"wood": 1, "stone": 1}, "nearby": ["table"]},
        "iron_pickaxe": {"uses": {"wood": 1, "coal": 1, "iron": 1}, "nearby": ["furnace"]},
        "wood_sword": {"uses": {"wood": 1}, "nearby": ["table"]},
        "stone_sword": {"uses": {"wood": 1, "stone": 1}, "nearby": ["table"]},
        "iron_sword": {"uses": {"wood": 1, "coal": 1, "iron": 1}, "nearby": ["furnace"]},
    },
}
"""The recipes of Multi-Agent Crafter: tools of iron need a furnace nearby, but no table."""


class Rules(NamedTuple):
    """Recipes as tables; materials are 13 codes, items 16 columns.

    Attributes:
        require: ``int32[13, 16]``, items that collecting from a material needs.
        receive: ``int32[13, 16]``, items that it gives.
        chance: ``float32[13]``, probability that it gives them; 0 where nothing can be collected.
        leaves: ``int8[13]``, the material that stays.
        place_uses: ``int32[4, 16]``, items used up by placing stone, table, furnace, plant.
        place_where: ``bool[4, 13]``, materials on which each can be placed.
        make_uses: ``int32[6, 16]``, items used up by making each tool.
        make_nearby: ``bool[6, 13]``, materials that must be among the 3 × 3 cells around.
    """

    require: np.ndarray
    receive: np.ndarray
    chance: np.ndarray
    leaves: np.ndarray
    place_uses: np.ndarray
    place_where: np.ndarray
    make_uses: np.ndarray
    make_nearby: np.ndarray


def rules_of(recipes: Mapping[str, Any]) -> Rules:
    """Make tables of recipes in the format of Crafter's ``data.yaml``.

    Args:
        recipes: ``{"collect": {material: {"require": {item: n}, "receive": {item: n},
            "probability": p, "leaves": material}}, "place": {name: {"uses": {item: n}, "where":
            [material]}}, "make": {item: {"uses": {item: n}, "nearby": [material]}}}``; what is
            absent cannot be done.

    Raises:
        ValueError: for sections, materials or items that do not exist, amounts that are not whole
            numbers of at least 0, or probabilities outside ``[0, 1]``.

    Example:
        >>> from jaxswarm.envs import crafter
        >>> tables = crafter.rules_of(crafter.TEAM_RECIPES)
        >>> int(tables.place_uses[1, crafter.ITEMS.index("wood")])  # uses of a table
        2
    """
    sections = ("collect", "place", "make")
    if not isinstance(recipes, Mapping) or any(
        not isinstance(recipes.get(name), Mapping) for name in sections
    ):
        raise ValueError(
            f"recipes: expected a mapping with {', '.join(sections)}, got {checks.shown(recipes)}"
        )
    codes, items = len(MATERIALS), NUM_ITEMS
    tables = Rules(
        require=np.zeros((codes, items), np.int32),
        receive=np.zeros((codes, items), np.int32),
        chance=np.zeros(codes, np.float32),
        leaves=np.zeros(codes, np.int8),
        place_uses=np.full((len(PLACES), items), LARGEST + 1, np.int32),
        place_where=np.zeros((len(PLACES), codes), bool),
        make_uses=np.full((len(MAKES), items), LARGEST + 1, np.int32),
        make_nearby=np.zeros((len(MAKES), codes), bool),
    )
    for name, entry in recipes["collect"].items():
        code = _position("material", name, MATERIALS)
        tables.require[code] = _amounts(entry.get("require", {}))
        tables.receive[code] = _amounts(entry.get("receive", {}))
        tables.chance[code] = checks.probability("probability", entry.get("probability", 1.0))
        tables.leaves[code] = _position("material", entry["leaves"], MATERIALS)
    for name, entry in recipes["place"].items():
        row = _position("place", name, PLACES)
        tables.place_uses[row] = _amounts(entry["uses"])
        for material in entry["where"]:
            tables.place_where[row, _position("material", material, MATERIALS)] = True
    for name, entry in recipes["make"].items():
        row = _position("tool", name, MAKES)
        tables.make_uses[row] = _amounts(entry["uses"])
        for material in entry["nearby"]:
            tables.make_nearby[row, _position("material", material, MATERIALS)] = True
    return tables


def _position(kind: str, name: Any, names: tuple[str, ...]) -> int:
    if not isinstance(name, str) or name not in names:
        raise errors.unknown(kind, name, names)
    return names.index(name)


def _amounts(entry: Mapping[str, Any]) -> np.ndarray:
    row = np.zeros(NUM_ITEMS, np.int32)
    for name, amount in entry.items():
        row[_position("item", name, ITEMS)] = checks.whole(name, amount, 0, LARGEST)
    return row
