"""Section ``local``: the batched local step against the matrix products that it consists of.

Every product is timed alone, at its best over operand orders and precisions; what is lost between
their sum and the step is the price of everything else. With a batch of 16 each weight takes part in
few operations, so products and step alike are bound by memory, not by arithmetic.
"""

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import workload
from benchmarks.scaling import learners
from benchmarks.scaling.timing import Program, Row, Setting, by_turns, seconds_of
from benchmarks.workload import BATCH, CLASSES, FEATURES, HIDDEN, PARAMETERS
from jaxswarm import data, gossip

PRODUCTS = {
    "forward 1": ("nbi,nij->nbj", (BATCH, FEATURES), (FEATURES, HIDDEN)),
    "forward 2": ("nbj,njc->nbc", (BATCH, HIDDEN), (HIDDEN, CLASSES)),
    "weights 2": ("nbj,nbc->njc", (BATCH, HIDDEN), (BATCH, CLASSES)),
    "hidden": ("nbc,njc->nbj", (BATCH, CLASSES), (HIDDEN, CLASSES)),
    "weights 1": ("nbi,nbj->nij", (BATCH, FEATURES), (BATCH, HIDDEN)),
}

CALLS = 20


def rows(given: Setting) -> Iterator[Row]:
    """The step, the sum of its products at their best, and the ratio."""
    n = 100 if given.quick else 10_000 if given.is_gpu else 1_000
    print(f"local: {n} agents", file=sys.stderr)
    products = [_best_product(name, n, given) for name in PRODUCTS]
    best = sum(product["seconds"] for product in products)
    program = step_program(n)
    (second,) = by_turns([program], lambda: learners.initial(n), given)
    row: Row = {"case": "learner's step", "agents": n, "products_s": best, "products": products}
    if isinstance(second, str):
        yield row | {"skipped": second}
        return
    flops = n * workload.FLOPS_PER_UPDATE
    yield row | {
        "step_s": second,
        "ratio": best / second,
        "step_gflops": flops / second / 1e9,
        "products_gflops": flops / best / 1e9,
        "passes_over_parameters": second * given.copy_gbs * 1e9 / (4.0 * n * PARAMETERS),
        "compile_s": program.compile_s,
    }


def step_program(n: int) -> Program:
    """The learner's step without gossip on one fixed batch, many calls in a row."""
    alone = learners.learner(gossip.identity(), sample=None)

    def run(batch: data.Batch, key: jax.Array, state: Any) -> Any:
        return alone.step(key, state, batch)[0]

    return Program("learner", run, fixed_batch(n), jax.random.key(1), rounds=1, calls=CALLS)


def fixed_batch(n: int) -> data.Batch:
    """One random batch for every agent."""
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.uniform(keys[0], (n, BATCH, FEATURES))
    y = jax.random.randint(keys[1], (n, BATCH), 0, CLASSES)
    return data.Batch(x, y, jnp.ones((n, BATCH)))


def _best_product(name: str, n: int, given: Setting) -> Row:
    """The fastest of both operand orders and of the precisions that the device knows."""
    equation, left, right = PRODUCTS[name]
    first, second, out = equation.replace("->", ",").split(",")
    keys = jax.random.split(jax.random.key(0), 2)
    a, b = (jax.random.normal(k, (n, *s)) for k, s in zip(keys, (left, right), strict=True))
    precisions: dict[str, Any] = {"default": None}
    if given.is_gpu:
        precisions["highest"] = jax.lax.Precision.HIGHEST
        precisions["tf32"] = jax.lax.DotAlgorithmPreset.TF32_TF32_F32
    found: dict[str, float] = {}
    for label, precision in precisions.items():
        straight = _product(equation, precision)
        turned = _product(f"{second},{first}->{out[0]}{out[2]}{out[1]}", precision)
        try:
            found[label] = seconds_of(lambda f=straight: f(a, b), given, calls=CALLS)
            found[f"{label}, turned"] = seconds_of(lambda f=turned: f(b, a), given, calls=CALLS)
        except (jax.errors.JaxRuntimeError, ValueError, NotImplementedError) as error:
            print(f"local: {name}, {label}: {str(error)[:200]}", file=sys.stderr)
    best = min(found, key=found.__getitem__)
    extents = dict(zip(first + second, (n, *left, n, *right), strict=True))
    return {
        "product": name,
        "best": best,
        "seconds": found[best],
        "gflops": 2.0 * math.prod(extents.values()) / found[best] / 1e9,
        "tried": found,
    }


def _product(equation: str, precision: Any) -> Callable[..., jax.Array]:
    return jax.jit(lambda a, b: jnp.einsum(equation, a, b, precision=precision))
