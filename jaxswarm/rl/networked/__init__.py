"""Actor–critics of networked agents with private rewards: critics are exchanged by gossip.

:func:`networked_actor_critic` is the published algorithm with linear critics, on finite games that
:func:`solve` and :func:`critic_fixed_point` solve exactly; :func:`networked_ppo` and
:func:`networked_sac` apply the same idea to PPO and SAC.
"""

from jaxswarm.rl.networked.games import MarkovGame, Solution, dilemma, random_game, solve
from jaxswarm.rl.networked.linear import (
    Features,
    NetworkedInfo,
    NetworkedState,
    Rates,
    additive_features,
    critic_fixed_point,
    networked_actor_critic,
    random_features,
)
from jaxswarm.rl.networked.policies import Policies, product_policies
from jaxswarm.rl.networked.ppo import (
    NetworkedPPOInfo,
    NetworkedPPOState,
    initial_params,
    networked_ppo,
)
from jaxswarm.rl.networked.reward_model import RewardModelState
from jaxswarm.rl.networked.sac import (
    NetworkedLearnerState,
    NetworkedSACInfo,
    NetworkedSACState,
    networked_sac,
)

__all__ = [
    "Features",
    "MarkovGame",
    "NetworkedInfo",
    "NetworkedLearnerState",
    "NetworkedPPOInfo",
    "NetworkedPPOState",
    "NetworkedSACInfo",
    "NetworkedSACState",
    "NetworkedState",
    "Policies",
    "Rates",
    "RewardModelState",
    "Solution",
    "additive_features",
    "critic_fixed_point",
    "dilemma",
    "initial_params",
    "networked_actor_critic",
    "networked_ppo",
    "networked_sac",
    "product_policies",
    "random_features",
    "random_game",
    "solve",
]
