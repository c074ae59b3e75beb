"""Matrix product of dense layers with a weight gradient that is fast on XLA's CPU backend.

The weight gradient ``xᵀ g`` contracts over the batch, the leading axis of both factors. On a CPU
XLA runs such a batched product at half the speed of the forward one; passing ``x`` already
transposed, behind a barrier so that the transposition is not folded back into the product, makes a
whole D-PSGD round of 100 small networks up to 1.4 times as fast (``benchmarks/README.md``). On
other backends the plain product is used.

Shapes: ``B`` samples of a batch, ``I`` inputs, ``O`` outputs.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm.models import layers


@jax.custom_jvp
def matmul(x: jax.Array, w: jax.Array) -> jax.Array:
    """``x @ w`` for ``x: [B, I]`` and ``w: [I, O]``; differentiable in both modes to any order."""
    return jnp.matmul(x, w)


@matmul.defjvp
def _matmul_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    (x, w), (dx, dw) = primals, tangents
    transposed = jax.lax.optimization_barrier(x.T)
    through_weights = jax.lax.dot_general(transposed, dw, (((0,), (0,)), ((), ())))
    return matmul(x, w), matmul(dx, w) + through_weights


def dot_general(
    lhs: jax.Array,
    rhs: jax.Array,
    dimension_numbers: Any,
    precision: Any = None,
    preferred_element_type: Any = None,
) -> jax.Array:
    """``dot_general`` for ``nn.Dense``: :func:`matmul` where that is faster, else jax's own."""
    plain = precision is None and preferred_element_type in (None, lhs.dtype)
    matrices = lhs.ndim == rhs.ndim == 2 and dimension_numbers == (((1,), (0,)), ((), ()))
    if plain and matrices and lhs.dtype == rhs.dtype and jax.default_backend() == "cpu":
        return matmul(lhs, rhs)
    return jax.lax.dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)


def dense(width: int, gain: float, **options: Any) -> nn.Dense:
    """``nn.Dense`` with normal weights of variance ``gain² / I``, for the networks of agents.

    Orthogonal matrices start no better in PPO and SAC here, and their program compiles ten times as
    long.

    Args:
        width: ``O``.
        gain: at least 0.
        options: of ``nn.Dense``.
    """
    init = layers.variance_scaling(gain**2, "fan_in", "normal")
    return layers.Dense(width, kernel_init=init, dot_general=dot_general, **options)
