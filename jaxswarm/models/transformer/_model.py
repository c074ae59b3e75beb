"""A language model as pure functions of one agent, and the transformer as one.

Shapes: ``B`` sequences, ``T`` tokens each (``C`` where they continue a cache), ``V`` tokens of the
vocabulary, ``S`` slots of a cache.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models.transformer._config import Config
from jaxswarm.models.transformer._network import Cache, Network, Outputs, empty_cache
from jaxswarm.types import Key, Params, PyTree


class LanguageModel(NamedTuple):
    """Pure functions of one agent's language model; ``vmap`` them over agents.

    :func:`from_config` makes one of a transformer; learners and :func:`generate` take any that has
    these functions.

    Attributes:
        init: ``init(key) -> params``.
        apply: ``apply(params, tokens, mask=None) -> Outputs`` for ``tokens: int32[B, T]``. ``mask:
            bool[B, T]`` marks the tokens that count: padding, wherever it stands, has no influence
            on the outputs at tokens that count; those at padding are finite and without meaning.
        start: ``start(batch_size, num_slots) -> cache`` without tokens.
        extend: ``extend(params, cache, tokens, mask=None) -> (Outputs, cache)`` for the next
            ``tokens: int32[B, C]``. The slots of all calls together must not exceed ``num_slots``;
            padding takes up a slot as well.
        vocab_size: ``V``.
        has_values: whether ``Outputs.values`` is there.
        config: of a transformer; ``None`` for another model.
        extend_at: ``extend_at(params, cache, tokens, mask, at: int32[B]) -> (Outputs, cache)`` as
            ``extend``, with the outputs of token ``at[b]`` of each sequence alone, ``[B, 1, ...]``,
            which costs less; ``None`` for a model without such a shortcut.
    """

    init: Callable[[Key], Params]
    apply: Callable[..., Outputs]
    start: Callable[[int, int], PyTree]
    extend: Callable[..., tuple[Outputs, PyTree]]
    vocab_size: int
    has_values: bool = False
    config: Config | None = None
    extend_at: Callable[..., tuple[Outputs, PyTree]] | None = None


def from_config(config: Config) -> LanguageModel:
    """Make the pure functions of a causal transformer.

    Raises:
        ValueError: if ``config`` is no :class:`Config`; by the functions, for tokens that are no
            integers ``[B, T]`` in ``[0, V)``, masks of another shape, and parameters of another
            vocabulary.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import transformer
        >>> model = transformer.from_config(transformer.Config(vocab_size=12, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> model.apply(params, jnp.array([[3, 1, 4, 1], [5, 9, 2, 6]])).logits.shape
        (2, 4, 12)
        >>> cache = model.start(2, 8)
        >>> outputs, cache = model.extend(params, cache, jnp.array([[3, 1], [5, 9]]))
        >>> outputs.logits.shape, cache.lengths.tolist()
        ((2, 2, 12), [2, 2])
    """
    checks.instance("config", config, Config, "transformer.Config(vocab_size=50)")
    network = Network(config)

    def init(key: Key) -> Params:
        checks.key(key)
        return network.init(key, jnp.zeros((1, 1), jnp.int32))["params"]

    def apply(params: Params, tokens: jax.Array, mask: jax.Array | None = None) -> Outputs:
        tokens, mask = check_tokens(tokens, mask, config.vocab_size)
        _check_vocabulary(params, config)
        outputs, _ = network.apply({"params": params}, tokens, mask)
        return outputs  # pyright: ignore[reportReturnType]

    def start(batch_size: int, num_slots: int) -> Cache:
        checks.whole("batch_size", batch_size, 1)
        return empty_cache(config, batch_size, checks.whole("num_slots", num_slots, 1))

    def extend(
        params: Params, cache: Cache, tokens: jax.Array, mask: jax.Array | None = None
    ) -> tuple[Outputs, Cache]:
        return extend_at(params, cache, tokens, mask, None)

    def extend_at(
        params: Params,
        cache: Cache,
        tokens: jax.Array,
        mask: jax.Array | None,
        at: jax.Array | None,
    ) -> tuple[Outputs, Cache]:
        checks.instance("cache", cache, Cache, "model.start(batch_size, num_slots)")
        tokens, mask = check_tokens(tokens, mask, config.vocab_size)
        _check_vocabulary(params, config)
        batch, slots = cache.valid.shape
        used = 0 if checks.is_traced(cache.used) else int(cache.used)
        if tokens.shape[0] != batch or used + tokens.shape[1] > slots:
            raise ValueError(
                f"tokens: expected {batch} sequences of at most {slots - used} tokens, the free "
                f"slots of the cache, got shape {tokens.shape}"
            )
        return network.apply({"params": params}, tokens, mask, cache, at)  # pyright: ignore

    return LanguageModel(
        init, apply, start, extend, config.vocab_size, config.value_head, config, extend_at
    )


def check_model(model: Any, *, values: bool = False) -> LanguageModel:
    """Check that an argument is a language model and return it.

    Args:
        model: what came.
        values: whether it must have a value head.

    Raises:
        ValueError: naming ``model``.
    """
    checks.instance("model", model, LanguageModel, "transformer.from_config(config)")
    if values and not model.has_values:
        raise ValueError("model: expected one with a value head (value_head=True), got none")
    return model


def check_tokens(
    tokens: Any, mask: Any, vocab_size: int, name: str = "tokens"
) -> tuple[jax.Array, jax.Array | None]:
    """Check tokens ``int[B, T]`` in ``[0, V)`` and the flags of those that count.

    Args:
        tokens: what came; traced values are only checked for shape and dtype.
        mask: ``bool[B, T]`` or ``None``. Tokens where it is false may be any number, and are
            replaced by 0.
        vocab_size: ``V``.
        name: of the tokens, for the message.

    Returns:
        ``(int32[B, T], bool[B, T] or None)``.

    Raises:
        ValueError: naming the argument.
    """
    wanted = f"whole numbers [B, T] in [0, {vocab_size})"
    array = tokens if checks.is_traced(tokens) else checks.as_array(name, tokens, wanted)
    if array.ndim != 2 or 0 in array.shape or not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(f"{name}: expected {wanted}, got {checks.shown(tokens)}")
    mask_name = "mask" if name == "tokens" else f"{name}_mask"
    if mask is not None:
        mask = checks.mask(mask_name, mask, array.shape)
    if not checks.is_traced(tokens):
        counts = True if mask is None or checks.is_traced(mask) else np.asarray(mask)
        outside = ((array < 0) | (array >= vocab_size)) & counts
        if outside.any() and not checks.is_traced(mask):
            raise ValueError(f"{name}: expected {wanted}, got {array[outside].flat[0]}")
    result = jnp.asarray(tokens).astype(jnp.int32)
    if mask is None:
        return result, None
    mask = jnp.asarray(mask)
    return jnp.where(mask, result, 0), mask


def _check_vocabulary(params: Params, config: Config) -> None:
    """Refuse parameters of a transformer of another vocabulary or width, on their shapes alone."""
    try:
        found = jnp.shape(params["embed"]["embedding"])
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"params: expected those of model.init(key), got {checks.shown(params)}"
        ) from error
    if found != (config.vocab_size, config.width):
        raise ValueError(
            f"params: expected an embedding [{config.vocab_size}, {config.width}] of one agent, "
            f"got {list(found)}"
        )
