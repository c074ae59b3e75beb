"""Section ``variants``: other ways to write the gather and the local step, to find the fastest.

What wins here, and only that, is worth a place in the library. Kernels run on CUDA devices only.
"""

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import workload
from benchmarks.scaling import kernels, learners, local
from benchmarks.scaling.mixing import bytes_touched, finished, normal
from benchmarks.scaling.timing import Program, Row, Setting, by_turns, too_large
from benchmarks.workload import BATCH, CLASSES, LEARNING_RATE
from jaxswarm import data, gossip, topology
from jaxswarm.gossip import Mixing

SIZES = ((1_000, 1_000_000), (10_000, 10_000), (10_000, 100_000), (100_000, 1_000))
BLOCKS = ((1, 1024), (4, 256), (8, 128), (16, 64), (32, 32), (64, 32), (64, 64))
CACHE_BYTES = 24e6
"""What of an H200's 50 MB L2 a slab of columns may take."""

Mix = Callable[..., Any]


def rows(given: Setting) -> Iterator[Row]:
    """Gathers, then local steps."""
    if given.is_gpu:
        yield from _errors()
    for n, size in ((100, 1_000),) if given.quick else SIZES:
        for degree in (4, 8):
            W = gossip.mixing(topology.random_regular(n, degree, seed=0), layout="gather")
            yield from _compare(W, degree, size, given)
        yield from _compare(gossip.mixing(topology.ring(n), layout="circulant"), 2, size, given)
    yield from _local_steps(given)


def einsum(W: Any, x: jax.Array) -> jax.Array:
    """One gather of all neighbours ``[N, K, P]`` and a contraction."""
    bucket = W.buckets[0]
    others = jnp.einsum("nk,nkp->np", bucket.weights, x[bucket.neighbors])
    return W.self_weights[:, None] * x + others


def taken(W: Any, x: jax.Array) -> jax.Array:
    """The same with messages in bf16, summed in float32."""
    bucket = W.buckets[0]
    sent = jnp.take(x.astype(jnp.bfloat16), bucket.neighbors, axis=0, mode="clip")
    others = jnp.sum(bucket.weights[:, :, None] * sent, axis=1)
    return W.self_weights[:, None] * x + others


def sent_in_bf16(W: Any, x: jax.Array) -> jax.Array:
    """The library's sum of gathers, messages rounded to bf16."""
    return gossip.mix(W, x, x.astype(jnp.bfloat16))


