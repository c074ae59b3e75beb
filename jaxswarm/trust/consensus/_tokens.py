"""Agreement of token sequences that several nodes generated from the same prompts.

Shapes: ``N`` sequences of up to ``T`` tokens, ``A`` tokens in the vocabulary.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike


class Agreement(NamedTuple):
    """Result of :func:`agree`.

    Attributes:
        equal: ``bool[N]``, whether two sequences are the same until they stop.
        position: ``int32[N]``, of the first token that differs; -1 if all are equal.
        margin: ``float32[N]``, gap of the two largest logits there; NaN where sequences are equal;
            ``None`` without logits.
    """

    equal: jax.Array
    position: jax.Array
    margin: jax.Array | None


def agree(
    tokens_a: ArrayLike,
    tokens_b: ArrayLike,
    *,
    stop: int | None = None,
    masks: tuple[ArrayLike, ArrayLike] | None = None,
    logits: Any = None,
) -> Agreement:
    """Compare token sequences until they stop, and find where they first differ.

    Args:
        tokens_a: ``int[N, T]``.
        tokens_b: ``int[N, T]``.
        stop: token that ends a sequence; it counts, what follows does not.
        masks: ``(bool[N, T], bool[N, T])``, tokens that count, such as ``Completions.mask``.
        logits: ``float[N, T, A]`` that the first sequences' tokens were chosen by; up to where they
            differ, those of the second were computed from the same tokens.

    Returns:
        The agreement; runs inside ``jit``. Sequences that stop at different places differ there.

    Raises:
        ValueError: for other dtypes or shapes that differ.

    Example:
        >>> found = agree([[5, 7, 0, 3], [5, 7, 9, 3]], [[5, 7, 0, 4], [5, 8, 9, 3]], stop=0)
        >>> found.equal.tolist(), found.position.tolist()
        ([True, False], [-1, 1])
    """
    first = jnp.asarray(checks.wholes("tokens_a", tokens_a, -checks.LARGEST, shape=(None, None)))
    second = jnp.asarray(checks.wholes("tokens_b", tokens_b, -checks.LARGEST, shape=first.shape))
    if stop is not None:
        stop = checks.whole("stop", stop, -checks.LARGEST)
    if masks is None:
        masks = (jnp.ones(first.shape, bool), jnp.ones(first.shape, bool))
    elif not isinstance(masks, (tuple, list)) or len(masks) != 2:
        raise ValueError(f"masks: expected two, of a and of b, got {checks.shown(masks)}")
    found = tuple(jnp.asarray(checks.mask("masks", mask, first.shape)) for mask in masks)
    if logits is not None:
        logits = checks.numbers("logits", logits, (*first.shape, None))
        if logits.shape[-1] < 2:
            raise ValueError(f"logits: expected at least two tokens, got {list(logits.shape)}")
    return _compared(first, second, found, logits, stop)


@functools.partial(jax.jit, static_argnames="stop")
def _compared(
    first: jax.Array,
    second: jax.Array,
    masks: tuple[jax.Array, ...],
    logits: jax.Array | None,
    stop: int | None,
) -> Agreement:
    live_a, live_b = _live(first, masks[0], stop), _live(second, masks[1], stop)
    differs = (live_a != live_b) | (live_a & (first != second))
    equal = ~jnp.any(differs, axis=1)
    position = jnp.where(equal, -1, jnp.argmax(differs, axis=1)).astype(jnp.int32)
    if logits is None:
        return Agreement(equal, position, None)
    at = jnp.maximum(position, 0)[:, None, None]
    row = jnp.take_along_axis(logits, at, axis=1)[:, 0].astype(jnp.float32)
    best = jax.lax.top_k(row, 2)[0]
    return Agreement(equal, position, jnp.where(equal, jnp.nan, best[:, 0] - best[:, 1]))


def _live(tokens: jax.Array, mask: jax.Array, stop: int | None) -> jax.Array:
    """Tokens that count: those up to the first stop."""
    if stop is None:
        return mask
    ends = (tokens == stop) & mask
    return mask & (jnp.cumsum(ends, axis=1) - ends == 0)
