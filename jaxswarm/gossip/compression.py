"""Compressed gossip: compressors (top-k, random-k, quantization, sign, cast) and CHOCO-SGD.

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

from jaxswarm import agents, checks
from jaxswarm.gossip._averaging import averaging
from jaxswarm.gossip._operator import accumulator
from jaxswarm.gossip.sources import Source
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation, require_support
from jaxswarm.types import Key, Params, PyTree


class CompressFn(Protocol):
    """``compress(key, vector [D]) -> vector [D]``: what the receiver reconstructs."""

    def __call__(self, key: jax.Array, vector: jax.Array) -> jax.Array: ...


class Compressor(NamedTuple):
    """A lossy map of vectors and the size of its output.

    Attributes:
        compress: ``(key, [D]) -> [D]``, of the vector's dtype or a narrower one.
        num_bits: ``D -> bits`` on the wire for a vector of ``D`` float32 entries.
        contraction: ``D -> δ`` in ``(0, 1]``: the share of a typical vector's squared norm that one
            message transmits, ``E‖x − C(x)‖² ≈ (1 − δ) ‖x‖²``. It sets the default consensus step;
            ``None`` if unknown.
    """

    compress: CompressFn
    num_bits: Callable[[int], float]
    contraction: Callable[[int], float] | None = None


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

    return Compressor(
        compress, lambda size: 64.0 * math.ceil(fraction * size), lambda size: fraction
    )


def random_k(fraction: float) -> Compressor:
    """Keep ``⌈fraction · D⌉`` random entries, unscaled; indices follow from a shared seed.

    Raises:
        ValueError: if ``fraction`` is outside ``(0, 1]``.
    """
    _check_fraction(fraction)

    def compress(key: jax.Array, vector: jax.Array) -> jax.Array:
        priority = jax.random.bits(key, vector.shape)
        _, kept = jax.lax.top_k(priority, math.ceil(fraction * vector.size))
        return jnp.zeros_like(vector).at[kept].set(vector[kept], unique_indices=True)

    return Compressor(
        compress, lambda size: 32.0 * math.ceil(fraction * size) + 64.0, lambda size: fraction
    )


def quantize(bits: int = 8) -> Compressor:
    """Round stochastically to ``2^(bits-1) − 1`` levels of the largest entry, and a sign.

    Unbiased (QSGD). Computed in at least float32; no entry leaves the range of the vector.

    Raises:
        ValueError: if ``bits`` is no whole number in ``[2, 16]``.
    """
    bits = checks.whole("bits", bits, 2, 16)
    levels = 2 ** (bits - 1) - 1

    def compress(key: jax.Array, vector: jax.Array) -> jax.Array:
        exact = vector.astype(accumulator(vector))
        largest = jnp.max(jnp.abs(exact), initial=0.0)
        scaled = jnp.abs(exact) / jnp.where(largest > 0, largest, 1.0)  # in [0, 1]
        noise = jax.random.uniform(key, vector.shape, exact.dtype)
        level = jnp.minimum(jnp.floor(scaled * levels + noise), levels)
        return (jnp.sign(exact) * (level / levels) * largest).astype(vector.dtype)

    def contraction(size: int) -> float:
        """Of normal entries: a mean error of about ``E|x| · max|x| / levels`` per entry."""
        largest = math.sqrt(2.0 * math.log(max(size, 2)))
        return 1.0 / (1.0 + 0.8 * largest / levels)

    return Compressor(compress, lambda size: float(bits * size + 32), contraction)


def sign() -> Compressor:
    """Keep the sign of every entry, one bit each, scaled by the mean magnitude."""

    def compress(key: jax.Array, vector: jax.Array) -> jax.Array:
        del key
        exact = jnp.abs(vector.astype(accumulator(vector)))
        mean = jnp.sum(exact) / max(vector.size, 1)
        return (jnp.where(vector < 0, -1.0, 1.0) * mean).astype(vector.dtype)

    return Compressor(compress, lambda size: float(size + 32), lambda size: 2.0 / math.pi)


def cast(dtype: Any = jnp.bfloat16) -> Compressor:
    """Round to a narrower float type: half the bytes with bfloat16.

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

    return Compressor(compress, lambda size: 8.0 * narrow.itemsize * size, lambda size: 1.0)


COMPRESSORS: dict[str, Callable[..., Compressor]] = {
    "top_k": top_k,
    "random_k": random_k,
    "quantize": quantize,
    "sign": sign,
    "cast": cast,
}
"""Name -> factory of a compressor; ``top_k`` and ``random_k`` take a fraction."""


class CompressedState(NamedTuple):
    """The public copies that neighbours hold of each agent, and the wrapped rule's state."""

    public: PyTree
    inner: PyTree


