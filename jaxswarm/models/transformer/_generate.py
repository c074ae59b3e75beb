"""Sampling of completions with a key–value cache, as one ``lax.scan`` with masks for early stops.

Shapes: ``B`` prompts of ``P`` tokens, ``G`` completions of each, ``T`` new tokens at most.

References:
    A. Fan, M. Lewis, Y. Dauphin, Hierarchical neural story generation, 2018 (top-k sampling).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models.transformer._log_probs import (
    prefill,
    repeat_rows,
    token_log_probs,
)
from jaxswarm.models.transformer._model import LanguageModel, check_model, check_tokens
from jaxswarm.types import ArrayLike, Key, Params

PAD, END = 0, 1
"""Default tokens of padding and of the end of a text, those of ``data.tokenizers``."""


class Completions(NamedTuple):
    """Generated sequences, ``[B, T]``, or ``[B, G, T]`` with ``num_samples=G``.

    Attributes:
        tokens: ``int32[..., T]``, padding after the end.
        mask: ``bool[..., T]``, generated tokens, the end token among them.
        log_probs: ``float32[..., T]``, log-probability in nats of each token under the model itself
            (temperature 1, all tokens); 0 at padding.
        lengths: ``int32[...]``, number of generated tokens.
        finished: ``bool[...]``, whether the end token came within ``T`` tokens.
    """

    tokens: jax.Array
    mask: jax.Array
    log_probs: jax.Array
    lengths: jax.Array
    finished: jax.Array


def generate(
    key: Key,
    model: LanguageModel,
    params: Params,
    prompts: jax.Array,
    mask: jax.Array | None = None,
    *,
    max_new_tokens: int,
    num_samples: int | None = None,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
    end_token: int = END,
    pad_token: int = PAD,
) -> Completions:
    """Sample completions of prompts from one agent's model.

    Each prompt is processed once, whatever the number of samples. Row ``i`` draws from
    ``fold_in(key, i)``, so its completion depends neither on the number of rows nor on
    ``max_new_tokens``. ``vmap`` over stacked parameters for many agents.

    Args:
        key: consumed.
        model: of one agent, see :func:`from_config`.
        params: its parameters.
        prompts: ``int[B, P]``.
        mask: ``bool[B, P]``, tokens that count, all if ``None``. Prompts of unequal length may be
            padded at either side: the completion is that of the prompt without padding. Of each
            prompt at least one token must count.
        max_new_tokens: ``T >= 1``.
        num_samples: ``G >= 1`` completions of each prompt; ``None`` for one, without an axis.
        temperature: at least 0, of all or ``[B]``; 0 takes the most probable token.
        top_k: sample among the ``k`` most probable tokens (and those that tie with the last);
            all if ``None``.
        end_token: ends a completion and is part of it.
        pad_token: what finished sequences emit.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import transformer
        >>> model = transformer.from_config(transformer.Config(vocab_size=12, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> prompts = jnp.array([[3, 4, 5], [6, 7, 0]])
        >>> mask = jnp.array([[True, True, True], [True, True, False]])
        >>> out = transformer.generate(
        ...     jax.random.key(1), model, params, prompts, mask, max_new_tokens=6, num_samples=4
        ... )
        >>> out.tokens.shape, out.lengths.shape
        ((2, 4, 6), (2, 4))
    """
    checks.key(key)
    check_model(model)
    prompts, mask = check_tokens(prompts, mask, model.vocab_size, "prompts")
    max_new_tokens = checks.whole("max_new_tokens", max_new_tokens, 1)
    repeats = 1 if num_samples is None else checks.whole("num_samples", num_samples, 1)
    end_token = checks.whole("end_token", end_token, 0, model.vocab_size - 1)
    pad_token = checks.whole("pad_token", pad_token, 0, model.vocab_size - 1)
    if top_k is not None:
        top_k = checks.whole("top_k", top_k, 1, model.vocab_size)
    batch = prompts.shape[0]
    shape = (batch,) if np.ndim(temperature) else ()
    checks.real("temperature", temperature, 0.0, shape=shape)
    if mask is not None and not checks.is_traced(mask) and not np.asarray(mask).any(1).all():
        raise ValueError("mask: expected at least one token of each prompt that counts, got none")

    rows = batch * repeats
    heat = jnp.repeat(jnp.broadcast_to(jnp.asarray(temperature, jnp.float32), batch), repeats)
    greedy = not checks.is_traced(temperature) and not np.any(np.asarray(temperature) > 0)
    noise = jnp.zeros((max_new_tokens, rows)) if greedy else _uniforms(key, rows, max_new_tokens)
    outputs, cache = prefill(model, params, prompts, mask, max_new_tokens)
    logits, cache = repeat_rows(outputs.logits[:, 0], repeats), repeat_rows(cache, repeats)

    def choose(logits: jax.Array, done: jax.Array, noise: jax.Array) -> tuple[Any, jax.Array]:
        token = sample_tokens(logits, noise, heat, top_k=top_k, greedy=greedy)
        token = jnp.where(done, pad_token, token)
        log_prob = jnp.where(done, 0.0, token_log_probs(logits, token))
        return (token, ~done, log_prob), done | (token == end_token)

    def step(carry: Any, noise: jax.Array) -> tuple[Any, Any]:
        cache, token, done = carry
        outputs, cache = model.extend(params, cache, token[:, None], ~done[:, None])
        (token, alive, log_prob), done = choose(outputs.logits[:, 0], done, noise)
        return (cache, token, done), (token, alive, log_prob)

    first, done = choose(logits, jnp.zeros(rows, bool), noise[0])
    (_, _, done), later = jax.lax.scan(step, (cache, first[0], done), noise[1:])
    leading = (batch,) if num_samples is None else (batch, repeats)

    def join(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.concatenate([a[None], b]).T.reshape(*leading, max_new_tokens)

    tokens, alive, log_probs = jax.tree.map(join, first, later)
    lengths = jnp.sum(alive, axis=-1, dtype=jnp.int32)
    return Completions(tokens, alive, log_probs, lengths, done.reshape(leading))


def sample_tokens(
    logits: jax.Array,
    noise: jax.Array,
    temperature: jax.Array,
    *,
    top_k: int | None = None,
    greedy: bool = False,
) -> jax.Array:
    """Choose a token from each row of logits by inverting the distribution function.

    Args:
        logits: ``[B, V]``.
        noise: ``[B]``, uniform in ``[0, 1)``.
        temperature: ``[B]``, at least 0; 0 takes the most probable token.
        top_k: sample among the ``k`` most probable tokens; all if ``None``.
        greedy: whether all temperatures are 0.

    Returns:
        ``int32[B]``. A token of probability 0 never comes.
    """
    best = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    if greedy:
        return best
    if top_k is not None and top_k < logits.shape[-1]:
        smallest = jax.lax.top_k(logits, top_k)[0][:, -1:]
        logits = jnp.where(logits >= smallest, logits, -jnp.inf)
    heat = jnp.where(temperature > 0, temperature, 1.0)
    weights = jnp.exp((logits - jnp.max(logits, axis=-1, keepdims=True)) / heat[:, None])
    cumulative = jnp.cumsum(weights, axis=-1)
    target = noise[:, None] * cumulative[:, -1:]
    drawn = jnp.sum(cumulative <= target, axis=-1, dtype=jnp.int32)
    return jnp.where(temperature > 0, jnp.minimum(drawn, logits.shape[-1] - 1), best)


def _uniforms(key: Key, rows: int, steps: int) -> jax.Array:
    """Uniform numbers ``[T, B]``, those of row ``i`` from ``fold_in(key, i)``."""

    def row(i: jax.Array) -> jax.Array:
        return jax.random.uniform(jax.random.fold_in(key, i), (steps,))

    return jax.vmap(row)(jnp.arange(rows)).T
