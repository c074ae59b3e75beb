"""Language agents: supervised fine-tuning, policy gradients and preference losses.

Models are ``jaxswarm.models.transformer`` (``language.generate`` is its sampler), tasks
``jaxswarm.data.verifiable``. ``language.fine_tune`` makes a base model with a wanted pass rate,
``language.grpo(model, optimizer, reward, …)`` trains it by rewards, ``language.independent`` runs a
learner for each of ``N`` agents. ``language.fit_critic`` and ``language.step_dapo`` learn from the
values of reasoning steps, ``language.ppo`` with a critic that is trained along. ``TokenEnv`` makes
a task an environment of ``jaxswarm.envs``, which is imported on first use.

``language.openai_compatible(base_url, model, …)`` is a language model of your own, on a local or
remote server, with retries, limits, token counts and a :class:`Tape` that replays a run;
``language.server`` serves a model of this package through the same protocol. No other part of the
package opens a connection.
"""

from typing import TYPE_CHECKING, Any

from jaxswarm.language._attempts import EndpointError
from jaxswarm.language._critic import (
    Critic,
    ValueFn,
    fit_critic,
    monte_carlo_values,
    oracle_critic,
    shuffled_critic,
    step_outputs,
    value_params,
    with_value_head,
)
from jaxswarm.language._endpoint import Endpoint, Generation, TextFn, Usage
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
from jaxswarm.language._openai_compatible import openai_compatible
from jaxswarm.language._ppo import PPOInfo, PPOState, ppo
from jaxswarm.language._rewards import RewardFn, exact_match_reward, pass_rate
from jaxswarm.language._sft import FineTuned, SFTInfo, SFTState, fine_tune, sft, sft_loss
from jaxswarm.language._step_dapo import (
    LOG_PARTITIONS,
    ScoredSteps,
    rollout_step_log_probs,
    score_steps,
    step_dapo,
)
from jaxswarm.language._steps import (
    StepRollouts,
    response_rows,
    sample_steps,
    state_ids,
    step_advantages,
)
from jaxswarm.language._tape import Tape
from jaxswarm.language._worker_calls import worker_calls
from jaxswarm.models.transformer import generate

if TYPE_CHECKING:
    from jaxswarm.language import server
    from jaxswarm.language._env import TokenEnv, TokenObservation

__all__ = [
    "LOG_PARTITIONS",
    "Critic",
    "Endpoint",
    "EndpointError",
    "FineTuned",
    "GRPOInfo",
    "GRPOLoss",
    "GRPOState",
    "Generation",
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
    "Tape",
    "TextFn",
    "TokenEnv",
    "TokenObservation",
    "Usage",
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
    "monte_carlo_values",
    "openai_compatible",
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
    "server",
    "sft",
    "sft_loss",
    "shuffled_critic",
    "state_ids",
    "step_advantages",
    "step_dapo",
    "step_outputs",
    "step_quadratic_loss",
    "value_loss",
    "value_params",
    "with_value_head",
    "worker_calls",
]


def __getattr__(name: str) -> Any:
    if name in ("TokenEnv", "TokenObservation"):
        from jaxswarm.language import _env

        return getattr(_env, name)
    if name == "server":
        import importlib

        return importlib.import_module("jaxswarm.language.server")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