def compressed(
    rule: GossipTransformation,
    compressor: Compressor,
    *,
    step_size: float | jax.Array | None = None,
    error_feedback: bool = True,
) -> GossipTransformation:
    """Compress the messages of a rule.

    With error feedback (CHOCO) every agent keeps a public copy ``x̂`` that all its neighbours hold,
    sends the compressed difference to it, and moves by ``γ (rule(x̂) − x̂)``: agreement becomes
    exact and the average is kept. Without, agents move by ``γ (rule(C(x)) − C(x))``, which stalls
    at the compression error.

    Args:
        rule: a linear rule of one exchange a round, for instance ``averaging(W)``; with error
            feedback not one that draws neighbours anew, since all of them keep public copies.
        compressor: see :func:`top_k`, :func:`random_k`, :func:`quantize`, :func:`sign`,
            :func:`cast`; applied leaf by leaf.
        step_size: consensus step ``γ`` in ``(0, 1]``. Coarse compressors diverge at 1. By default
            :func:`default_step_size` of the compressor's contraction with error feedback, and 1
            without it.
        error_feedback: keep public copies (one more ``[N, P]`` buffer).

    Returns:
        A rule that supports what ``rule`` supports, without ``messages`` and ``per_receiver``: put
        ``compressed`` outside wrappers and attacks that alter messages.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> W = gossip.mixing(topology.ring(4))
        >>> rule = compressed(gossip.averaging(W), top_k(0.5), step_size=0.3)
        >>> x = jnp.arange(32.0).reshape(4, 8)
        >>> state, mix = rule.init(x), jax.jit(rule.mix)
        >>> _, _, traffic = mix(jax.random.key(0), x, state, gossip.Exchange(0))
        >>> float(traffic.messages), float(traffic.bytes)  # 4 values and indices a message
        (8.0, 256.0)

    Raises:
        ValueError: if the rule does not support ``messages``, or is restricted to what compression
            cannot keep (see :data:`jaxswarm.gossip.FEATURES`); if ``step_size`` is outside
            ``(0, 1]``, or missing where the compressor does not state its contraction; while
            mixing, with error feedback if messages get lost (public copies would drift apart), or
            if ``exchange.messages`` is set.
    """
    refused = ["only_fresh", "only_first"] + ["only_drawn"] * error_feedback
    require_support(rule, "messages", purpose="compressed", refused=refused)
    if not (hasattr(compressor, "compress") and hasattr(compressor, "num_bits")):
        raise ValueError(
            "compressor: expected a Compressor such as gossip.top_k(0.1), got "
            f"{checks.shown(compressor)}"
        )
    if step_size is not None:
        checks.real("step_size", step_size, above=0.0, high=1.0)
    elif error_feedback and getattr(compressor, "contraction", None) is None:
        raise ValueError(
            "step_size: expected a number in (0, 1], since this compressor states no contraction, "
            "got None"
        )

    def init(params: Params) -> CompressedState:
        agents.check_params(params, agents.num_agents(params))
        public = jax.tree.map(jnp.zeros_like, params) if error_feedback else ()
        return CompressedState(public, rule.init(params))

    def mix_fn(
        key: Key, params: Params, state: CompressedState, exchange: Exchange
    ) -> tuple[Params, CompressedState, Traffic]:
        if error_feedback and exchange.delivered is not None:
            raise ValueError(
                "compressed: error feedback needs reliable links; delivered must be None"
            )
        if exchange.messages is not None or exchange.per_receiver is not None:
            raise ValueError(
                "compressed: put compressed(…) outside the wrapper that alters messages"
            )
        compress_key, rule_key = jax.random.split(key)
        n = agents.num_agents(params)
        active = exchange.active(n)
        gamma = 1.0 if step_size is None else step_size
        if error_feedback:
            if step_size is None:
                gamma = _default_step(params, compressor)
            difference = jax.tree.map(jnp.subtract, params, state.public)
            change = _contracting(difference, _compress(compress_key, difference, compressor))
            public = jax.tree.map(lambda p, c: p + c.astype(p.dtype), state.public, change)
            if active is not None:
                public = agents.where(active, public, state.public)
            messages = public
        else:
            messages = _compress(compress_key, params, compressor)
            public = jax.tree.map(lambda m, x: m.astype(x.dtype), messages, params)
        mixed, inner, traffic = rule.mix(
            rule_key, public, state.inner, exchange._replace(messages=messages)
        )
        moved = jax.tree.map(
            lambda x, m, p: (x + gamma * (m - p)).astype(x.dtype), params, mixed, public
        )
        params = moved if active is None else agents.where(active, moved, params)
        size = sum(compressor.num_bits(leaf[0].size) for leaf in jax.tree.leaves(params)) / 8.0
        silent = traffic.messages == 0  # of a schedule, say: no neighbour learns of a change
        traffic = Traffic(traffic.messages, traffic.messages * size)
        if not error_feedback:
            return params, CompressedState((), inner), traffic
        public = jax.tree.map(lambda old, new: jnp.where(silent, old, new), state.public, public)
        return params, CompressedState(public, inner), traffic

    supports = frozenset(rule.supports) - {"messages", "per_receiver"}
    return GossipTransformation(init, mix_fn, supports)


