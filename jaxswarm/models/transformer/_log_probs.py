"""Log-probabilities of tokens, completions and reasoning steps under a language model.

Shapes: ``B`` sequences or prompts, ``T`` tokens, ``P`` tokens of a prompt, ``G`` completions of
each prompt, ``K`` steps, ``V`` tokens of the vocabulary. All log-probabilities are in nats.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models.transformer._model import LanguageModel, check_model, check_tokens
from jaxswarm.models.transformer._network import Outputs
from jaxswarm.types import Params, PyTree


def token_log_probs(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Log-probability of each token under the logits at its place.

    Args:
        logits: ``[..., V]``.
        tokens: ``int[...]`` in ``[0, V)``.

    Returns:
        ``float32[...]``.

    Raises:
        ValueError: if the shapes do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(token_log_probs(jnp.zeros(4), jnp.array(2))), 4)  # -log 4
        -1.3863
    """
    if jnp.shape(logits)[:-1] != jnp.shape(tokens) or not jnp.ndim(logits):
        raise ValueError(
            f"tokens: expected shape {jnp.shape(logits)[:-1]}, one per row of logits, got "
            f"{jnp.shape(tokens)}"
        )
    logits = jnp.asarray(logits, jnp.float32)
    is_token = jnp.expand_dims(tokens, -1) == jnp.arange(logits.shape[-1]).reshape(
        (1,) * (logits.ndim - 1) + (-1,)
    )
    picked = jnp.sum(jnp.where(is_token, logits, 0.0), axis=-1)
    return picked - jax.nn.logsumexp(logits, axis=-1)


def log_probs(
    model: LanguageModel, params: Params, tokens: jax.Array, mask: jax.Array | None = None
) -> jax.Array:
    """Log-probability of each token given the tokens before it (teacher forcing).

    Args:
        model: of one agent.
        params: its parameters.
        tokens: ``int[B, T]``.
        mask: ``bool[B, T]``, tokens that count, all if ``None``; padding may stand at either side.

    Returns:
        ``float32[B, T]``; 0 at padding and at the first token that counts, which nothing predicts.

    Raises:
        ValueError: for a model, tokens or a mask that do not fit.
    """
    check_model(model)
    tokens, mask = check_tokens(tokens, mask, model.vocab_size)
    outputs = model.apply(params, tokens, mask)
    found = token_log_probs(outputs.logits[:, :-1], tokens[:, 1:])
    found = jnp.pad(found, ((0, 0), (1, 0)))
    if mask is None:
        return found
    before = jnp.cumsum(mask, axis=1) - mask
    # The logits one slot earlier predict this token if that slot counts: with padding at the ends
    # only, all tokens that count but the first have such a slot.
    return jnp.where(mask & (before > 0), found, 0.0)


def completion_outputs(
    model: LanguageModel,
    params: Params,
    prompts: jax.Array,
    prompt_mask: jax.Array | None,
    completions: jax.Array,
    completion_mask: jax.Array | None = None,
) -> Outputs:
    """Outputs that predict each token of completions, with each prompt processed only once.

    Args:
        model: of one agent.
        params: its parameters.
        prompts: ``int[B, P]``.
        prompt_mask: ``bool[B, P]`` or ``None``; at least one token of each prompt must count.
        completions: ``int[B, G, T]``, ``G`` of each prompt, or ``int[B, T]``.
        completion_mask: ``bool`` of the same shape, true up to the end of each, or ``None``.

    Returns:
        Logits ``[B, G, T, V]`` (or ``[B, T, V]``): those at ``t`` predict token ``t``, so the first
        come from the last token of the prompt. Values, if the model has them, are those of the
        state *before* token ``t``, ``[B, G, T]``.

    Raises:
        ValueError: for arguments that do not fit.
    """
    check_model(model)
    prompts, prompt_mask = check_tokens(prompts, prompt_mask, model.vocab_size, "prompts")
    wanted = "whole numbers [B, G, T] or [B, T]"
    given = completions
    if not checks.is_traced(given):
        given = checks.as_array("completions", given, wanted)
    shape = given.shape
    grouped = len(shape) == 3
    if len(shape) not in (2, 3) or shape[0] != prompts.shape[0]:
        raise ValueError(
            f"completions: expected [B, G, T] or [B, T] of B = {prompts.shape[0]} prompts, got "
            f"shape {shape}"
        )
    repeats = shape[1] if grouped else 1
    rows = jnp.reshape(jnp.asarray(given), (-1, shape[-1]))
    if completion_mask is not None:
        checks.mask("completions_mask", completion_mask, shape)
        completion_mask = jnp.reshape(jnp.asarray(completion_mask), rows.shape)
    rows, completion_mask = check_tokens(rows, completion_mask, model.vocab_size, "completions")
    first, cache = prefill(model, params, prompts, prompt_mask, shape[-1])
    first, cache = repeat_rows(first, repeats), repeat_rows(cache, repeats)
    later, _ = model.extend(
        params,
        cache,
        rows[:, :-1] if shape[-1] > 1 else rows,
        completion_mask if completion_mask is None else _without_last(completion_mask),
    )

    def join(a: jax.Array, b: jax.Array) -> jax.Array:
        joined = jnp.concatenate([a, b], axis=1)[:, : shape[-1]]
        return joined.reshape(*shape, *joined.shape[2:])

    return jax.tree.map(join, first, later)


