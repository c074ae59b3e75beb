"""Reinforcement learning with an agents axis: PPO, SAC, value decomposition, actor–critics.

``network_for(env)`` makes the networks of one agent, ``ppo(env, network)`` an
``Algorithm(init, step)`` that ``simulate`` and ``rollout`` drive; ``initialize`` draws weights that
agents share or own. ``q_network_for(env)`` and ``sac(env, network)`` are their counterparts for
off-policy learning; ``off_policy`` is the loop around such learners. ``evaluate`` plays whole
episodes, ``evaluator`` does so at fixed intervals of a training. ``value_decomposition`` is for
teams with discrete actions (VDN, QMIX, MO-MIX); ``pareto`` measures fronts of vector returns.
:mod:`~jaxswarm.rl.tabular` has finite episodic processes, exact planning and optimistic critics,
:mod:`~jaxswarm.rl.offline` learners from recorded trajectories, :mod:`~jaxswarm.rl.constrained`
learners from logged sessions with several responses, :mod:`~jaxswarm.rl.curriculum` curricula of
levels (PLR, ACCEL, DRED).

**Randomness.** Environments carry their random keys inside their states, as jumanji's do. A
training run therefore depends on two keys: that of ``init``, from which the environments draw
initial states and transitions, and that of each ``step``, from which agents draw actions, batches
and minibatches. Agent ``i`` draws from ``fold_in(key, i)``.

**Names.** ``params`` are weights of networks, ``env_params`` the physics of an environment,
``hyperparameters`` (``hp``) the numbers of a learner.

Importing this package imports distrax, rlax, flashbax, flax and jumanji, which takes seconds.
"""

from jaxswarm.rl import (
    constrained,
    curriculum,
    networked,
    offline,
    pareto,
    tabular,
    value_decomposition,
)
from jaxswarm.rl._evaluation import Evaluation, evaluate, evaluator, policy
from jaxswarm.rl._off_policy import (
    Learner,
    OffPolicyInfo,
    OffPolicyRunner,
    OffPolicyState,
    off_policy,
)
from jaxswarm.rl._ppo import PPOInfo, PPOState, ippo, mappo, ppo, weights_of_agents
from jaxswarm.rl._sac import SACHyperparameters, SACState, sac, sac_learner
from jaxswarm.rl._td3 import TD3Hyperparameters, TD3State, td3, td3_learner
from jaxswarm.rl.features import feature_slices, features_of
from jaxswarm.rl.heads import Head, categorical, categoricals, gaussian, head_of, squashed_gaussian
from jaxswarm.rl.message_passing import JointAgent, message_passing_network
from jaxswarm.rl.networks import (
    Network,
    PolicyDistribution,
    actor_critic_network,
    distribution_of,
    initialize,
    network_for,
    over_agents,
)
from jaxswarm.rl.on_policy import OnPolicyRunner, PolicyCarry, Transition
from jaxswarm.rl.ppo_loss import PPOHyperparameters
from jaxswarm.rl.q_networks import QNetwork, q_network, q_network_for
from jaxswarm.rl.replay import Experience, Replay, fading_replay, uniform_replay
from jaxswarm.rl.returns import advantages
from jaxswarm.rl.runner import EnvRunner, EnvStep, EpisodeStats, RunnerState
from jaxswarm.rl.value_decomposition import independent_q, mo_mix, qmix, value_network_for, vdn

__all__ = [
    "EnvRunner",
    "EnvStep",
    "EpisodeStats",
    "Evaluation",
    "Experience",
    "Head",
    "JointAgent",
    "Learner",
    "Network",
    "OffPolicyInfo",
    "OffPolicyRunner",
    "OffPolicyState",
    "OnPolicyRunner",
    "PPOHyperparameters",
    "PPOInfo",
    "PPOState",
    "PolicyCarry",
    "PolicyDistribution",
    "QNetwork",
    "Replay",
    "RunnerState",
    "SACHyperparameters",
    "SACState",
    "TD3Hyperparameters",
    "TD3State",
    "Transition",
    "actor_critic_network",
    "advantages",
    "categorical",
    "categoricals",
    "constrained",
    "curriculum",
    "distribution_of",
    "evaluate",
    "evaluator",
    "fading_replay",
    "feature_slices",
    "features_of",
    "gaussian",
    "head_of",
    "independent_q",
    "initialize",
    "ippo",
    "mappo",
    "message_passing_network",
    "mo_mix",
    "network_for",
    "networked",
    "off_policy",
    "offline",
    "over_agents",
    "pareto",
    "policy",
    "ppo",
    "q_network",
    "q_network_for",
    "qmix",
    "sac",
    "sac_learner",
    "squashed_gaussian",
    "tabular",
    "td3",
    "td3_learner",
    "uniform_replay",
    "value_decomposition",
    "value_network_for",
    "vdn",
    "weights_of_agents",
]
