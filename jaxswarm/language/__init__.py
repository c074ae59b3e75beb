"""Language agents: supervised fine-tuning, policy gradients and preference losses.

Models are ``jaxswarm.models.transformer`` (``language.generate`` is its sampler), tasks
``jaxswarm.data.verifiable``. ``language.fine_tune`` makes a base model with a wanted pass rate,
``language.grpo(model, optimizer, reward, …)`` trains it by rewards, ``language.independent`` runs a
learner for each of ``N`` agents. ``language.fit_critic`` and ``language.step_dapo`` learn from the
values of reasoning steps, ``language.ppo`` with a critic that is trained along. ``TokenEnv`` makes
a task an environment of ``jaxswarm.envs``, which is imported on first use.
"""

from typing import TYPE_CHECKING, Any

from jaxswarm.language._critic import (
    Critic,
    ValueFn,
    fit_critic,
    oracle_critic,
    shuffled_critic,
    step_outputs,
    value_params,
    with_value_head,
)
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
    value_loss,
)
from jaxswarm.language._offline import OfflineInfo, OfflineState, dpo, response_quadratic
from jaxswarm.language._ppo import PPOInfo, PPOState, ppo
from jaxswarm.language._rewards import RewardFn, exact_match_reward, pass_rate
from jaxswarm.language._sft import FineTuned, SFTInfo, SFTState, fine_tune, sft, sft_loss
from jaxswarm.language._step_dapo import (
    ScoredSteps,
    rollout_step_log_probs,
    score_steps,
    step_dapo,
)
from jaxswarm.language._steps import StepRollouts, response_rows, sample_steps, step_advantages
from jaxswarm.models.transformer import generate

if TYPE_CHECKING:
    from jaxswarm.language._env import TokenEnv, TokenObservation

__all__ = [
    "Critic",
    "FineTuned",
    "GRPOInfo",
    "GRPOLoss",
    "GRPOState",
    "OfflineInfo",
    "OfflineState",
    "PPOInfo",
    "PPOState",
    "RewardFn",
    "Rollouts",
    "SFTInfo",
    "SFTState",
    "ScoredSteps",
    "StepRollouts",
    "TokenEnv",
    "TokenObservation",
    "ValueFn",
    "dpo",
    "dpo_loss",
    "exact_match_reward",
    "fine_tune",
    "fit_critic",
    "generate",
    "group_advantages",
    "grpo",
    "grpo_loss",
    "independent",
    "oracle_critic",
    "pass_rate",
    "ppo",
    "reinforce_loss",
    "response_quadratic",
    "response_quadratic_loss",
    "response_rows",
    "rollout_log_probs",
    "rollout_step_log_probs",
    "sample_rollouts",
    "sample_steps",
    "score_steps",
    "sft",
    "sft_loss",
    "shuffled_critic",
    "step_advantages",
    "step_dapo",
    "step_outputs",
    "step_quadratic_loss",
    "value_loss",
    "value_params",
    "with_value_head",
]


def __getattr__(name: str) -> Any:
    if name in ("TokenEnv", "TokenObservation"):
        from jaxswarm.language import _env

        return getattr(_env, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
