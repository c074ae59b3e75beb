"""Compressed gossip: compressors, and the CHOCO wrapper that makes them exact by error feedback.

Shapes: ``N`` agents on axis 0 of every leaf, ``D`` entries of one agent's leaf.

References:
    A. Koloskova, S. Stich, M. Jaggi, Decentralized stochastic optimization and gossip algorithms
    with compressed communication, 2019 (CHOCO). D. Alistarh et al., QSGD: communication-efficient
    SGD via gradient quantization and encoding, 2017. S. Stich, J.-B. Cordonnier, M. Jaggi,
    Sparsified SGD with memory, 2018 (top-k, random-k). J. Bernstein et al., signSGD, 2018; S.
    Karimireddy et al., Error feedback fixes signSGD, 2019.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip.types import Exchange, GossipTransformation, PyTree, Traffic


class CompressFn(Protocol):
    """``compress(key, vector [D]) -> vector [D]``: what the receiver reconstructs."""

    def __call__(self, key: jax.Array, vector: jax.Array) -> jax.Array: ...


class Compressor(NamedTuple):
    """A lossy map and its price.

    Attributes:
        compress: ``(key, [D]) -> [D]``, of the vector's dtype or a narrower one.
        num_bits: ``D -> bits`` on the wire for a vector of ``D`` float32 entries.
    """

    compress: CompressFn
    num_bits: Callable[[int], float]


def top_k(fraction: float) -> Compressor:
    """Keep the ``⌈fraction · D⌉`` entries of largest magnitude; each costs a value and an index.

    Raises:
        ValueError: if ``fraction`` is outside ``(0, 1]``.
    """
    _check_fraction(fraction)

    def compress(key: jax.Array, vector: jax.Array) -> jax.Array:
        del key
        _, kept = jax.lax.top_k(jnp.abs(vector), math.ceil(fraction * vector.size))
        return jnp.zeros_like(vector).at[kept].set(vector[kept], unique_indices=True)

    return Compressor(compress, lambda size: 64.0 * math.ceil(fraction * size))


def random_k(fraction: float) -> Compressor:
    """Keep ``⌈fraction · D⌉`` random entries, unscaled; a shared seed spares the indices.

    Raises:
        ValueError: if ``fraction`` is outside ``(0, 1]``.
    """
    _check_fraction(fraction)

    def compress(key: jax.Array, vector: jax.Array) -> jax.Array:
        lots = jax.random.bits(key, vector.shape)
        _, kept = jax.lax.top_k(lots, math.ceil(fraction * vector.size))
        return jnp.zeros_like(vector).at[kept].set(vector[kept], unique_indices=True)

    return Compressor(compress, lambda size: 32.0 * math.ceil(fraction * size) + 64.0)


def quantize(bits: int = 8) -> Compressor:
    """Unbiased stochastic rounding to ``2^(bits-1) − 1`` levels of the largest entry, and a sign.

    Raises:
        ValueError: if ``bits`` is outside ``[2, 16]``.
    """
    if not 2 <= bits <= 16:
        raise ValueError(f"bits: expected an integer in [2, 16], got {bits}")
    levels = 2 ** (bits - 1) - 1

    def compress(key: jax.Array, vector: jax.Array) -> jax.Array:
        largest = jnp.max(jnp.abs(vector))
        unit = jnp.where(largest > 0, largest / levels, 1.0)
        noise = jax.random.uniform(key, vector.shape)
        return (jnp.sign(vector) * jnp.floor(jnp.abs(vector) / unit + noise) * unit).astype(
            vector.dtype
        )

    return Compressor(compress, lambda size: float(bits * size + 32))


def sign() -> Compressor:
    """One bit per entry, scaled by the mean magnitude."""

    def compress(key: jax.Array, vector: jax.Array) -> jax.Array:
        del key
        return jnp.where(vector < 0, -1.0, 1.0).astype(vector.dtype) * jnp.mean(jnp.abs(vector))

    return Compressor(compress, lambda size: float(size + 32))


def cast(dtype: Any = jnp.bfloat16) -> Compressor:
    """Round to a narrower float: half the bytes, for rules that should not notice.

    With ``compressed(rule, cast(), error_feedback=False)`` agents keep their parameters and move by
    ``W C(x) − C(x)``. Rounding errors cancel in the sum, so a doubly stochastic ``W`` keeps the
    average to float32 accuracy; agents agree up to the rounding of one message (relative ``2⁻⁸``
    for bfloat16). On a mesh the rows exchanged are of this dtype.

    Raises:
        ValueError: if ``dtype`` is not a real floating type.
    """
    try:
        narrow = jnp.dtype(dtype)
    except TypeError:
        narrow = None
    if narrow is None or not jnp.issubdtype(narrow, jnp.floating):
        raise ValueError(f"dtype: expected a floating type such as bfloat16, got {dtype!r}")

    def compress(key: jax.Array, vector: jax.Array) -> jax.Array:
        del key
        return vector.astype(narrow)

    return Compressor(compress, lambda size: 8.0 * narrow.itemsize * size)


COMPRESSORS: dict[str, Callable[..., Compressor]] = {
    "top_k": top_k,
    "random_k": random_k,
    "quantize": quantize,
    "sign": sign,
    "cast": cast,
}


class CompressedState(NamedTuple):
    """What the neighbours believe of each agent, and the wrapped rule's state."""

    public: PyTree
    inner: PyTree


