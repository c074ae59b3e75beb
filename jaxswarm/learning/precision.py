"""Mixed-precision losses: float32 parameters, bfloat16 arithmetic.

The number formats of storage, messages and arithmetic are three separate choices:

* storage: the dtype that the parameters start with. bfloat16 halves the memory of everything.
* messages: ``gossip.compressed(rule, gossip.cast(), error_feedback=False)`` sends bfloat16.
* arithmetic: :func:`mixed_precision` runs a loss and its gradient in bfloat16.

Sums over agents (mixing, means, disagreement) and over classes (cross-entropy) are always taken in
float32 at least.

References:
    P. Micikevicius et al., Mixed precision training, 2018 (float32 master weights).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from jaxswarm import checks
from jaxswarm.types import Params, PyTree


def mixed_precision(
    loss: Callable[..., Any], dtype: DTypeLike = jnp.bfloat16
) -> Callable[..., Any]:
    """Compute a loss and its gradient in a narrow floating type on float32 parameters.

    Args:
        loss: as :func:`jaxswarm.learning` takes it, stateful and stochastic ones too.
        dtype: floating type that parameters, model state and batch are rounded to inside.

    Returns:
        A loss whose value, gradients and model state have the dtypes that they had.

    Raises:
        ValueError: if ``loss`` is not callable or ``dtype`` is not a floating type.
    """
    checks.function("loss", loss)
    try:
        floating = dtype is not None and jnp.issubdtype(jnp.dtype(dtype), jnp.floating)
    except TypeError:
        floating = False
    if not floating:
        raise ValueError(f"dtype: expected a floating type such as bfloat16, got {dtype!r}")

    def narrow(tree: PyTree) -> PyTree:
        def leaf(x: Any) -> Any:
            return x.astype(dtype) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x

        return jax.tree.map(leaf, tree)

    def widened(new: Any, old: Any) -> Any:
        both = all(jnp.issubdtype(jnp.result_type(x), jnp.floating) for x in (new, old))
        return new.astype(jnp.result_type(old)) if both else new

    def narrowed(params: Params, *rest: Any) -> Any:
        out = loss(narrow(params), *narrow(rest))
        if not isinstance(out, tuple):
            return out.astype(jnp.float32)
        value, *others = out
        # What is like the model state is one; metrics stay as they are.
        if others and jax.tree.structure(others[0]) == jax.tree.structure(rest[0]):
            others[0] = jax.tree.map(widened, others[0], rest[0])
        return value.astype(jnp.float32), *others

    return narrowed
