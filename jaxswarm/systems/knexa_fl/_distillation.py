"""Distillation of texts: the student's loss, and texts chosen or scored by all agents.

Shapes: ``N`` agents, ``B`` questions, ``P`` tokens of a question, ``T`` of a response, ``V`` tokens
of a vocabulary.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data import verifiable
from jaxswarm.models import transformer
from jaxswarm.types import ArrayLike, Params


class Transfer(NamedTuple):
    """Questions of the public transfer set with a teacher's responses.

    Attributes:
        prompts: ``int32[B, P]``.
        prompt_mask: ``bool[B, P]``.
        tokens: ``int32[B, T]``, responses in the student's vocabulary.
        mask: ``bool[B, T]``; all false where there is no teacher.
        probabilities: ``float32[B, T, V]``, targets instead of the tokens; ``None`` for the tokens.
    """

    prompts: jax.Array
    prompt_mask: jax.Array
    tokens: jax.Array
    mask: jax.Array
    probabilities: jax.Array | None = None


def distillation_loss(
    model: transformer.LanguageModel,
    params: Params,
    own: verifiable.Problems,
    transfer: Transfer,
    alpha: ArrayLike,
) -> jax.Array:
    """Loss of a student: ``(1 − α) · own data + α · cross-entropy of the teacher's text``.

    Args:
        model: of one agent.
        params: its parameters.
        own: demonstrations of its private data.
        transfer: the teacher's responses; without any token of it that part is 0.
        alpha: ``α`` in ``[0, 1]``.

    Returns:
        Nats per token, a scalar.

    Raises:
        ValueError: for ``α`` out of range, an empty transfer set or arguments of another kind.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> from jaxswarm.systems import knexa_fl
        >>> tokens = verifiable.tokenizer()
        >>> items = verifiable.draw_items(verifiable.products(), 4, seed=0)
        >>> own = verifiable.to_arrays(items, tokens)
        >>> model = transformer.from_config(transformer.Config(tokens.vocab_size, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> text = knexa_fl.Transfer(own.prompts, own.prompt_mask, own.solutions, own.solution_mask)
        >>> loss = knexa_fl.distillation_loss(model, params, own, text, 0.5)
        >>> bool(3 < loss < 4)  # about log 35: nothing is known yet
        True
    """
    checks.probability("alpha", alpha)
    checks.instance("own", own, verifiable.Problems, "verifiable.to_arrays(items, …)")
    checks.instance("transfer", transfer, Transfer, "knexa_fl.Transfer(prompts, …)")
    if not jnp.size(transfer.prompts) or not jnp.size(transfer.tokens):
        raise ValueError("transfer: expected at least one question with a response, got none")
    # One pass of the model through both kinds of questions.
    questions = (own.prompts, own.prompt_mask), (transfer.prompts, transfer.prompt_mask)
    responses = (own.solutions, own.solution_mask), (transfer.tokens, transfer.mask)
    prompts, prompt_mask = (_stacked(*parts) for parts in zip(*questions, strict=True))
    tokens, mask = (_stacked(*parts) for parts in zip(*responses, strict=True))
    outputs = transformer.completion_outputs(model, params, prompts, prompt_mask, tokens, mask)
    count = jnp.shape(own.prompts)[0]
    found = transformer.token_log_probs(outputs.logits, jnp.where(mask, tokens, 0))
    if transfer.probabilities is not None:
        length = jnp.shape(transfer.tokens)[1]
        counts = jnp.asarray(transfer.mask)[..., None]
        logs = jax.nn.log_softmax(outputs.logits[count:, :length])
        soft = jnp.sum(jnp.where(counts, transfer.probabilities, 0.0) * logs, axis=-1)
        found = found.at[count:, :length].set(soft)
    found = jnp.where(mask, found, 0.0)
    own_loss, taught = (
        -jnp.sum(found[rows]) / jnp.maximum(jnp.sum(mask[rows]), 1)
        for rows in (slice(count), slice(count, None))
    )
    return jnp.asarray((1.0 - alpha) * own_loss + alpha * taught)


def _stacked(first: ArrayLike, second: ArrayLike) -> jax.Array:
    """Rows of both, padded at the right to one length by zeros or false."""
    arrays = jnp.asarray(first), jnp.asarray(second)
    length = max(array.shape[1] for array in arrays)
    return jnp.concatenate(
        [jnp.pad(array, ((0, 0), (0, length - array.shape[1]))) for array in arrays]
    )


def vote(tokens: ArrayLike, mask: ArrayLike, weights: ArrayLike) -> jax.Array:
    """Agent whose response to each question has the largest weight among equal responses.

    The published baseline groups equal texts in this way before its central model learns from them.

    Args:
        tokens: ``int[N, B, T]``.
        mask: ``bool[N, B, T]``.
        weights: ``float[N]`` of the agents, at least 0.

    Returns:
        ``int32[B]``; the smallest agent of the group with the largest total weight.

    Raises:
        ValueError: for shapes or weights that do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> tokens = jnp.array([[[4, 5]], [[6, 7]], [[6, 7]]])
        >>> vote(tokens, tokens > 0, jnp.array([1.5, 1.0, 1.0])).tolist()
        [1]
    """
    tokens = jnp.asarray(checks.wholes("tokens", tokens, shape=(None, None, None)))
    mask = jnp.asarray(checks.mask("mask", mask, tokens.shape))
    checks.real("weights", weights, 0.0, shape=(tokens.shape[0],))
    shown = jnp.where(mask, tokens, -1)
    equal = jnp.all(shown[:, None] == shown[None], axis=-1)  # [N, N, B]
    total = jnp.einsum("ijb,j->ib", equal.astype(jnp.float32), jnp.asarray(weights, jnp.float32))
    return jnp.argmax(total, axis=0).astype(jnp.int32)


def check_disjoint(
    transfer: ArrayLike, mask: ArrayLike, problems: verifiable.Problems, name: str = "transfer"
) -> None:
    """Refuse a transfer set that is empty or shares a question with an evaluation set.

    Args:
        transfer: ``int[B, P]``, questions of the transfer set.
        mask: ``bool[B, P]``.
        problems: of the evaluation, in the same vocabulary.
        name: of the transfer set, for the message.

    Raises:
        ValueError: naming the rows.
    """
    tokens = checks.wholes(name, checks.concrete(name, transfer), shape=(None, None))
    if not tokens.size:
        raise ValueError(f"{name}: expected at least one question, got none")
    flags = np.asarray(checks.mask("mask", mask, tokens.shape))
    checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
    seen = {
        tuple(row[counts].tolist()): i
        for i, (row, counts) in enumerate(
            zip(np.asarray(problems.prompts), np.asarray(problems.prompt_mask), strict=True)
        )
    }
    for i, (row, counts) in enumerate(zip(np.asarray(tokens), flags, strict=True)):
        same = seen.get(tuple(row[counts].tolist()))
        if same is not None:
            raise ValueError(
                f"{name}: expected questions that are not in the evaluation, got question {i}, "
                f"which is question {same} there"
            )
