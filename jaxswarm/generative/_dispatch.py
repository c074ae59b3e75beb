"""Evaluation of one expert per sample with the parameters of that expert alone.

Shapes: ``K`` experts, ``B`` samples, ``b`` samples of a block.

References:
    T. Gale et al., MegaBlocks: efficient sparse training with mixture-of-experts, 2023 (blocks of
    samples of one expert instead of a fixed capacity per expert).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxswarm.types import Params, PyTree


def dispatch(
    function: Callable[..., jax.Array],
    params: Params,
    expert: jax.Array,
    *inputs: PyTree,
    block: int | None = None,
) -> jax.Array:
    """Apply to every sample the function of its own expert, grouped in blocks of one expert.

    Samples are sorted by expert and laid out in blocks that belong to one expert each, so that
    every block reads the parameters of one expert. The last block of an expert is padded: at most
    ``B + K (b - 1)`` samples are evaluated, against ``B K`` if every expert evaluates all of them.

    Args:
        function: ``function(params, *inputs) -> [b, ...]`` of one expert.
        params: leaves ``[K, ...]``.
        expert: ``int32[B]`` in ``[0, K)``.
        *inputs: pytrees with leaves ``[B, ...]``.
        block: ``b``; ``B / (4 K)`` by default, for which padding costs at most a quarter.

    Returns:
        ``[B, ...]``.
    """
    count = expert.shape[0]
    num_experts = jax.tree.leaves(params)[0].shape[0]
    size = max(1, count // (4 * num_experts)) if block is None else block
    num_blocks = (count + num_experts * (size - 1)) // size
    sizes = jnp.bincount(expert, length=num_experts)
    blocks = -(-sizes // size)  # of each expert
    last_block = jnp.cumsum(blocks)
    order = jnp.argsort(expert)  # stable
    sorted_expert = expert[order]
    rank = jnp.arange(count) - (jnp.cumsum(sizes) - sizes)[sorted_expert]  # within the expert
    slot = (last_block - blocks)[sorted_expert] * size + rank
    sample_of_slot = jnp.zeros(num_blocks * size, jnp.int32).at[slot].set(order.astype(jnp.int32))
    slot_of_sample = jnp.zeros(count, jnp.int32).at[order].set(slot.astype(jnp.int32))
    owner = jnp.searchsorted(last_block, jnp.arange(num_blocks), side="right")
    owner = jnp.minimum(owner, num_experts - 1)  # blocks that are not needed
    own_params = jax.tree.map(lambda leaf: leaf[owner], params)
    laid_out = jax.tree.map(
        lambda leaf: leaf[sample_of_slot].reshape(num_blocks, size, *leaf.shape[1:]), inputs
    )
    output = jax.vmap(function)(own_params, *laid_out)
    return output.reshape(num_blocks * size, *output.shape[2:])[slot_of_sample]
