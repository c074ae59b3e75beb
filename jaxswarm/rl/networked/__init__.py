"""Actor–critics of agents with private rewards who tell their neighbours what they believe.

:func:`networked_actor_critic` is the published algorithm with linear critics on finite games that
:func:`solve` and :func:`limit` answer exactly; :func:`networked_ppo` the same idea around PPO,
:func:`networked_sac` around SAC.
"""

from jaxswarm.rl.networked.games import MarkovGame, Solution, dilemma, random_game, solve
from jaxswarm.rl.networked.linear import (
    Features,
    NetworkedInfo,
    NetworkedState,
    Rates,
    additive_features,
    limit,
    networked_actor_critic,
    random_features,
)
from jaxswarm.rl.networked.policies import Policies, product_policies
from jaxswarm.rl.networked.ppo import (
    NetworkedPPOInfo,
    NetworkedPPOState,
    networked_parameters,
    networked_ppo,
)
from jaxswarm.rl.networked.sac import NetworkedSACInfo, NetworkedSACState, networked_sac

__all__ = [
    "Features",
    "MarkovGame",
    "NetworkedInfo",
    "NetworkedPPOInfo",
    "NetworkedPPOState",
    "NetworkedSACInfo",
    "NetworkedSACState",
    "NetworkedState",
    "Policies",
    "Rates",
    "Solution",
    "additive_features",
    "dilemma",
    "limit",
    "networked_actor_critic",
    "networked_parameters",
    "networked_ppo",
    "networked_sac",
    "product_policies",
    "random_features",
    "random_game",
    "solve",
]
