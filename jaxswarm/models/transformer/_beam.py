"""Beam search: the most probable completions of prompts, a few hypotheses at a time.

Shapes: ``B`` prompts of ``P`` tokens, ``K`` beams, ``T`` new tokens at most, ``V`` of the
vocabulary.

References:
    B. Lowerre, The HARPY speech recognition system, 1976.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models.transformer._generate import END, PAD
from jaxswarm.models.transformer._log_probs import prefill, repeat_rows
from jaxswarm.models.transformer._model import LanguageModel, check_model, check_tokens
from jaxswarm.types import Params


class Beams(NamedTuple):
    """The best completion of each prompt that a beam search found.

    Attributes:
        tokens: ``int32[B, T]``, padding after the end.
        mask: ``bool[B, T]``, tokens of the completion, the end token among them.
        log_probs: ``float32[B]``, log-probability in nats of the completion.
        finished: ``bool[B]``, whether it ended within ``T`` tokens.
    """

    tokens: jax.Array
    mask: jax.Array
    log_probs: jax.Array
    finished: jax.Array


def beam_search(
    model: LanguageModel,
    params: Params,
    prompts: jax.Array,
    mask: jax.Array | None = None,
    *,
    max_new_tokens: int,
    num_beams: int,
    end_token: int = END,
    pad_token: int = PAD,
) -> Beams:
    """Search the most probable completion of each prompt with a fixed number of beams.

    Deterministic. After every token the ``K`` partial completions of largest log-probability are
    kept; the length does not enter the score. One beam is greedy decoding.

    Args:
        model: of one agent, see :func:`from_config`.
        params: its parameters.
        prompts: ``int[B, P]``.
        mask: ``bool[B, P]``, tokens that count, all if ``None``; at least one of each prompt.
        max_new_tokens: ``T >= 1``.
        num_beams: ``K`` in ``[1, V]``.
        end_token: ends a completion and is part of it.
        pad_token: what stands after the end.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import transformer
        >>> model = transformer.from_config(transformer.Config(vocab_size=12, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> prompts = jnp.array([[3, 4, 5], [6, 7, 8]])
        >>> found = transformer.beam_search(model, params, prompts, max_new_tokens=4, num_beams=3)
        >>> found.tokens.shape, found.log_probs.shape
        ((2, 4), (2,))
    """
    check_model(model)
    prompts, mask = check_tokens(prompts, mask, model.vocab_size, "prompts")
    steps = checks.whole("max_new_tokens", max_new_tokens, 1)
    beams = checks.whole("num_beams", num_beams, 1, model.vocab_size)
    end_token = checks.whole("end_token", end_token, 0, model.vocab_size - 1)
    pad_token = checks.whole("pad_token", pad_token, 0, model.vocab_size - 1)
    batch = prompts.shape[0]
    outputs, cache = prefill(model, params, prompts, mask, steps)
    cache = repeat_rows(cache, beams)
    scores, token = jax.lax.top_k(jax.nn.log_softmax(outputs.logits[:, 0]), beams)
    token = token.astype(jnp.int32)
    tokens = jnp.full((batch, beams, steps), pad_token, jnp.int32).at[:, :, 0].set(token)
    # What follows the end is padding, of probability 1.
    after_end = jnp.where(jnp.arange(model.vocab_size) == pad_token, 0.0, -jnp.inf)

    def step(carry: Any, place: jax.Array) -> tuple[Any, None]:
        cache, tokens, token, done, scores = carry
        outputs, cache = model.extend(params, cache, token.reshape(-1, 1), ~done.reshape(-1, 1))
        following = jax.nn.log_softmax(outputs.logits[:, 0]).reshape(batch, beams, -1)
        following = jnp.where(done[:, :, None], after_end, following)
        total = (scores[:, :, None] + following).reshape(batch, -1)
        scores, chosen = jax.lax.top_k(total, beams)
        parent, token = chosen // model.vocab_size, (chosen % model.vocab_size).astype(jnp.int32)
        rows = (jnp.arange(batch)[:, None] * beams + parent).reshape(-1)
        cache = jax.tree.map(lambda leaf: leaf[rows] if leaf.ndim else leaf, cache)
        tokens = jnp.take_along_axis(tokens, parent[:, :, None], axis=1)
        tokens = jnp.where(jnp.arange(steps) == place, token[:, :, None], tokens)
        done = jnp.take_along_axis(done, parent, axis=1)
        return (cache, tokens, token, done | (token == end_token), scores), None

    start = (cache, tokens, token, token == end_token, scores)
    (_, tokens, _, done, scores), _ = jax.lax.scan(step, start, jnp.arange(1, steps))
    tokens = tokens[:, 0]
    ended = jnp.cumsum(tokens == end_token, axis=1) - (tokens == end_token) > 0
    return Beams(tokens, ~ended, scores[:, 0], done[:, 0])
