"""Rewards of generated responses by exact match, and the pass rate of a model.

Shapes: ``Q`` questions, ``G`` responses to each, ``T`` tokens of a response.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.data import verifiable
from jaxswarm.models.transformer import Completions, LanguageModel, generate
from jaxswarm.types import ArrayLike, Key, Params

RewardFn = Callable[[verifiable.Problems, Completions], jax.Array]
"""``reward(problems, completions) -> float[Q, G]``."""


def exact_match_reward(separator: int) -> RewardFn:
    """Reward 1 for a response whose last line is the answer, 0 for others and unfinished ones.

    Args:
        separator: token of the newline between steps.

    Raises:
        ValueError: for a token that is no whole number.
    """
    separator = checks.whole("separator", separator)

    def reward(problems: verifiable.Problems, completions: Completions) -> jax.Array:
        right = verifiable.exact_match(
            completions.tokens,
            completions.mask,
            problems.answers,
            problems.answer_lengths,
            separator=separator,
        )
        return right.astype(jnp.float32)

    return reward


def pass_rate(
    key: Key,
    model: LanguageModel,
    params: Params,
    problems: verifiable.Problems,
    *,
    separator: int,
    max_new_tokens: int,
    num_samples: int = 1,
    temperature: ArrayLike = 1.0,
) -> jax.Array:
    """Share of sampled responses whose last line is the answer (pass@1).

    Args:
        key: consumed.
        model: of one agent.
        params: its parameters.
        problems: ``Q`` questions.
        separator: token of the newline between steps.
        max_new_tokens: ``T``.
        num_samples: ``G`` responses to each question.
        temperature: of sampling; 0 takes the most probable tokens.

    Returns:
        ``float32[]`` in ``[0, 1]``.

    Raises:
        ValueError: as :func:`generate`, or for what are no problems.
    """
    checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
    completions = generate(
        key,
        model,
        params,
        problems.prompts,
        problems.prompt_mask,
        max_new_tokens=max_new_tokens,
        num_samples=checks.whole("num_samples", num_samples, 1),
        temperature=temperature,
    )
    return jnp.mean(exact_match_reward(separator)(problems, completions))
