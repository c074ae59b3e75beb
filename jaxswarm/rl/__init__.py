"""Reinforcement learning with an agents axis: actors, critics and learners as pure functions.

``network_for(env)`` gives the networks of one agent, ``ppo(env, network)`` an
``Algorithm(init, step)`` that ``simulate`` and ``rollout`` drive; ``initialize`` makes parameters
that agents share or own. ``q_network_for(env)`` and ``sac(env, network)`` are their counterparts
for learners that replay, ``off_policy`` the loop around them. ``evaluate`` plays whole episodes,
``evaluation`` does at fixed intervals of a training.
Importing this room imports distrax, rlax, flashbax, flax and jumanji, which takes seconds.
"""

from jaxswarm.rl import networked
from jaxswarm.rl._evaluation import Evaluation, evaluate, evaluation, policy
from jaxswarm.rl._off_policy import (
    Learner,
    OffPolicyInfo,
    OffPolicyState,
    Playing,
    off_policy,
)
from jaxswarm.rl._ppo import PPOHyperparameters, PPOInfo, PPOState, ppo
from jaxswarm.rl._sac import SACHyperparameters, SACLearner, sac, sac_learner
from jaxswarm.rl.collect import Acting, Finished, Transition, Worlds
from jaxswarm.rl.heads import Head, categorical, categoricals, gaussian, head_of, squashed_gaussian
from jaxswarm.rl.networks import (
    Network,
    actor_critic,
    features_of,
    initialize,
    network_for,
    over_agents,
)
from jaxswarm.rl.q_networks import QNetwork, q_network, q_network_for
from jaxswarm.rl.replay import Experience, Replay, fading, uniform
from jaxswarm.rl.returns import advantages

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
    "PPOHyperparameters",
    "PPOState",
    "Playing",
    "QNetwork",
    "Replay",
    "SACLearner",
    "SACHyperparameters",
    "Transition",
    "Worlds",
    "actor_critic",
    "advantages",
    "categorical",
    "categoricals",
    "evaluate",
    "evaluation",
    "fading",
    "features_of",
    "gaussian",
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
    "uniform",
]
