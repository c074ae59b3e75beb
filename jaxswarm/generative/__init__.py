"""Generative models of many agents: training of flows, experts under a router, fine-tuning.

The models themselves (paths, velocities, samplers, metrics) are ``jaxswarm.models.flow``.
``generative.flow_matching(model, optimizer)`` trains one; stack states with ``vmap`` for many.
``generative.experts(model, generative.cluster(features, K))`` trains one per cluster of the data.
``generative.ac_flow(model, reward)`` fine-tunes a trained one by rewards, like its baselines;
``generative.dpo(model, optimizer, beta=…)`` fine-tunes one by pairs of better and worse samples.
``generative.decentralized(algorithm, gossip)`` runs one learner for each agent, which exchange
parameters by any gossip rule.
"""

from jaxswarm.generative._ac_flow import (
    ac_flow,
    naive_actor_critic,
    orw_cfm,
    reward_ranked,
)
from jaxswarm.generative._closed_form import fine_tuned_velocity, optimal_values
from jaxswarm.generative._critic import Critic, CriticMLP, critic_from_network
from jaxswarm.generative._decentralized import (
    DecentralizedInfo,
    DecentralizedState,
    decentralized,
)
from jaxswarm.generative._distillation import Distillation, distillation
from jaxswarm.generative._ensemble import Ensemble, ensemble
from jaxswarm.generative._experts import Experts, ExpertsInfo, ExpertsState, experts
from jaxswarm.generative._fine_tuning import (
    FineTuningInfo,
    FineTuningState,
    Request,
)
from jaxswarm.generative._flow_matching import FlowInfo, FlowState, flow_matching
from jaxswarm.generative._losses import critic_error, weighted_loss
from jaxswarm.generative._partition import cluster
from jaxswarm.generative._preferences import (
    PreferenceInfo,
    Preferences,
    PreferenceState,
    dpo,
    preference_loss,
    preference_pairs,
)
from jaxswarm.generative._rewards import (
    SHAPINGS,
    RewardStatistics,
    check_rewards,
    reward_statistics,
    shape_rewards,
    update_statistics,
)
from jaxswarm.generative._router import MODES, Router, expert_weights, router, router_loss
from jaxswarm.generative._weights import (
    clip_advantages,
    exponential_weights,
    function_weights,
    top_share_weights,
)

__all__ = [
    "Critic",
    "CriticMLP",
    "DecentralizedInfo",
    "DecentralizedState",
    "Distillation",
    "Ensemble",
    "Experts",
    "ExpertsInfo",
    "ExpertsState",
    "FineTuningInfo",
    "FineTuningState",
    "FlowInfo",
    "FlowState",
    "MODES",
    "PreferenceInfo",
    "PreferenceState",
    "Preferences",
    "Request",
    "RewardStatistics",
    "Router",
    "SHAPINGS",
    "ac_flow",
    "check_rewards",
    "clip_advantages",
    "cluster",
    "critic_error",
    "critic_from_network",
    "decentralized",
    "dpo",
    "distillation",
    "ensemble",
    "expert_weights",
    "experts",
    "exponential_weights",
    "fine_tuned_velocity",
    "flow_matching",
    "function_weights",
    "naive_actor_critic",
    "optimal_values",
    "orw_cfm",
    "preference_loss",
    "preference_pairs",
    "reward_ranked",
    "reward_statistics",
    "router",
    "router_loss",
    "shape_rewards",
    "top_share_weights",
    "update_statistics",
    "weighted_loss",
]
