"""A hand-written GPU kernel for mixing on sparse graphs: ``Σ_k w_ik m[nbr_ik]`` in one pass.

XLA's fused gathers walk the output row by row, so on a graph without locality every row is fetched
from memory once per neighbour. The kernel walks it in slabs of a few columns: one slab of all
agents fits the cache, and what a row's first reader fetched its other readers find there. Memory
then moves little more than one read and one write of the parameters, whatever the degree.

It is written for Pallas's Triton backend, which jax 0.11 deprecates: do not build on it.
Nothing uses it on its own account: ``mix`` stays with XLA, which is the oracle and the fallback
here. Reverse-mode derivatives go through XLA's path; forward-mode ones are not defined.

Shapes: ``N`` agents, ``K`` neighbour slots, ``P`` parameters.

References: Triton, an intermediate language and compiler for tiled neural network computations
    (P. Tillet, H. T. Kung, D. Cox), 2019.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.gossip._operator import accumulator, apply
from jaxswarm.gossip.sparse_layouts import UNROLLED_SLOTS, Gather

PyTree = Any

BLOCK = (16, 64)
"""Rows and columns of one program: 256 bytes of a row, so that slabs stay narrow."""


def mix(
    W: Gather,
    tree: PyTree,
    messages: PyTree | None = None,
    *,
    block: tuple[int, int] = BLOCK,
    num_warps: int = 4,
    interpret: bool = False,
) -> PyTree:
    """``W x`` for every leaf of ``tree`` by the kernel, on CUDA devices; by XLA on all others.

    Args:
        W: a single operator of layout ``gather`` over one bucket: a graph of nearly equal degrees.
        tree: what the agents hold; floating leaves ``[N, ...]``.
        messages: what they tell the others, ``tree`` itself if omitted; same structure.
        block: rows and columns of one program, powers of two.
        num_warps: warps of one program.
        interpret: run the kernel's Python on any device: slow, for tests.

    Returns:
        A tree like ``tree``. Sums are taken in at least float32.

    Raises:
        ValueError: another layout, a sequence, several buckets, or a block that is not two powers
            of two.
    """
    _check(W, block)
    sent = tree if messages is None else messages
    run = functools.partial(_leaf, block, num_warps, interpret)
    return jax.tree.map(lambda own, message: run(W, own, message), tree, sent)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _leaf(
    block: tuple[int, int],
    num_warps: int,
    interpret: bool,
    W: Gather,
    own: jax.Array,
    messages: jax.Array,
) -> jax.Array:
    kernel = functools.partial(_launch, block, num_warps, interpret)
    if interpret:
        return kernel(W, own, messages)
    return jax.lax.platform_dependent(W, own, messages, cuda=kernel, default=apply)


def _forward(
    block: tuple[int, int],
    num_warps: int,
    interpret: bool,
    W: Gather,
    own: jax.Array,
    messages: jax.Array,
) -> tuple[jax.Array, Any]:
    return _leaf(block, num_warps, interpret, W, own, messages), (W, own, messages)


def _backward(
    block: tuple[int, int], num_warps: int, interpret: bool, saved: Any, cotangent: jax.Array
) -> Any:
    del block, num_warps, interpret
    return jax.vjp(apply, *saved)[1](cotangent)


_leaf.defvjp(_forward, _backward)


def _launch(
    block: tuple[int, int],
    num_warps: int,
    interpret: bool,
    W: Gather,
    own: jax.Array,
    messages: jax.Array,
) -> jax.Array:
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    n = own.shape[0]
    flat, sent = own.reshape(n, -1), messages.reshape(n, -1)
    bucket = W.buckets[0]
    programs = pl.cdiv(n, block[0]) * pl.cdiv(flat.shape[1], block[1])
    mixed = pl.pallas_call(
        functools.partial(_kernel, block),
        out_shape=jax.ShapeDtypeStruct(flat.shape, flat.dtype),
        grid=(programs,),
        compiler_params=triton.CompilerParams(num_warps=num_warps, num_stages=2),
        interpret=interpret,
        name="gather_mix",
    )(W.self_weights, bucket.neighbors, bucket.weights, flat, sent)
    return mixed.reshape(own.shape)


def _kernel(
    block: tuple[int, int],
    self_weights: Any,
    neighbors: Any,
    weights: Any,
    own: Any,
    messages: Any,
    out: Any,
) -> None:
    """One block of the output; consecutive programs share a slab of columns."""
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    n, width = own.shape
    tiles = pl.cdiv(n, block[0])
    program = pl.program_id(0)
    row = jax.lax.rem(program, tiles) * block[0] + jnp.arange(block[0])
    column = jax.lax.div(program, tiles) * block[1] + jnp.arange(block[1])
    real = row < n
    inside = real[:, None] & (column < width)[None, :]
    wide = accumulator(own)

    def rows(ref: Any, index: jax.Array) -> jax.Array:
        return triton.load(ref.at[index[:, None], column[None, :]], mask=inside, other=0).astype(
            wide
        )

    def add(k: Any, total: jax.Array) -> jax.Array:
        neighbor = triton.load(neighbors.at[row, k], mask=real, other=0)
        weight = triton.load(weights.at[row, k], mask=real, other=0).astype(wide)
        return total + weight[:, None] * rows(messages, neighbor)

    held = triton.load(self_weights.at[row], mask=real, other=0).astype(wide)
    total = held[:, None] * rows(own, row)
    num_slots = neighbors.shape[1]
    if num_slots <= UNROLLED_SLOTS:
        for k in range(num_slots):
            total = add(k, total)
    else:
        total = jax.lax.fori_loop(0, num_slots, add, total)
    triton.store(out.at[row[:, None], column[None, :]], total.astype(out.dtype), mask=inside)


def _check(W: Gather, block: tuple[int, int]) -> None:
    if not isinstance(W, Gather) or W.is_sequence:
        raise ValueError(
            "W: expected a single mixing operator of layout 'gather', got "
            + (f"a sequence of {W.layout!r}" if W.is_sequence else f"layout {W.layout!r}")
        )
    if len(W.buckets) != 1 or W.buckets[0].rows is not None:
        raise ValueError(
            f"W: expected one bucket over all agents, got {len(W.buckets)} buckets: degrees differ "
            "too much for padded rows"
        )
    if len(block) != 2 or any(size < 1 or size & (size - 1) for size in block):
        raise ValueError(f"block: expected two powers of two (rows, columns), got {block}")
