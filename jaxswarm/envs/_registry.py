"""The environments of this package by name, and their registration with jumanji."""

from jumanji.registration import register as register_in_jumanji
from jumanji.registration import registered_environments

ENVIRONMENTS = {
    "Aloha-v0": "jaxswarm.envs.aloha:Aloha",
    "CaveEscape-v0": "jaxswarm.envs.maze:CaveEscape",
    "CoordinationGame-v0": "jaxswarm.envs.coordination_game:CoordinationGame",
    "CorridorMaze-v0": "jaxswarm.envs.corridor_maze:CorridorMaze",
    "CoverageEnergy-v0": "jaxswarm.envs.spread:CoverageEnergy",
    "DeepSeaTreasure-v0": "jaxswarm.envs.deep_sea_treasure:DeepSeaTreasure",
    "Donations-v0": "jaxswarm.envs.donations:Donations",
    "FeedEnv-v0": "jaxswarm.envs.feed:FeedEnv",
    "LiveFeedEnv-v0": "jaxswarm.envs.feed:LiveFeedEnv",
    "MultiAgentCrafter-v0": "jaxswarm.envs.crafter:MultiAgentCrafter",
    "Pendulum-v0": "jaxswarm.envs.pendulum:Pendulum",
    "Porters-v0": "jaxswarm.envs.porters:Porters",
    "RiskyPointMass-v0": "jaxswarm.envs.risky_point_mass:RiskyPointMass",
    "SearchAndRescue-v0": "jaxswarm.envs.search_and_rescue:SearchAndRescue",
    "SimpleSpread-v0": "jaxswarm.envs.spread:SimpleSpread",
    "SimpleTag-v0": "jaxswarm.envs.tag:SimpleTag",
    "SumGuessing-v0": "jaxswarm.envs.sum_guessing:SumGuessing",
    "Flocking-v0": "jaxswarm.envs.swarmbench:Flocking",
    "Foraging-v0": "jaxswarm.envs.swarmbench:Foraging",
    "Pursuit-v0": "jaxswarm.envs.swarmbench:Pursuit",
    "Synchronization-v0": "jaxswarm.envs.swarmbench:Synchronization",
    "Theatre-v0": "jaxswarm.envs.theatre:Theatre",
    "Transport-v0": "jaxswarm.envs.swarmbench:Transport",
    "TwoObjectiveGrid-v0": "jaxswarm.envs.two_objectives:TwoObjectiveGrid",
}
"""Name -> entry point ``module:class`` of every environment of this package."""


def register() -> list[str]:
    """Add all environments of this package to jumanji's registry.

    Afterwards ``jumanji.make("jaxswarm.SimpleSpread-v0")`` works (jumanji's names allow no slash).
    A second call has no effect.

    Returns:
        The registered names.
    """
    names = []
    for name, entry_point in ENVIRONMENTS.items():
        full = f"jaxswarm.{name}"
        if full not in registered_environments():
            register_in_jumanji(full, entry_point=entry_point)
        names.append(full)
    return names
