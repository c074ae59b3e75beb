"""Low-rank adapters (LoRA) as a pytree of their own beside frozen parameters.

An adapter gives each kernel ``W: [I, O]`` that it covers two factors ``a: [I, R]`` and
``b: [R, O]``; the adapted kernel is ``W + (alpha / R) a b``.

References:
    E. Hu et al., LoRA: low-rank adaptation of large language models, 2021.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models.transformer._model import LanguageModel, check_model
from jaxswarm.models.transformer._network import Outputs
from jaxswarm.types import Key, Params, PyTree

TARGETS = ("qkv", "out", "up", "down")
"""Dense layers of a block of the transformer."""


class Lora(NamedTuple):
    """Functions of low-rank adapters for one agent's parameters.

    Attributes:
        init: ``init(key, params) -> adapter``, which changes nothing yet (``b = 0``): a dict from
            the path of a layer, ``"block_0/qkv"``, to its factors ``{"a", "b"}``.
        merge: ``merge(params, adapter) -> params`` of the same shapes, differentiable in both.
    """

    init: Callable[[Key, Params], PyTree]
    merge: Callable[[Params, PyTree], Params]


def lora(rank: int, *, alpha: float | None = None, targets: Sequence[str] = ("qkv",)) -> Lora:
    """Low-rank adaptation of the kernels of some layers.

    Args:
        rank: ``R >= 1``.
        alpha: the change is scaled by ``alpha / R``; ``R`` if ``None``.
        targets: names of layers, of which ``kernel`` is adapted wherever they occur; those of the
            transformer are ``TARGETS``.

    Raises:
        ValueError: for arguments out of range; by ``init``, if no layer has one of the names.

    Example:
        >>> import jax
        >>> from jaxswarm.models import transformer
        >>> model = transformer.from_config(transformer.Config(vocab_size=12, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> adapters = transformer.lora(2)
        >>> adapter = adapters.init(jax.random.key(1), params)
        >>> sorted(adapter), adapter["block_0/qkv"]["a"].shape
        (['block_0/qkv', 'block_1/qkv'], (8, 2))
        >>> tuned = transformer.adapted(model, params, adapters)  # its parameters are the adapter
        >>> tuned.apply(adapter, jax.numpy.ones((1, 4), int)).logits.shape
        (1, 4, 12)
    """
    rank = checks.whole("rank", rank, 1)
    scale = 1.0 if alpha is None else float(checks.real("alpha", alpha, above=0.0)) / rank
    if isinstance(targets, str) or not targets or not all(isinstance(t, str) for t in targets):
        raise ValueError(
            f"targets: expected names of layers such as {TARGETS}, got {checks.shown(targets)}"
        )
    names = frozenset(targets)

    def init(key: Key, params: Params) -> PyTree:
        checks.key(key)
        kernels = {
            path: layer["kernel"]
            for path, layer in _layers(params, "")
            if path.rpartition("/")[2] in names and "kernel" in layer
        }
        if not kernels:
            raise ValueError(
                f"targets: expected names of layers with a kernel in params, got {tuple(targets)}"
            )
        adapter = {}
        for i, (path, kernel) in enumerate(sorted(kernels.items())):
            inputs, outputs = kernel.shape
            noise = jax.random.normal(jax.random.fold_in(key, i), (inputs, rank), kernel.dtype)
            adapter[path] = {
                "a": noise / jnp.sqrt(jnp.asarray(inputs, kernel.dtype)),
                "b": jnp.zeros((rank, outputs), kernel.dtype),
            }
        return adapter

    def merge(params: Params, adapter: PyTree) -> Params:
        return _merged(params, adapter, scale, "")

    return Lora(init, merge)


def adapted(model: LanguageModel, params: Params, adapters: Lora) -> LanguageModel:
    """A language model whose parameters are an adapter, over frozen parameters.

    Any learner then trains the adapter alone.

    Args:
        model: of one agent.
        params: the frozen parameters; may be traced, so that agents may have different ones.
        adapters: see :func:`lora`.

    Raises:
        ValueError: for a model or adapters of another kind.
    """
    check_model(model)
    checks.instance("adapters", adapters, Lora, "transformer.lora(2)")

    def init(key: Key) -> PyTree:
        return adapters.init(key, params)

    def apply(adapter: PyTree, tokens: jax.Array, mask: jax.Array | None = None) -> Outputs:
        return model.apply(adapters.merge(params, adapter), tokens, mask)

    def extend(
        adapter: PyTree, cache: PyTree, tokens: jax.Array, mask: jax.Array | None = None
    ) -> tuple[Outputs, PyTree]:
        return model.extend(adapters.merge(params, adapter), cache, tokens, mask)

    def extend_at(
        adapter: PyTree, cache: PyTree, tokens: jax.Array, mask: jax.Array | None, at: jax.Array
    ) -> tuple[Outputs, PyTree]:
        assert model.extend_at is not None
        return model.extend_at(adapters.merge(params, adapter), cache, tokens, mask, at)

    shortcut = None if model.extend_at is None else extend_at
    return model._replace(init=init, apply=apply, extend=extend, extend_at=shortcut)


def _layers(params: Any, path: str) -> list[tuple[str, Mapping[str, Any]]]:
    """All dicts inside nested dicts with their paths."""
    found = []
    for name, value in params.items():
        if isinstance(value, Mapping):
            inner = f"{path}/{name}" if path else name
            found += [(inner, value), *_layers(value, inner)]
    return found


def _merged(params: Any, adapter: PyTree, scale: float, path: str) -> Any:
    merged = {}
    for name, value in params.items():
        inner = f"{path}/{name}" if path else name
        if isinstance(value, Mapping):
            value = _merged(value, adapter, scale, inner)
            if inner in adapter:
                factors = adapter[inner]
                value["kernel"] = value["kernel"] + scale * (factors["a"] @ factors["b"])
        merged[name] = value
    return merged