def slabs(W: Any, x: jax.Array) -> jax.Array:
    """The library's sum of gathers, for as many columns at a time as fit the cache."""
    n, size = x.shape
    fitting = max(int(CACHE_BYTES / (8 * n)), 32)
    width = min(1 << (fitting.bit_length() - 1), size)
    whole = size // width * width

    def body(i: jax.Array, out: jax.Array) -> jax.Array:
        slab = jax.lax.dynamic_slice_in_dim(x, i * width, width, axis=1)
        return jax.lax.dynamic_update_slice_in_dim(out, gossip.mix(W, slab), i * width, axis=1)

    out = jax.lax.fori_loop(0, whole // width, body, jnp.empty_like(x))
    return out if whole == size else out.at[:, whole:].set(gossip.mix(W, x[:, whole:]))


def looped(mix: Mix, rounds: int) -> Any:
    """``rounds`` rounds, one to a loop body."""
    return lambda W, x: jax.lax.fori_loop(0, rounds, lambda _, p: mix(W, p), x)


def paired(mix: Mix, rounds: int) -> Any:
    """``rounds`` rounds, two to a loop body: back and forth between two buffers, no copy."""

    def twice(W: Any, x: jax.Array) -> jax.Array:
        return mix(W, jax.lax.optimization_barrier(mix(W, x)))

    return lambda W, x: jax.lax.fori_loop(0, rounds // 2, lambda _, p: twice(W, p), x)


def fused_step(params: Any, batch: data.Batch) -> Any:
    """The local step by hand; weight gradients as sums over the batch, fused into the update."""
    first, second = params["Dense_0"], params["Dense_1"]
    before = jnp.einsum("nbi,nij->nbj", batch.x, first["kernel"]) + first["bias"][:, None]
    hidden = jax.nn.relu(before)
    logits = jnp.einsum("nbj,njc->nbc", hidden, second["kernel"]) + second["bias"][:, None]
    scale = batch.weight / jnp.sum(batch.weight, axis=1, keepdims=True)
    wrong = jax.nn.softmax(logits) - jax.nn.one_hot(batch.y, CLASSES)
    wrong = wrong * scale[:, :, None]
    back = jnp.einsum("nbc,njc->nbj", wrong, second["kernel"]) * (before > 0)

    def moved(layer: Any, inputs: jax.Array, errors: jax.Array) -> Any:
        kernel = layer["kernel"]
        for b in range(BATCH):
            kernel = kernel - LEARNING_RATE * inputs[:, b, :, None] * errors[:, b, None, :]
        return {"kernel": kernel, "bias": layer["bias"] - LEARNING_RATE * jnp.sum(errors, axis=1)}

    return {"Dense_0": moved(first, batch.x, back), "Dense_1": moved(second, hidden, wrong)}


def _kernels() -> dict[str, Mix]:
    found: dict[str, Mix] = {}
    for block in BLOCKS:
        for warps in (4, 8) if block == (64, 64) else (4,):
            name = f"kernel {block[0]}×{block[1]}, {warps} warps"
            found[name] = functools.partial(kernels.mix, block=block, num_warps=warps)
    return found


def _errors() -> Iterator[Row]:
    """The kernels' largest deviation from XLA's float32 sums of normal numbers."""
    W = gossip.mixing(topology.random_regular(1_000, 8, seed=0), layout="gather")
    x = normal(1_000, 777)
    expected = gossip.mix(W, x)
    for name, way in _kernels().items():
        row: Row = {"case": f"{name}: error", "agents": 1_000, "parameters": 777}
        try:
            error = jnp.max(jnp.abs(jax.jit(way)(W, x) - expected))
            yield row | {"error": float(error)}
        except Exception as failure:  # a backend that is gone, a block that does not compile
            yield row | {"skipped": f"{type(failure).__name__}: {str(failure)[:200]}"}


def _compare(W: Mixing, degree: int, size: int, given: Setting) -> Iterator[Row]:
    n = W.num_agents
    state_bytes = 4.0 * n * size
    touched = bytes_touched(W, degree, size)
    rounds = max(2, given.rounds_for(touched) // 2 * 2)
    print(f"variants: {W.layout}, degree {degree}, {n} agents, {size} parameters", file=sys.stderr)
    base = {"agents": n, "parameters": size, "layout": W.layout, "degree": degree}
    fits = too_large(state_bytes)
    if given.expired() or fits:
        yield base | {"case": "all", "skipped": fits or "out of time"}
        return
    programs = [
        Program("library", looped(gossip.mix, rounds), W, rounds=rounds),
        Program("library, two a body", paired(gossip.mix, rounds), W, rounds=rounds),
        Program("library, a call each", gossip.mix, W, rounds=1, calls=rounds, donate=False),
    ]
    if W.layout == "gather":
        ways: dict[str, Any] = {"sent in bf16": sent_in_bf16, "slabs": slabs}
        if not too_large(state_bytes, degree * state_bytes):
            ways |= {"einsum": einsum, "taken in bf16": taken}
        if given.is_gpu:
            ways |= _kernels()
        # Each alone, as one call after another: no loop, no copy back.
        programs += [
            Program(name, way, W, rounds=1, calls=rounds, donate=False)
            for name, way in ways.items()
        ]
        if given.is_gpu:
            programs.append(
                Program("kernel, two a body", paired(kernels.mix, rounds), W, rounds=rounds)
            )
    results = by_turns(programs, lambda: normal(n, size), given)
    for program, second in zip(programs, results, strict=True):
        row = base | {"case": program.name, "bytes_touched": touched}
        row = finished(row | {"bytes_minimal": 2 * state_bytes}, program, second, n)
        if program.compiled is not None:
            row["copies_of_state"] = program.state_copies((n, size))
        yield row


def _local_steps(given: Setting) -> Iterator[Row]:
    n = 100 if given.quick else 10_000 if given.is_gpu else 1_000
    batch = local.fixed_batch(n)
    params = lambda: workload.stacked_parameters(n, 0)  # noqa: E731
    print(f"variants: local steps of {n} agents", file=sys.stderr)
    (library,) = by_turns([local.step_program(n)], lambda: learners.initial(n), given)
    fused = Program("fused", lambda b, p: fused_step(p, b), batch, rounds=1, calls=local.CALLS)
    (by_hand,) = by_turns([fused], params, given)
    for name, second in (("local step, library", library), ("local step, fused", by_hand)):
        row: Row = {"case": name, "agents": n}
        yield row | ({"skipped": second} if isinstance(second, str) else {"step_s": second})
