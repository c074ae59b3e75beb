"""Fine-tuning of flow models by rewards: AC-Flow and its baselines.

``ac_flow(model, reward)`` gives ``(init, step)`` for any flow model of
:mod:`jaxswarm.models.flow`; ``decentralized(algorithm, gossip)`` runs one for each agent, which
exchange their parameters by any gossip rule.
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
from jaxswarm.generative._fine_tuning import (
    FineTuningInfo,
    FineTuningState,
    Request,
    critic_error,
    weighted_loss,
)
from jaxswarm.generative._rewards import (
    SHAPINGS,
    RewardStatistics,
    check_rewards,
    reward_statistics,
    shape_rewards,
    update_statistics,
)
from jaxswarm.generative._weights import (
    clip_advantages,
    exponential_weights,
    function_weights,
    top_share_weights,
)

__all__ = [
    "SHAPINGS",
    "Critic",
    "CriticMLP",
    "DecentralizedInfo",
    "DecentralizedState",
    "FineTuningInfo",
    "FineTuningState",
    "Request",
    "RewardStatistics",
    "ac_flow",
    "check_rewards",
    "clip_advantages",
    "critic_error",
    "critic_from_network",
    "decentralized",
    "exponential_weights",
    "fine_tuned_velocity",
    "function_weights",
    "naive_actor_critic",
    "optimal_values",
    "orw_cfm",
    "reward_ranked",
    "reward_statistics",
    "shape_rewards",
    "top_share_weights",
    "update_statistics",
    "weighted_loss",
]
