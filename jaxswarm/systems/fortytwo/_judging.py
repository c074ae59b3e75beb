"""Judging by a language model: prompts of two replies, verdicts in both orders, rationales.

Shapes: ``B`` pairs of replies, ``P`` tokens of a question, ``T`` of a reply, ``R`` of a rationale.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data import tokenizers
from jaxswarm.models.transformer import LanguageModel, check_model, generate
from jaxswarm.trust import ranking
from jaxswarm.types import ArrayLike, Key, Params


class JudgeFormat(NamedTuple):
    """Tokens of a judge's prompt: question, reply, ``between``, reply, and what is asked for.

    Attributes:
        between: stands between the two replies.
        direct: ends a prompt that asks for the verdict at once.
        reasoned: ends a prompt that asks for a rationale before the verdict.
        first: verdict that the first reply is better.
        second: verdict that the second reply is better.
        rationale_length: ``R``, largest number of tokens of a rationale.
    """

    between: int
    direct: int
    reasoned: int
    first: int
    second: int
    rationale_length: int


class Judgements(NamedTuple):
    """Verdicts of one judge in both orders of presentation.

    Attributes:
        verdicts: ``int32[B, 2]`` about ``(first, second)`` as they were given, ``FIRST``,
            ``SECOND`` or ``ABSTAIN``; entry 1 was found with the second reply shown first.
        num_tokens: ``int32[B, 2]``, generated tokens, the end token included.
        rationales: ``int32[B, 2, R + 2]``, all generated tokens.
    """

    verdicts: jax.Array
    num_tokens: jax.Array
    rationales: jax.Array


def judge_format(
    tokenizer: tokenizers.Tokenizer, *, rationale_length: int, marks: str = "/?!AB"
) -> JudgeFormat:
    """Choose the tokens of a judge's prompt.

    Args:
        tokenizer: whose vocabulary has a token for each mark.
        rationale_length: ``R >= 1``.
        marks: five different characters, in the order of the fields of :class:`JudgeFormat`.

    Raises:
        ValueError: for other marks, or marks outside the vocabulary.

    Example:
        >>> judge_format(tokenizers.character("abAB/?!"), rationale_length=2).first
        5
    """
    checks.instance("tokenizer", tokenizer, tokenizers.Tokenizer, "tokenizers.character('ab')")
    rationale_length = checks.whole("rationale_length", rationale_length, 1)
    checks.instance("marks", marks, str)
    if len(marks) != 5 or len(set(marks)) != 5:
        raise ValueError(f"marks: expected five different characters, got {marks!r}")
    between, direct, reasoned, first, second = (tokenizer.token(mark) for mark in marks)
    return JudgeFormat(between, direct, reasoned, first, second, rationale_length)


def judge_prompts(
    form: JudgeFormat,
    questions: ArrayLike,
    question_mask: ArrayLike,
    first: ArrayLike,
    first_mask: ArrayLike,
    second: ArrayLike,
    second_mask: ArrayLike,
    *,
    rationale: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """Join questions and two replies to a judge's prompts; runs inside ``jit``.

    Padding may stand anywhere, since models skip it.

    Args:
        form: of :func:`judge_format`.
        questions: ``int[B, P]``.
        question_mask: ``bool[B, P]``.
        first: ``int[B, T]``, replies without their end token.
        first_mask: ``bool[B, T]``.
        second: ``int[B, T]``.
        second_mask: ``bool[B, T]``.
        rationale: whether a rationale is asked for.

    Returns:
        ``(prompts int32[B, P + 2 T + 2], mask bool[B, P + 2 T + 2])``.

    Raises:
        ValueError: for shapes that do not fit.
    """
    checks.instance("form", form, JudgeFormat, "judge_format(tokenizer, rationale_length=4)")
    rationale = checks.flag("rationale", rationale)
    tokens, masks = [], []
    shape: tuple[int | None, ...] = (None, None)
    for name, value, mask in (
        ("questions", questions, question_mask),
        ("first", first, first_mask),
        ("second", second, second_mask),
    ):
        array = checks.wholes(name, value, shape=shape)
        tokens.append(jnp.asarray(array))
        masks.append(jnp.asarray(checks.mask(f"{name}_mask", mask, array.shape)))
        shape = (array.shape[0], None)
    batch = tokens[0].shape[0]
    seen = jnp.ones((batch, 1), bool)
    between = jnp.full((batch, 1), form.between, jnp.int32)
    asked = jnp.full((batch, 1), form.reasoned if rationale else form.direct, jnp.int32)
    prompts = [tokens[0], tokens[1], between, tokens[2], asked]
    return (
        jnp.concatenate(prompts, axis=1).astype(jnp.int32),
        jnp.concatenate([masks[0], masks[1], seen, masks[2], seen], axis=1),
    )


def judge(
    key: Key,
    model: LanguageModel,
    params: Params,
    form: JudgeFormat,
    questions: ArrayLike,
    question_mask: ArrayLike,
    first: ArrayLike,
    first_mask: ArrayLike,
    second: ArrayLike,
    second_mask: ArrayLike,
    *,
    rationale: bool = True,
    temperature: ArrayLike = 0.0,
) -> Judgements:
    """Let one language model compare pairs of replies, each pair in both orders.

    The verdict is the last token before the end. Any other token, or no end within the length,
    abstains, as do logits that are not finite under ``jit``.

    Args:
        key: consumed.
        model: of one judge; ``vmap`` over stacked parameters.
        params: its parameters.
        form: of :func:`judge_format`.
        questions: ``int[B, P]``.
        question_mask: ``bool[B, P]``.
        first: ``int[B, T]``, replies without their end token.
        first_mask: ``bool[B, T]``.
        second: ``int[B, T]``.
        second_mask: ``bool[B, T]``.
        rationale: generate up to ``R`` tokens before the verdict.
        temperature: of sampling; 0 takes the most probable tokens.

    Returns:
        Verdicts in both orders and what was generated.

    Raises:
        ValueError: for shapes that do not fit, or logits that are not finite.
    """
    checks.key(key)
    check_model(model)
    ahead = (questions, question_mask)
    one, two = (first, first_mask), (second, second_mask)
    straight = judge_prompts(form, *ahead, *one, *two, rationale=rationale)
    swapped = judge_prompts(form, *ahead, *two, *one, rationale=rationale)
    prompts, mask = (jnp.concatenate(parts) for parts in zip(straight, swapped, strict=True))
    length = (form.rationale_length if rationale else 0) + 2
    found = generate(
        key, model, params, prompts, mask, max_new_tokens=length, temperature=temperature
    )
    finite = jnp.all(jnp.isfinite(found.log_probs), axis=1)
    if not checks.is_traced(finite) and not np.asarray(finite).all():
        raise ValueError(
            f"params: expected finite logits, got NaN or infinity in {int((~finite).sum())} of "
            f"{finite.shape[0]} prompts"
        )
    place = jnp.maximum(found.lengths - 2, 0)[:, None]
    said = jnp.take_along_axis(found.tokens, place, axis=1)[:, 0]
    verdicts = ranking.verdicts_of(said, form.first, form.second)
    counts = found.finished & (found.lengths > 1) & finite
    verdicts = jnp.where(counts, verdicts, ranking.ABSTAIN).reshape(2, -1)
    both = jnp.stack([verdicts[0], -verdicts[1]], axis=1)
    generated = found.tokens.reshape(2, -1, length).swapaxes(0, 1)
    return Judgements(both, found.lengths.reshape(2, -1).T, generated)
