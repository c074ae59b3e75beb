"""Reinforcement learning with an agents axis: actors, critics and learners as pure functions.

``network_for(env)`` gives the networks of one agent, ``ppo(env, network)`` an
``Algorithm(init, step)`` that ``simulate`` and ``rollout`` drive; ``initialize`` makes parameters
that agents share or own. ``q_network_for(env)`` and ``sac(env, network)`` are their counterparts
for learners that replay, ``off_policy`` the loop around them. ``evaluate`` plays whole episodes,
``evaluation`` does at fixed intervals of a training.
Importing this room imports distrax, rlax, flashbax, flax and jumanji, which takes seconds.
"""

from jaxswarm.rl import bayesian, hammer, networked
from jaxswarm.rl.collect import Acting, Finished, Transition, Worlds
from jaxswarm.rl.evaluation import Evaluation, evaluate, evaluation, policy
from jaxswarm.rl.heads import Head, categorical, categoricals, gaussian, head_of, squashed_gaussian
from jaxswarm.rl.networks import (
    Network,
    actor_critic,
    features_of,
    initialize,
    network_for,
    over_agents,
)
from jaxswarm.rl.off_policy import (
    Learner,
    OffPolicyInfo,
    OffPolicyState,
    Playing,
    off_policy,
)
from jaxswarm.rl.ppo import PPOInfo, PPOParameters, PPOState, ppo
from jaxswarm.rl.q_networks import QNetwork, q_network, q_network_for
from jaxswarm.rl.replay import Experience, Replay, fading, uniform
from jaxswarm.rl.returns import advantages
from jaxswarm.rl.sac import SACLearner, SACParameters, sac, sac_learner
from jaxswarm.rl.stac import (
    STACLearner,
    STACParameters,
    averaged,
    stac,
    stac_learner,
    stac_network_for,
)
from jaxswarm.rl.symphony import (
    SymphonyLearner,
    SymphonyParameters,
    symphony,
    symphony_learner,
    symphony_network_for,
)

__all__ = [
    "Acting",
    "Evaluation",
    "Experience",
    "Finished",
    "Head",
    "Learner",
    "Network",
    "OffPolicyInfo",
    "OffPolicyState",
    "PPOInfo",
    "PPOParameters",
    "PPOState",
    "Playing",
    "QNetwork",
    "Replay",
    "SACLearner",
    "SACParameters",
    "STACLearner",
    "STACParameters",
    "SymphonyLearner",
    "SymphonyParameters",
    "Transition",
    "Worlds",
    "actor_critic",
    "advantages",
    "bayesian",
    "averaged",
    "categorical",
    "categoricals",
    "evaluate",
    "evaluation",
    "fading",
    "features_of",
    "gaussian",
    "hammer",
    "head_of",
    "initialize",
    "network_for",
    "networked",
    "off_policy",
    "over_agents",
    "policy",
    "ppo",
    "q_network",
    "q_network_for",
    "sac",
    "sac_learner",
    "squashed_gaussian",
    "stac",
    "stac_learner",
    "stac_network_for",
    "symphony",
    "symphony_learner",
    "symphony_network_for",
    "uniform",
]
