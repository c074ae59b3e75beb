"""Reinforcement learning with an agents axis: actors, critics and learners as pure functions.

``network_for(env)`` gives the networks of one agent, ``ppo(env, network)`` an
``Algorithm(init, step)`` that ``simulate`` and ``rollout`` drive; ``initialize`` makes parameters
that agents share or own. ``evaluate`` plays whole episodes. Importing this room imports distrax,
rlax, flax and jumanji, which takes seconds.
"""

from jaxswarm.rl import bayesian, networked
from jaxswarm.rl.collect import Acting, Finished, Transition, Worlds, evaluate, policy
from jaxswarm.rl.heads import Head, categorical, categoricals, gaussian, head_of, squashed_gaussian
from jaxswarm.rl.networks import (
    Network,
    actor_critic,
    features_of,
    initialize,
    network_for,
    over_agents,
)
from jaxswarm.rl.ppo import PPOInfo, PPOParameters, PPOState, ppo
from jaxswarm.rl.returns import advantages

__all__ = [
    "Acting",
    "Finished",
    "Head",
    "Network",
    "PPOInfo",
    "PPOParameters",
    "PPOState",
    "Transition",
    "Worlds",
    "actor_critic",
    "advantages",
    "bayesian",
    "categorical",
    "categoricals",
    "evaluate",
    "features_of",
    "gaussian",
    "head_of",
    "initialize",
    "network_for",
    "networked",
    "over_agents",
    "policy",
    "ppo",
    "squashed_gaussian",
]