def default_step_size(contraction: float) -> float:
    """Compute a consensus step ``γ`` with which error feedback is stable on any graph measured.

    Args:
        contraction: ``δ`` of the compressor, in ``(0, 1]``.
    """
    checks.real("contraction", contraction, above=0.0, high=1.0)
    return min(1.0, contraction)


def choco(
    W: Source, compressor: Compressor, step_size: float | jax.Array | None = None
) -> GossipTransformation:
    """Average compressed differences with error feedback (CHOCO gossip; CHOCO-SGD in a learner).

    The same as ``compressed(averaging(W), compressor, step_size=step_size)``.

    Args:
        W: a doubly stochastic, symmetric operator.
        compressor: for example ``top_k(0.01)``, ``quantize(4)``, ``sign()``.
        step_size: consensus step ``γ`` in ``(0, 1]``, smaller for coarser compressors; by default
            :func:`default_step_size` of the compressor's contraction.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import agents, gossip, topology
        >>> rule = choco(gossip.mixing(topology.ring(4)), top_k(0.5), step_size=0.3)
        >>> x = jnp.arange(32.0).reshape(4, 8)
        >>> state, start, mix = rule.init(x), agents.disagreement(x), jax.jit(rule.mix)
        >>> for index in range(60):
        ...     x, state, _ = mix(jax.random.key(index), x, state, gossip.Exchange(index))
        >>> bool(agents.disagreement(x) < 1e-3 * start)
        True

    Raises:
        ValueError: as :func:`compressed` and :func:`jaxswarm.gossip.averaging`.
    """
    return compressed(averaging(W), compressor, step_size=step_size)


def _default_step(params: Params, compressor: Compressor) -> float:
    """The default consensus step of the coarsest leaf."""
    assert compressor.contraction is not None
    sizes = [leaf[0].size for leaf in jax.tree.leaves(params)]
    return min(default_step_size(compressor.contraction(size)) for size in sizes if size)


def _contracting(vectors: PyTree, sent: PyTree) -> PyTree:
    """Scale messages down where they would more than halve the way to what they stand for.

    With ``a = ⟨x, C(x)⟩ / ‖C(x)‖²``, which goes into the scale that is sent anyway,
    ``‖x − a C(x)‖ ≤ ‖x‖`` whatever ``C`` is: the coarsest quantization cannot make public copies
    diverge. Messages with an error of less than a quarter of the squared norm stay as they are.
    """

    def leaf(x: jax.Array, c: jax.Array) -> jax.Array:
        dtype = accumulator(x)
        exact, coarse = (v.astype(dtype).reshape(v.shape[0], -1) for v in (x, c))
        error = jnp.sum(jnp.square(exact - coarse), axis=1)
        norm, square = jnp.sum(jnp.square(exact), axis=1), jnp.sum(jnp.square(coarse), axis=1)
        scale = jnp.sum(exact * coarse, axis=1) / jnp.where(square > 0, square, 1.0)
        coarse_ones = (error > 0.25 * norm) & (square > 0) & jnp.isfinite(scale)
        scale = jnp.where(coarse_ones, scale, 1.0)
        return jnp.where(
            agents.expand(coarse_ones, c), (agents.expand(scale, c) * c).astype(c.dtype), c
        )

    return jax.tree.map(leaf, vectors, sent)


def _compress(key: jax.Array, tree: PyTree, compressor: Compressor) -> PyTree:
    leaves, treedef = jax.tree.flatten(tree)
    out = []
    for index, leaf in enumerate(leaves):
        if not leaf.size:
            out.append(leaf)
            continue
        keys = agents.keys(jax.random.fold_in(key, index), leaf.shape[0])
        rows = jax.vmap(compressor.compress)(keys, leaf.reshape(leaf.shape[0], -1))
        out.append(rows.reshape(leaf.shape))
    return jax.tree.unflatten(treedef, out)


def _check_fraction(fraction: float) -> None:
    checks.real("fraction", fraction, above=0.0, high=1.0)
