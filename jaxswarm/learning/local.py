"""Local training: what every agent does on its own data between two exchanges.

Shapes: ``N`` agents on axis 0 of every leaf, ``B`` samples of a minibatch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm.models import Model
from jaxswarm.types import Key, Params, PyTree

Loss = Callable[..., Any]
"""``loss(params, batch) -> scalar`` of one agent, or a variant of :func:`objective`."""

Sample = Callable[[jax.Array, Any], Any]
"""``sample(key, inputs) -> batch`` of all agents, leaves ``[N, B, ...]``."""


class Objective(NamedTuple):
    """A user's loss in one internal form, with gradients for all agents at once.

    Attributes:
        value_and_grad: ``(key, params, model_state, batch) -> (losses [N], model_state, grads,
            metrics)``.
        sample: ``(key, inputs) -> batch``, leaves ``[N, B, ...]``.
        context: ``(key, params, model_state, batch) -> leaves [N, ...]``, what ``value`` needs
            beside parameters.
        value: ``(params, context) -> scalar`` of one agent, for optimisers that search along it.
    """

    value_and_grad: Callable[..., tuple[jax.Array, PyTree, PyTree, PyTree]]
    sample: Sample
    context: Callable[..., PyTree]
    value: Callable[[Params, PyTree], jax.Array]


def objective(
    loss: Loss,
    sample: Sample | None = None,
    *,
    stateful: bool = False,
    stochastic: bool = False,
    has_aux: bool = False,
    chunk: int | None = None,
) -> Objective:
    """Lift a single-agent loss to all agents.

    Args:
        loss: ``loss(params, batch) -> scalar`` for one agent. With ``stateful`` it is
            ``loss(params, model_state, batch) -> (scalar, model_state)`` (normalisation
            statistics); with ``stochastic`` it takes a key as its last argument (dropout); with
            ``has_aux`` its result ends with metrics, any pytree of arrays.
        sample: ``(key, inputs) -> batch``; omitted, ``inputs`` is the batch itself, leaves ``[N,
            ...]``.
        stateful: see ``loss``.
        stochastic: see ``loss``.
        has_aux: see ``loss``.
        chunk: agents whose activations are held at a time, at least 1; all by default.

    Raises:
        ValueError: if ``loss`` is not callable or ``chunk < 1``; while tracing, if it does not
            return a scalar or the batch does not lead with ``N``.
    """
    if isinstance(loss, Model):
        raise ValueError(
            "loss: expected a function, got Model; learning.classification_loss(model) makes one"
        )
    checks.function("loss", loss)
    if isinstance(sample, int):
        raise ValueError(
            f"sample: expected a function, got {sample}; data.minibatches({sample}) makes one"
        )
    if sample is not None:
        checks.function("sample", sample)
    chunk = None if chunk is None else checks.whole("chunk", chunk, 1)
    stateful = checks.flag("stateful", stateful)
    stochastic = checks.flag("stochastic", stochastic)
    has_aux = checks.flag("has_aux", has_aux)
    parts = ["scalar", *(["model_state"] * stateful), *(["metrics"] * has_aux)]

    def single(params: Params, context: tuple[PyTree, Any, Key]) -> tuple[Any, Any]:
        model_state, batch, key = context
        arguments = (params, model_state, batch) if stateful else (params, batch)
        out = loss(*arguments, key) if stochastic else loss(*arguments)
        given: tuple[Any, ...] = out if isinstance(out, tuple) else (out,)
        if len(given) != len(parts):
            raise ValueError(
                f"loss: expected to return {' and '.join(parts)} of one agent, got "
                f"{checks.shown(out)} of {len(given)}; learning.decentralized takes has_aux=True "
                "for metrics, stateful=True for normalisation statistics"
            )
        value, metrics = given[0], given[-1] if has_aux else None
        if jnp.shape(value) != ():
            raise ValueError(f"loss: expected a scalar per agent, got shape {jnp.shape(value)}")
        return value, (given[1] if stateful else model_state, metrics)

    def context(key: Key, params: Params, model_state: PyTree, batch: Any) -> PyTree:
        n = agents.num_agents(params)
        agents.check_leading_axis(batch, n, "batch")
        # Only a stochastic loss pays for one key per agent.
        return model_state, batch, agents.keys(key, n) if stochastic else jnp.zeros(n)

    def value_and_grad(
        key: Key, params: Params, model_state: PyTree, batch: Any
    ) -> tuple[jax.Array, PyTree, PyTree, PyTree]:
        gradient = jax.value_and_grad(single, has_aux=True)
        arguments = (params, context(key, params, model_state, batch))
        if chunk is None or chunk >= agents.num_agents(params):
            (losses, (model_state, metrics)), grads = jax.vmap(gradient)(*arguments)
        else:
            (losses, (model_state, metrics)), grads = jax.lax.map(
                lambda own: gradient(*own), arguments, batch_size=chunk
            )
        return losses, model_state, grads, metrics

    return Objective(
        value_and_grad,
        sample or (lambda key, inputs: inputs),
        context,
        lambda params, context: single(params, context)[0],
    )


def descend(
    optimizer: optax.GradientTransformation,
    grads: PyTree,
    opt_state: PyTree,
    params: Params,
    value: jax.Array | None = None,
    value_fn: Callable[[Params, PyTree], jax.Array] | None = None,
    context: PyTree = None,
) -> tuple[Params, PyTree]:
    """Take one optimiser step for every agent, each with its own state.

    Args:
        optimizer: any optax optimiser.
        grads: leaves ``[N, ...]``.
        opt_state: of every agent, leaves ``[N, ...]``.
        params: leaves ``[N, ...]``.
        value: ``[N]`` losses, for optimisers that take ``value``, such as
            ``optax.contrib.reduce_on_plateau``.
        value_fn: ``(params, context) -> scalar`` of one agent, for those that search along a line,
            such as ``optax.lbfgs``.
        context: of ``value_fn``, leaves ``[N, ...]``.

    Returns:
        ``(params, opt_state)``.

    Raises:
        ValueError: if the optimiser needs ``value`` or ``value_fn`` and there is none.
    """
    takes_extra = isinstance(optimizer, optax.GradientTransformationExtraArgs)

    def single(
        grads: PyTree, opt_state: PyTree, params: Params, value: Any, context: PyTree
    ) -> tuple[Params, PyTree]:
        extra: dict[str, Any] = {}
        along = value_fn
        if takes_extra and value is not None and along is not None:
            extra = {"value": value, "grad": grads}
            extra["value_fn"] = lambda params: along(params, context)
        try:
            updates, opt_state = optimizer.update(grads, opt_state, params, **extra)
        except TypeError as error:
            if extra or "required keyword-only argument" not in str(error):
                raise
            raise ValueError(
                f"local: it follows the loss ({error}), which a learner with a "
                "corrected direction does not; use it with learning.decentralized, or take one "
                "such as optax.sgd(0.1)"
            ) from error
        return optax.apply_updates(params, updates), opt_state

    return jax.vmap(single)(grads, opt_state, params, value, context)


class LocalResult(NamedTuple):
    """Outcome of local training, leaves ``[N, ...]``; ``loss [N]`` is the mean over the steps.

    So are ``metrics``, of a loss with ``has_aux``.
    """

    params: Params
    opt_state: PyTree
    model_state: PyTree
    loss: jax.Array
    metrics: PyTree = None


def train(
    key: Key,
    work: Objective,
    optimizer: optax.GradientTransformation,
    steps: int,
    params: Params,
    opt_state: PyTree,
    model_state: PyTree,
    inputs: Any,
) -> LocalResult:
    """Run ``steps`` optimiser steps of every agent on fresh minibatches.

    Args:
        key: consumed.
        work: of :func:`objective`.
        optimizer: any optax optimiser.
        steps: at least 1; static.
        params: leaves ``[N, ...]``.
        opt_state: of every agent, leaves ``[N, ...]``.
        model_state: normalisation statistics, leaves ``[N, ...]``, or ``None``.
        inputs: what minibatches are sampled from.
    """

    def body(carry: Any, key: Key) -> tuple[Any, tuple[jax.Array, PyTree]]:
        params, opt_state, model_state = carry
        sample_key, loss_key = jax.random.split(key)
        batch = work.sample(sample_key, inputs)
        context = work.context(loss_key, params, model_state, batch)
        arguments = (loss_key, params, model_state, batch)
        losses, model_state, grads, metrics = work.value_and_grad(*arguments)
        shared = losses.shape != (agents.num_agents(params),)  # one model of all agents' data
        value = jax.vmap(work.value)(params, context) if shared else losses
        params, opt_state = descend(optimizer, grads, opt_state, params, value, work.value, context)
        return (params, opt_state, model_state), (losses, metrics)

    carry = (params, opt_state, model_state)
    if steps == 1:
        (params, opt_state, model_state), (losses, metrics) = body(carry, key)
        return LocalResult(params, opt_state, model_state, losses, metrics)
    carry, seen = jax.lax.scan(body, carry, jax.random.split(key, steps))
    params, opt_state, model_state = carry
    losses, metrics = jax.tree.map(lambda x: jnp.mean(x, axis=0), seen)
    return LocalResult(params, opt_state, model_state, losses, metrics)
