"""Quantized models whose products can be checked: one program for the prover and the verifier."""

import dataclasses
import functools
import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.verify import _mlp, _transformer, field, merkle
from jaxswarm.trust.verify._freivalds import Product, holds
from jaxswarm.types import ArrayLike

MODULES: dict[str, Any] = {"mlp": _mlp, "transformer": _transformer}
"""Functions of each kind of model. The main one is ``program(params, sizes, inputs, claimed)``,
which gives outputs ``int32`` and all products, and computes in integers throughout: the prover's
products are computed, where ``claimed`` is ``None``, the verifier's are those claimed; all else is
recomputed by both."""


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["params"], meta_fields=["kind", "sizes"]
)
@dataclasses.dataclass(frozen=True)
class QuantizedModel:
    """A network in integers; :func:`quantize` and :func:`quantized_transformer` make them.

    ``model(x)`` gives outputs in real numbers. All functions of a model are deterministic to the
    bit on every machine.

    Attributes:
        params: integer arrays, and ``float64`` scales ``input_scale`` and ``output_scale``.
        kind: static; ``"mlp"`` or ``"transformer"``.
        sizes: static; what the program needs besides.
    """

    params: dict[str, Any]
    kind: str
    sizes: Any

    def __call__(self, x: ArrayLike) -> jax.Array:
        """Compute outputs ``float32``, for a multi-layer perceptron ``[B, n]``, logits.

        Raises:
            ValueError: as :meth:`inputs`.
        """
        outputs, _ = run(self, self.inputs(x))
        return outputs.astype(jnp.float32) * jnp.float32(self.params["output_scale"])

    def inputs(self, x: ArrayLike) -> jax.Array:
        """Quantize inputs: ``int32[B, d]`` of a perceptron; tokens ``int32[B, T]`` stay.

        Raises:
            ValueError: for values that are not finite or outside the range of the calibration
                (they would be clipped), tokens outside the vocabulary, or another shape.
        """
        return MODULES[self.kind].inputs(self.params, self.sizes, checks.concrete("x", x))

    @property
    def input_bounds(self) -> tuple[int, int]:
        """Smallest and largest entry of quantized inputs."""
        return MODULES[self.kind].input_bounds(self.sizes)

    @functools.cached_property
    def root(self) -> bytes:
        """Commitment to the program, sizes and parameters, 32 bytes (a Merkle root)."""
        leaves, _ = jax.tree_util.tree_flatten_with_path(self.params)
        header = json.dumps([self.kind, dataclasses.asdict(self.sizes)], sort_keys=True)
        named = [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves]
        return merkle.root(
            [
                header.encode(),
                *(name.encode() + b"\0" + merkle.array_root(leaf) for name, leaf in named),
            ]
        )

    def __repr__(self) -> str:
        return f"QuantizedModel({self.kind}, {self.sizes})"


