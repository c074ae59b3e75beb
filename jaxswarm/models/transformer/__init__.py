"""Causal transformers for many agents: cache, sampling, log-probabilities, adapters, families.

``transformer.from_config(transformer.sized("27k", vocab_size))`` gives a :class:`LanguageModel`,
pure functions of one agent; ``transformer.generate`` samples completions, which
``completion_log_probs`` scores; ``transformer.beam_search`` finds the most probable one;
``step_log_probs`` sums over reasoning steps. ``transformer.lora`` adapts a frozen model,
``transformer.families`` holds agents of different sizes; ``transformer.serving`` answers many
requests with a choice of accelerations. Texts become tokens in
``jaxswarm.data.tokenizers``.
"""

from jaxswarm.models.transformer import serving
from jaxswarm.models.transformer._beam import Beams, beam_search
from jaxswarm.models.transformer._config import DTYPES, SIZES, Config, sized
from jaxswarm.models.transformer._families import Families, families
from jaxswarm.models.transformer._generate import (
    END,
    PAD,
    Completions,
    generate,
    sample_tokens,
)
from jaxswarm.models.transformer._log_probs import (
    completion_log_probs,
    completion_outputs,
    log_probs,
    step_ids,
    step_log_probs,
    token_log_probs,
)
from jaxswarm.models.transformer._lora import TARGETS, Lora, adapted, lora
from jaxswarm.models.transformer._model import (
    LanguageModel,
    check_model,
    check_tokens,
    from_config,
)
from jaxswarm.models.transformer._network import Cache, Network, Outputs

__all__ = [
    "DTYPES",
    "END",
    "PAD",
    "SIZES",
    "TARGETS",
    "Beams",
    "Cache",
    "Completions",
    "Config",
    "Families",
    "LanguageModel",
    "Lora",
    "Network",
    "Outputs",
    "adapted",
    "beam_search",
    "check_model",
    "check_tokens",
    "completion_log_probs",
    "completion_outputs",
    "families",
    "from_config",
    "generate",
    "log_probs",
    "lora",
    "sample_tokens",
    "serving",
    "sized",
    "step_ids",
    "step_log_probs",
    "token_log_probs",
]
