"""Language agents: supervised fine-tuning, policy gradients and preference losses.

Models are ``jaxswarm.models.transformer`` (``language.generate`` is its sampler), tasks
``jaxswarm.data.verifiable``. ``language.fine_tune`` makes a base model with a wanted pass rate,
``language.grpo(model, optimizer, reward, …)`` trains it by rewards, ``language.independent`` runs a
learner for each of ``N`` agents.
"""

from jaxswarm.language._grpo import (
    GRPOInfo,
    GRPOState,
    Rollouts,
    grpo,
    rollout_log_probs,
    sample_rollouts,
)
from jaxswarm.language._independent import independent
from jaxswarm.language._losses import (
    GRPOLoss,
    dpo_loss,
    group_advantages,
    grpo_loss,
    reinforce_loss,
    response_quadratic_loss,
    step_quadratic_loss,
)
from jaxswarm.language._rewards import RewardFn, exact_match_reward, pass_rate
from jaxswarm.language._sft import FineTuned, SFTInfo, SFTState, fine_tune, sft, sft_loss
from jaxswarm.models.transformer import generate

__all__ = [
    "FineTuned",
    "GRPOInfo",
    "GRPOLoss",
    "GRPOState",
    "RewardFn",
    "Rollouts",
    "SFTInfo",
    "SFTState",
    "dpo_loss",
    "exact_match_reward",
    "fine_tune",
    "generate",
    "group_advantages",
    "grpo",
    "grpo_loss",
    "independent",
    "pass_rate",
    "reinforce_loss",
    "response_quadratic_loss",
    "rollout_log_probs",
    "sample_rollouts",
    "sft",
    "sft_loss",
    "step_quadratic_loss",
]