def run(model: QuantizedModel, inputs: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    """Execute a model in integers; runs inside ``jit``.

    Args:
        model: what to run.
        inputs: of :meth:`QuantizedModel.inputs`.

    Returns:
        ``(outputs int32, the products int32[..., m, n] in order)``.

    Raises:
        ValueError: for inputs that are not ``int32`` of two axes.
    """
    check_model(model)
    return _run(model, _check_inputs(inputs))


@jax.jit
def _run(model: QuantizedModel, inputs: jax.Array) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    outputs, made = MODULES[model.kind].program(model.params, model.sizes, inputs, None)
    return outputs, tuple(factors.c for factors in made)


def check_products(
    model: QuantizedModel,
    inputs: jax.Array,
    products: tuple[jax.Array, ...],
    challenges: tuple[jax.Array, ...],
    modulus: int = field.MERSENNE,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Check claimed products of a model; runs inside ``jit`` and under ``vmap``.

    The elementwise steps are recomputed from the claimed products; no product is.

    Args:
        model: the public model.
        inputs: ``int32``, of :meth:`QuantizedModel.inputs`.
        products: claimed ones, as :func:`run` gives them.
        challenges: residues ``uint32[R, n]`` for each product of ``n`` columns, ``R`` repetitions.
        modulus: see :func:`freivalds`.

    Returns:
        ``(outputs int32, right bool[number of products], in_range bool[number of products])``: a
        product is right if all repetitions accept, and in range if all its entries are within the
        bound of its factors; entries outside are clipped before anything is computed from them.

    Raises:
        ValueError: for a modulus that does not hold the products, or numbers and shapes of
            products or challenges that do not fit.
    """
    check_model(model)
    p = check_modulus(model, modulus)
    inputs = _check_inputs(inputs)
    wanted = plan(model, inputs.shape)
    if len(products) != len(wanted) or len(challenges) != len(wanted):
        raise ValueError(
            f"products, challenges: expected {len(wanted)} of each, got {len(products)} and "
            f"{len(challenges)}"
        )
    for sizes, product, challenge in zip(wanted, products, challenges, strict=True):
        if product.shape != sizes.shape or product.dtype != np.int32:
            raise ValueError(
                f"products: expected int32{list(sizes.shape)}, got {checks.shown(product)}"
            )
        if challenge.ndim != 2 or challenge.shape[1] != sizes.columns or not len(challenge):
            raise ValueError(
                f"challenges: expected uint32[R, {sizes.columns}], got {checks.shown(challenge)}"
            )
    return _check_products(model, inputs, products, challenges, p)


@functools.partial(jax.jit, static_argnums=4)
def _check_products(
    model: QuantizedModel,
    inputs: jax.Array,
    products: tuple[jax.Array, ...],
    challenges: tuple[jax.Array, ...],
    p: int,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    bounds = [sizes.largest for sizes in plan(model, inputs.shape)]
    known = tuple(jnp.clip(c, -b, b) for c, b in zip(products, bounds, strict=True))
    in_range = [jnp.all(c == given) for c, given in zip(known, products, strict=True)]
    outputs, made = MODULES[model.kind].program(model.params, model.sizes, inputs, known)

    right = [holds(factors, r, p) for factors, r in zip(made, challenges, strict=True)]
    return outputs, jnp.stack(right), jnp.stack(in_range)


def plan(model: QuantizedModel, shape: tuple[int, ...]) -> tuple[Product, ...]:
    """Sizes of the products of a model for inputs of a shape, in order.

    Raises:
        ValueError: for a shape that does not fit.
    """
    check_model(model)
    return _plan(model.kind, model.sizes, tuple(shape))


@functools.lru_cache(maxsize=256)
def _plan(kind: str, sizes: Any, shape: tuple[int, ...]) -> tuple[Product, ...]:
    return tuple(MODULES[kind].plan(sizes, shape))


def check_modulus(model: QuantizedModel, modulus: Any) -> int:
    """Check that a prime field holds all integers of a model's products, so that none wraps.

    Raises:
        ValueError: unless it is a prime above twice the largest product.
    """
    p = field.check_modulus(modulus)
    largest = model.sizes.largest
    if 2 * largest >= p:
        raise ValueError(
            f"modulus: expected a prime above {2 * largest}, twice the largest product of the "
            f"model, got {p}; fewer bits make smaller products"
        )
    return p


def check_model(model: Any, name: str = "model") -> QuantizedModel:
    """Check that an argument is a quantized model and return it.

    Raises:
        ValueError: naming the argument.
    """
    return checks.instance(name, model, QuantizedModel, "verify.quantize(params, x)")


def _check_inputs(inputs: Any) -> jax.Array:
    known = checks.is_traced(inputs)
    array = inputs if known else checks.as_array("inputs", inputs, "int32[B, d]")
    if array.dtype != np.int32 or array.ndim != 2 or not math.prod(array.shape):
        raise ValueError(f"inputs: expected int32[B, d], got {checks.shown(inputs)}")
    return jnp.asarray(array)
