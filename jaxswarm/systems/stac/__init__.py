"""STAC: an actor-critic whose pessimism is the standard deviation of one distributional critic."""

from jaxswarm.systems.stac._stac import (
    STACHyperparameters,
    STACState,
    critic_distribution,
    mean_action_network,
    stac,
    stac_learner,
    stac_network_for,
)

__all__ = [
    "STACHyperparameters",
    "STACState",
    "critic_distribution",
    "mean_action_network",
    "stac",
    "stac_learner",
    "stac_network_for",
]
