"""Roofline model of the seconds that serving takes, with queueing and padding; deterministic.

A pass of the network takes the longer of its arithmetic and its memory traffic, and an overhead for
each layer. Prefill, decoding, prefix copies and chunks are passes of other sizes; static batches
wait for their longest reply, in-flight batching admits requests one at a time and stalls what it
decodes, as in ``models.transformer.serving``. What does not fit into memory is served in smaller
batches. Requests wait in order of arrival; the loops over events are exact.

References:
    S. Williams, A. Waterman, D. Patterson, Roofline: an insightful visual performance model for
    multicore architectures, 2009.
    R. Pope et al., Efficiently scaling transformer inference, 2022.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.systems.meta_inf._queue import continuous_seconds, static_seconds


class Efficiency(NamedTuple):
    """What a spec sheet does not say of a device; numbers or arrays of one shape, all >= 0.

    Attributes:
        gemm: share of the peak that large products of matrices reach.
        rows: rows of a product at which it reaches half of that.
        stream: share of the memory's bandwidth that is reached.
        attention: share of the peak that attention reaches.
        launch: seconds of overhead of each layer in each pass.
        host: seconds of a scheduling step of in-flight batching, and of a look-up of a prefix.
        cached: bytes of attention scores that stay on chip.
        convert: seconds to convert a 8-bit weight, in each pass.
        fused: share of the shorter of a chunk and a decoding step that overlaps the longer.
    """

    gemm: Any = 0.5
    rows: Any = 8.0
    stream: Any = 0.7
    attention: Any = 0.3
    launch: Any = 1e-5
    host: Any = 1e-4
    cached: Any = 1e6
    convert: Any = 0.0
    fused: Any = 0.0


class Sheet(NamedTuple):
    """Numbers of one cell and method, or arrays of them with one leading axis.

    Attributes:
        flops: see :class:`~jaxswarm.systems.meta_inf.Device`, as are the next three.
        bandwidth: bytes per second.
        memory: bytes.
        rates: ``[3]``, peak with float32, bfloat16 and 8-bit weights as multiples of ``flops``.
        layers: see :class:`~jaxswarm.systems.meta_inf.Model`, as are the next four.
        width: of the residual stream.
        hidden: width inside the perceptrons.
        heads: attention heads.
        vocab: tokens of the vocabulary.
        batch: slots of the server.
        prompt: tokens of a prompt.
        prefix: tokens that all prompts begin with.
        requests: number of requests.
        lengths: ``[R]``, tokens of the replies, padded.
        arrivals: ``[R]`` in seconds, infinite for padding.
        cache: 1 with a KV cache.
        reuse: 1 with prefix reuse.
        chunk: tokens of a chunk, 0 without chunks.
        continuous: 1 with in-flight batching.
        weights: 0, 1, 2 for float32, bfloat16 and 8-bit weights.
    """

    flops: Any
    bandwidth: Any
    memory: Any
    rates: Any
    layers: Any
    width: Any
    hidden: Any
    heads: Any
    vocab: Any
    batch: Any
    prompt: Any
    prefix: Any
    requests: Any
    lengths: Any
    arrivals: Any
    cache: Any
    reuse: Any
    chunk: Any
    continuous: Any
    weights: Any


def pass_seconds(
    x: Sheet, e: Efficiency, rows: Any, sequences: Any, context: Any, outputs: Any
) -> jax.Array:
    """Seconds of one pass of the network.

    Args:
        x: of the cell and method.
        e: of the device.
        rows: tokens that are processed.
        sequences: to which they belong.
        context: tokens to which each attends.
        outputs: rows of logits.
    """
    kept = jnp.asarray([4.0, 2.0, 1.0])[x.weights]
    computed = jnp.asarray([4.0, 2.0, 4.0])[x.weights]
    block = x.layers * x.width * (4.0 * x.width + 2.0 * x.hidden)
    vocabulary = x.vocab * x.width
    peak = e.gemm * x.flops * x.rates[x.weights] * rows / (rows + e.rows)
    stream = e.stream * x.bandwidth
    arithmetic = 2.0 * (block * rows + vocabulary * outputs) / peak
    activations = rows * x.layers * (6.0 * x.width + 2.0 * x.hidden) * computed
    traffic = (kept * (block + vocabulary) + activations) / stream
    scores = 4.0 * x.heads * rows * context
    spilled = jnp.clip(scores / jnp.maximum(e.cached, 1.0), 0.0, 1.0)
    attended = x.layers * (2.0 * x.width * context * sequences * computed + 3.0 * scores * spilled)
    products = 4.0 * x.layers * x.width * rows * context / (e.attention * x.flops)
    convert = jnp.where(x.weights == 2, e.convert * (block + vocabulary), 0.0)
    return (
        jnp.maximum(arithmetic, traffic)
        + jnp.maximum(products, attended / stream)
        + convert
        + e.launch * x.layers
    )


class Costs(NamedTuple):
    """Seconds of the parts of serving.

    Attributes:
        once: before the first request.
        prefill: of the prompts of a batch, or of one prompt that is admitted.
        step: of one token of every slot.
        chunks: number of chunks of a prompt, 1 without.
        mixed: of a chunk beside a decoding step.
        slots: requests that fit into memory at once, at most the batch.
    """

    once: jax.Array
    prefill: jax.Array
    step: jax.Array
    chunks: jax.Array
    mixed: jax.Array
    slots: jax.Array


def costs(x: Sheet, e: Efficiency) -> Costs:
    """Seconds of the parts of serving a workload, and the slots that fit."""
    computed = jnp.asarray([4.0, 2.0, 4.0])[x.weights]
    kept = jnp.asarray([4.0, 2.0, 1.0])[x.weights]
    most = jnp.max(x.lengths)
    slots_of_cache = x.prompt + most
    known = x.reuse * x.prefix
    rest = x.prompt - known
    chunked = x.chunk > 0
    chunks = jnp.where(chunked, jnp.ceil(rest / jnp.maximum(x.chunk, 1.0)), 1.0)
    size = rest / chunks
    context = jnp.where(chunked, known + (rest + size) / 2.0, x.prompt)
    row = 2.0 * x.layers * x.width * computed  # bytes of keys and values of a token

    weights = kept * (x.layers * x.width * (4.0 * x.width + 2.0 * x.hidden) + x.vocab * x.width)
    tokens = jnp.where(x.cache > 0, size, slots_of_cache)
    working = tokens * (6.0 * x.width + 2.0 * x.hidden + x.heads * context) * computed
    free = jnp.maximum(x.memory - weights - row * known, 0.0)
    fit = jnp.floor(free / (row * slots_of_cache * x.cache + working))
    slots = jnp.clip(fit, 1.0, x.batch)

    copied = x.reuse * 2.0 * row * known / (e.stream * x.bandwidth)
    inserted = 2.0 * row * slots_of_cache / (e.stream * x.bandwidth)
    looked_up = x.reuse * e.host
    admitted = jnp.where(x.continuous > 0, 1.0, slots)
    chunk = pass_seconds(x, e, admitted * size, admitted, context, admitted)
    prefill = chunks * chunk + admitted * (copied + looked_up) + x.continuous * inserted
    cached_step = pass_seconds(x, e, slots, slots, slots_of_cache, slots)
    every = slots * slots_of_cache
    whole = pass_seconds(x, e, every, slots, slots_of_cache, every)
    step = jnp.where(x.cache > 0, cached_step, whole) + x.continuous * e.host
    mixed = chunk + step - e.fused * jnp.minimum(chunk, step)
    once = pass_seconds(x, e, jnp.maximum(known, 1.0), 1.0, known, 1.0)
    return Costs(
        once=jnp.where(known > 0, once, 0.0),
        prefill=jnp.where(x.cache > 0, prefill, 0.0),
        step=step,
        chunks=chunks,
        mixed=mixed + x.reuse * (copied + looked_up) / chunks,
        slots=slots,
    )


def serving_seconds(x: Sheet, e: Efficiency, num_slots: int) -> jax.Array:
    """Seconds of one cell and method: of the whole run, or the mean latency with arrivals.

    Args:
        x: of the cell and method.
        e: of the device.
        num_slots: at least ``x.batch``; static.
    """
    part = costs(x, e)
    extra = jnp.where(x.cache > 0, 0.0, 1.0)  # without a cache the first token is a step as well
    lengths = x.lengths + extra
    static = static_seconds(x, part, lengths)
    continuous = continuous_seconds(x, part, lengths, num_slots)
    return part.once + jnp.where(x.continuous > 0, continuous, static)


roofline = jax.jit(jax.vmap(serving_seconds, in_axes=(0, 0, None)), static_argnames=("num_slots",))
"""Seconds ``[K]`` of sheets and efficiencies with leaves ``[K, ...]``."""