def completion_log_probs(
    model: LanguageModel,
    params: Params,
    prompts: jax.Array,
    prompt_mask: jax.Array | None,
    completions: jax.Array,
    completion_mask: jax.Array | None = None,
) -> jax.Array:
    """Log-probability of each token of completions of prompts (teacher forcing).

    Args:
        model: of one agent.
        params: its parameters.
        prompts: ``int[B, P]``.
        prompt_mask: ``bool[B, P]`` or ``None``.
        completions: ``int[B, G, T]`` or ``int[B, T]``.
        completion_mask: ``bool`` of the same shape or ``None``.

    Returns:
        ``float32`` of the shape of ``completions``; 0 where the mask is false.

    Raises:
        ValueError: as :func:`completion_outputs`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import transformer
        >>> model = transformer.from_config(transformer.Config(vocab_size=12, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> prompts, completions = jnp.ones((2, 3), int), jnp.ones((2, 4, 5), int)
        >>> completion_log_probs(model, params, prompts, None, completions).shape
        (2, 4, 5)
    """
    outputs = completion_outputs(model, params, prompts, prompt_mask, completions, completion_mask)
    tokens = jnp.asarray(completions)
    if completion_mask is None:
        return token_log_probs(outputs.logits, tokens)
    completion_mask = jnp.asarray(completion_mask)
    found = token_log_probs(outputs.logits, jnp.where(completion_mask, tokens, 0))
    return jnp.where(completion_mask, found, 0.0)


def prefill(
    model: LanguageModel,
    params: Params,
    prompts: jax.Array,
    prompt_mask: jax.Array | None,
    num_new: int,
) -> tuple[Outputs, PyTree]:
    """Outputs at the last token that counts of each prompt, and the cache with room for more.

    Args:
        model: of one agent.
        params: its parameters.
        prompts: ``int32[B, P]``, checked.
        prompt_mask: ``bool[B, P]`` or ``None``; of each row at least one is true.
        num_new: slots for further tokens.

    Returns:
        ``(Outputs with C = 1, cache)``.
    """
    batch, length = prompts.shape
    cache = model.start(batch, length + num_new)
    if prompt_mask is None:
        last = jnp.full(batch, length - 1)
    else:
        last = jnp.max(jnp.where(prompt_mask, jnp.arange(length)[None], 0), axis=1)
    if model.extend_at is not None:
        return model.extend_at(params, cache, prompts, prompt_mask, last)
    outputs, cache = model.extend(params, cache, prompts, prompt_mask)
    take = jax.vmap(lambda x, i: jax.lax.dynamic_slice_in_dim(x, i, 1))
    return jax.tree.map(lambda x: take(x, last), outputs), cache


def repeat_rows(tree: PyTree, repeats: int) -> PyTree:
    """Repeat each row of leaves ``[B, ...] -> [B G, ...]``; scalars stay.

    By broadcasting: the gradient is then a sum over the repeats, where that of ``jnp.repeat``
    scatters.
    """

    def leaf(x: jax.Array) -> jax.Array:
        if not jnp.ndim(x):
            return x
        copies = jnp.broadcast_to(x[:, None], (x.shape[0], repeats, *x.shape[1:]))
        return copies.reshape(x.shape[0] * repeats, *x.shape[1:])

    return tree if repeats == 1 else jax.tree.map(leaf, tree)


def step_ids(tokens: jax.Array, separator: int) -> jax.Array:
    """Number the reasoning step of each token: how many separators stand before it.

    A separator (the newline) belongs to the step that it ends.

    Args:
        tokens: ``int[..., T]``.
        separator: the token that ends a step.

    Returns:
        ``int32[..., T]``, from 0.

    Example:
        >>> import jax.numpy as jnp
        >>> step_ids(jnp.array([5, 2, 6, 6, 2, 7]), 2).tolist()
        [0, 0, 1, 1, 1, 2]
    """
    checks.whole("separator", separator, 0)
    ends = jnp.asarray(checks.wholes("tokens", tokens)) == separator
    return jnp.cumsum(ends, axis=-1, dtype=jnp.int32) - ends.astype(jnp.int32)


def step_log_probs(
    token_log_probs: jax.Array,
    step_ids: jax.Array,
    num_steps: int,
    mask: jax.Array | None = None,
) -> jax.Array:
    """Sum the log-probabilities of the tokens of each reasoning step.

    Args:
        token_log_probs: ``[..., T]``.
        step_ids: ``int[..., T]``; tokens of a step outside ``[0, K)`` do not count.
        num_steps: ``K >= 1``.
        mask: ``bool[..., T]``, tokens that count, all if ``None``. What does not count has no
            influence even if it is NaN.

    Returns:
        ``[..., K]``; 0 for a step without tokens.

    Raises:
        ValueError: for shapes that do not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> step_log_probs(jnp.array([-1.0, -2.0, -4.0]), jnp.array([0, 0, 1]), 3).tolist()
        [-3.0, -4.0, 0.0]
    """
    num_steps = checks.whole("num_steps", num_steps, 1)
    values = checks.numbers("token_log_probs", token_log_probs)
    shape = jnp.shape(values)
    if jnp.shape(step_ids) != shape or not jnp.issubdtype(jnp.result_type(step_ids), jnp.integer):
        raise ValueError(
            f"step_ids: expected whole numbers of shape {shape}, got {checks.shown(step_ids)}"
        )
    member = jnp.asarray(step_ids)[..., None] == jnp.arange(num_steps).reshape(
        (1,) * len(shape) + (-1,)
    )
    if mask is not None:
        member &= jnp.asarray(checks.mask("mask", mask, shape))[..., None]
    return jnp.sum(jnp.where(member, values[..., None], 0.0), axis=-2)


def _without_last(mask: jax.Array) -> jax.Array:
    return mask[:, :-1] if mask.shape[1] > 1 else mask
