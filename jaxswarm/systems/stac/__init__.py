"""STAC: an actor-critic whose pessimism is the standard deviation of one distributional critic."""

from jaxswarm.systems.stac._stac import (
    STACHyperparameters,
    STACLearner,
    averaged,
    critic_law,
    stac,
    stac_learner,
    stac_network_for,
)

__all__ = [
    "STACHyperparameters",
    "STACLearner",
    "averaged",
    "critic_law",
    "stac",
    "stac_learner",
    "stac_network_for",
]
