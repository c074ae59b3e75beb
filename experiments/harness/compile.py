"""``jax.jit`` for the training loops of experiments, compiled sooner than with XLA's defaults.

Programs may run at the same time on threads (while one waits or takes small steps the other uses
the core), with one exception: jaxlib's kernels of LAPACK split a *batch* of matrices among the
threads of XLA's pool and wait there for the parts. On two cores two such programs occupy both
threads with waiting, and neither ever ends (seen with jaxlib 0.10.1: ``spotrf`` in one thread,
``strsm`` in the other). So programs with a ``vmap`` of ``cholesky``, ``solve``, ``eigh``, ``qr`` or
``svd`` run one after another, or loop over the batch by ``jax.lax.map``: a single matrix is not
split. Programs without linear algebra are not affected.
"""

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import gossip
from jaxswarm.types import Key, PyTree

LEVEL = "xla_backend_optimization_level"
PLAIN = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}


def jit_fast_compile(fn: Callable[..., Any], *, level: int = 2, plain: bool = False) -> Any:
    """Compile ``fn`` like ``jax.jit``, at a lower LLVM optimization level on CPUs.

    Learners with small networks compile in half to a third of the time and run no slower. Not for
    gossip on large arrays, whose loops need level 3 (benchmarks/README.md). A level given in
    ``XLA_FLAGS`` stands.

    Args:
        fn: the function.
        level: 0 for what runs once, such as drawing initial parameters: compiles in half the time
            of level 2 and runs several times slower. 1 suits programs that run for seconds. XLA's
            own is 3.
        plain: with jaxlib 0.10, XLA's plain fusions in one piece: learners with small networks
            compile in two thirds of the time and run no slower.

    Example:
        >>> double = jit_fast_compile(lambda x: 2 * x)
        >>> int(double(3))
        6
    """
    if jax.default_backend() != "cpu" or LEVEL in os.environ.get("XLA_FLAGS", ""):
        return jax.jit(fn)
    options: dict[str, Any] = {LEVEL: level}
    if plain and version("jaxlib").startswith("0.10."):
        given = os.environ.get("XLA_FLAGS", "")
        options |= {name: value for name, value in PLAIN.items() if name not in given}
    return jax.jit(fn, compiler_options=options)


def as_one_leaf(rule: gossip.GossipTransformation) -> gossip.GossipTransformation:
    """The same rule on all weights as one vector, which compiles sooner than many leaves."""

    def flat(tree: PyTree) -> jax.Array:
        return jnp.concatenate([x.reshape(len(x), -1) for x in jax.tree.leaves(tree)], axis=1)

    def mix(
        key: Key, params: PyTree, state: PyTree, exchange: gossip.Exchange
    ) -> tuple[PyTree, PyTree, gossip.Traffic]:
        mixed, state, traffic = rule.mix(key, flat(params), state, exchange)
        leaves, structure = jax.tree.flatten(params)
        ends = np.cumsum([x[0].size for x in leaves])
        parts = jnp.split(mixed, ends[:-1], axis=1)
        shaped = [part.reshape(x.shape) for part, x in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(structure, shaped), state, traffic

    return gossip.GossipTransformation(lambda params: rule.init(flat(params)), mix, rule.supports)