def compressed(
    rule: GossipTransformation,
    compressor: Compressor,
    *,
    step_size: float | jax.Array = 1.0,
    error_feedback: bool = True,
) -> GossipTransformation:
    """Send compressed messages through ``rule``.

    With error feedback (CHOCO) every agent keeps a public copy ``x̂`` that all its neighbours know,
    sends the compressed difference to it, and moves by ``γ (rule(x̂) − x̂)``: agreement becomes
    exact and the average is kept. Without, agents move by ``γ (rule(C(x)) − C(x))``, which stalls
    at the compression error.

    Args:
        rule: a linear rule, for instance ``averaging(W)``.
        compressor: see :func:`top_k`, :func:`random_k`, :func:`quantize`, :func:`sign`,
            :func:`cast`; applied leaf by leaf.
        step_size: consensus step ``γ`` in ``(0, 1]``; coarse compressors need a small one.
        error_feedback: keep public copies (one more ``[N, P]`` buffer).

    Raises:
        ValueError: if ``step_size`` is outside ``(0, 1]``; while mixing, if messages get lost
            (public copies would drift apart) or another wrapper altered the messages.
    """
    if not isinstance(step_size, jax.Array) and not 0.0 < step_size <= 1.0:
        raise ValueError(f"step_size: expected a number in (0, 1], got {step_size}")

    def init(params: PyTree) -> CompressedState:
        public = jax.tree.map(jnp.zeros_like, params) if error_feedback else ()
        return CompressedState(public, rule.init(params))

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: CompressedState,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, CompressedState, Traffic]:
        if error_feedback and round.delivered is not None:
            raise ValueError(
                "compressed: error feedback needs reliable links; delivered must be None"
            )
        if messages is not None:
            raise ValueError(
                "compressed: put compressed(…) outside the wrapper that alters messages"
            )
        compress_key, rule_key = jax.random.split(key)
        if error_feedback:
            difference = jax.tree.map(jnp.subtract, params, state.public)
            sent = _compress(compress_key, difference, compressor)
            public = told = jax.tree.map(lambda p, s: p + s.astype(p.dtype), state.public, sent)
        else:
            told = _compress(compress_key, params, compressor)
            public = jax.tree.map(lambda t, x: t.astype(x.dtype), told, params)
        agreed, inner, traffic = rule.mix(
            rule_key, public, state.inner, round, messages=told, **extra
        )
        params = jax.tree.map(
            lambda x, a, p: (x + step_size * (a - p)).astype(x.dtype), params, agreed, public
        )
        size = sum(compressor.num_bits(leaf[0].size) for leaf in jax.tree.leaves(params)) / 8.0
        traffic = Traffic(traffic.messages, traffic.messages * size)
        return params, CompressedState(public if error_feedback else (), inner), traffic

    return GossipTransformation(init, mix_fn)


def _compress(key: jax.Array, tree: PyTree, compressor: Compressor) -> PyTree:
    leaves, treedef = jax.tree.flatten(tree)
    out = []
    for index, leaf in enumerate(leaves):
        keys = agents.keys(jax.random.fold_in(key, index), leaf.shape[0])
        rows = jax.vmap(compressor.compress)(keys, leaf.reshape(leaf.shape[0], -1))
        out.append(rows.reshape(leaf.shape))
    return jax.tree.unflatten(treedef, out)


def _check_fraction(fraction: float) -> None:
    if not 0.0 < fraction <= 1.0:
        raise ValueError(f"fraction: expected a number in (0, 1], got {fraction}")
