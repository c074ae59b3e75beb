"""Multi-Agent Crafter: mining, crafting and sharing for a diamond on a map of Crafter."""

from jaxswarm.envs.crafter.creatures import daylight
from jaxswarm.envs.crafter.environment import VIEW, MultiAgentCrafter
from jaxswarm.envs.crafter.generation import REQUIRED, generate, gradient_noise, obtainable
from jaxswarm.envs.crafter.rules import (
    ACHIEVEMENTS,
    ACTIONS,
    DIRECTIONS,
    ITEMS,
    MATERIALS,
    NUM_CODES,
    SHAREABLE,
    TEAM_RECIPES,
    Rules,
    rules_of,
)
from jaxswarm.envs.crafter.types import CrafterObservation, CrafterParams, CrafterWorld, Herd

__all__ = [
    "ACHIEVEMENTS",
    "ACTIONS",
    "DIRECTIONS",
    "ITEMS",
    "MATERIALS",
    "NUM_CODES",
    "REQUIRED",
    "SHAREABLE",
    "TEAM_RECIPES",
    "VIEW",
    "CrafterObservation",
    "CrafterParams",
    "CrafterWorld",
    "Herd",
    "MultiAgentCrafter",
    "Rules",
    "daylight",
    "generate",
    "gradient_noise",
    "obtainable",
    "rules_of",
]
