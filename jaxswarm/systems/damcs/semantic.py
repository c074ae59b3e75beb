"""Semantic memory: the recipe table, and what is still missing for a goal.

Shapes: inventories ``int32[16]`` (columns ``crafter.ITEMS``); leading axes are allowed.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.crafter import ITEMS, Rules
from jaxswarm.systems.damcs.records import LongTermGoal

WOOD, STONE, COAL, IRON = (ITEMS.index(name) for name in ("wood", "stone", "coal", "iron"))
WOOD_PICKAXE, STONE_PICKAXE, IRON_PICKAXE = (
    ITEMS.index(f"{name}_pickaxe") for name in ("wood", "stone", "iron")
)


def requirements(rules: Rules) -> np.ndarray:
    """What each long-term goal takes from nothing but the goals before it, ``int32[7, 16]``.

    Args:
        rules: recipes of the environment, ``env.rules``.

    Raises:
        ValueError: if these are no recipes.
    """
    checks.instance("rules", rules, Rules, "env.rules")
    table = np.zeros((len(LongTermGoal), len(ITEMS)), np.int32)
    table_uses, furnace_uses = rules.place_uses[1], rules.place_uses[2]
    table[LongTermGoal.WOOD_PICKAXE] = table_uses + rules.make_uses[0]
    table[LongTermGoal.STONE_PICKAXE] = rules.make_uses[1]
    table[LongTermGoal.STONE_PICKAXE, WOOD_PICKAXE] = 1
    table[LongTermGoal.FURNACE] = furnace_uses
    table[LongTermGoal.IRON_PICKAXE] = rules.make_uses[2] + furnace_uses
    table[LongTermGoal.IRON_PICKAXE, STONE_PICKAXE] = 1
    table[LongTermGoal.DIAMOND, IRON_PICKAXE] = 1
    return np.minimum(table, 9)


def missing(table: np.ndarray, goal: jax.Array, inventory: jax.Array) -> jax.Array:
    """Amounts that an inventory lacks for a long-term goal, ``int32[..., 16]``.

    Args:
        table: from :func:`requirements`.
        goal: ``int32[...]``, index of :class:`LongTermGoal`.
        inventory: ``int32[..., 16]``.
    """
    return jnp.maximum(jnp.broadcast_to(jnp.asarray(table)[goal], inventory.shape) - inventory, 0)
