"""Serving of many requests by one transformer, with real acceleration choices.

Requests are prompts of one length and numbers of tokens to generate; each gets its most probable
tokens, the same ones whatever the choices (up to rounding with bfloat16 and int8). A whole run is
one compiled program: static batches by ``lax.scan``, in-flight batching by a ``while_loop`` that
admits a request or decodes one token for all slots.

Shapes: ``R`` requests, ``P`` tokens of a prompt, ``S`` of the common prefix, ``T`` new tokens at
most, ``B`` slots of a batch, ``V`` tokens of the vocabulary.

References:
    R. Pope et al., Efficiently scaling transformer inference, 2022 (KV cache, batches).
    G. Yu et al., Orca: a distributed serving system for transformer-based generative models, 2022
    (in-flight batching).
    W. Kwon et al., Efficient memory management for large language model serving with
    PagedAttention, 2023 (prefix reuse).
    A. Agrawal et al., SARATHI: efficient LLM inference by piggybacking decodes with chunked
    prefills, 2023.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models.transformer._config import Config
from jaxswarm.models.transformer._model import LanguageModel, check_model, check_tokens, from_config
from jaxswarm.models.transformer.serving import _batches
from jaxswarm.models.transformer.serving._acceleration import Acceleration
from jaxswarm.models.transformer.serving._weights import store
from jaxswarm.types import Params, PyTree


class Served(NamedTuple):
    """Tokens of all requests.

    Attributes:
        tokens: ``int32[R, T]``, 0 after the end of a request.
        steps: ``int32[]``, how often the network processed new tokens of a batch; a measure of
            padding and of waiting that does not depend on the device.
    """

    tokens: jax.Array
    steps: jax.Array


class Server(NamedTuple):
    """Pure functions of a server, see :func:`server`.

    Attributes:
        load: ``load(params) -> weights``, what the server keeps of a model's parameters.
        run: ``run(weights, prompts: int[R, P], lengths: int[R]) -> Served``; ``lengths`` are the
            numbers of tokens to generate, in ``[1, T]``.
    """

    load: Callable[[Params], PyTree]
    run: Callable[..., Served]


def server(
    model: LanguageModel,
    acceleration: Acceleration,
    *,
    batch_size: int,
    prompt_length: int,
    max_new_tokens: int,
    prefix_length: int = 0,
) -> Server:
    """Make the pure functions of a server; compile ``run`` by ``jax.jit``.

    Args:
        model: a transformer of :func:`from_config`, one agent's.
        acceleration: see :class:`Acceleration`.
        batch_size: ``B >= 1``.
        prompt_length: ``P >= 1``.
        max_new_tokens: ``T >= 1``.
        prefix_length: ``S`` in ``[0, P)``, how many tokens all prompts have in common. Only prefix
            reuse makes use of it, and takes them from the first prompt.

    Raises:
        ValueError: for arguments of another kind or out of range; by ``run``, for prompts or
            lengths of another shape, lengths out of range, and with prefix reuse prompts that do
            not begin alike.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import transformer
        >>> from jaxswarm.models.transformer import serving
        >>> model = transformer.from_config(transformer.Config(vocab_size=12, width=8))
        >>> params = model.init(jax.random.key(0))
        >>> prompts = jnp.array([[3, 4, 5], [3, 4, 7], [3, 4, 9]])
        >>> fast = serving.Acceleration(prefix=True, continuous=True)
        >>> load, run = serving.server(
        ...     model, fast, batch_size=2, prompt_length=3, prefix_length=2, max_new_tokens=4
        ... )
        >>> jax.jit(run)(load(params), prompts, jnp.array([4, 1, 2])).tokens.shape
        (3, 4)
    """
    check_model(model)
    config = checks.instance("model.config", model.config, Config, "transformer.from_config(…)")
    checks.instance("acceleration", acceleration, Acceleration, "serving.Acceleration()")
    sizes = _batches.Sizes(
        checks.whole("batch_size", batch_size, 1),
        checks.whole("prompt_length", prompt_length, 1),
        checks.whole("prefix_length", prefix_length, 0, prompt_length - 1),
        checks.whole("max_new_tokens", max_new_tokens, 1),
    )
    if acceleration.weights == "bfloat16":
        model = from_config(dataclasses.replace(config, dtype="bfloat16"))
    serve = _batches.serving(model, acceleration, sizes)

    def load(params: Params) -> PyTree:
        return store(params, acceleration.weights)

    def run(weights: PyTree, prompts: jax.Array, lengths: jax.Array) -> Served:
        prompts, _ = check_tokens(prompts, None, config.vocab_size, "prompts")
        if prompts.shape[1] != prompt_length:
            raise ValueError(f"prompts: expected [R, {prompt_length}], got {checks.shown(prompts)}")
        lengths = checks.wholes("lengths", lengths, 1, max_new_tokens, shape=(len(prompts),))
        if acceleration.prefix and prefix_length and not checks.is_traced(prompts):
            common = np.asarray(prompts)[:, :prefix_length]
            if (common != common[:1]).any():
                raise ValueError(
                    f"prompts: expected the same first {prefix_length} tokens in each, got others"
                )
        return Served(*serve(weights, prompts, jnp.asarray(lengths, jnp.int32)))

    return Server(load, run)
