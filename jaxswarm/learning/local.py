"""Local training: what every agent does on its own data between two exchanges.

Shapes: ``N`` agents on axis 0 of every leaf, ``B`` samples of a minibatch.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm.types import Key, Params, PyTree

Loss = Callable[..., Any]
"""``loss(params, batch) -> scalar`` of one agent, or a variant of :func:`objective`."""

Sample = Callable[[jax.Array, Any], Any]
"""``sample(key, inputs) -> batch`` of all agents, leaves ``[N, B, ...]``."""


class Objective(NamedTuple):
    """A user's loss in one internal form, with gradients for all agents at once.

    Attributes:
        value_and_grad: ``(key, params, model_state, batch) -> (losses [N], model_state, grads)``.
        sample: ``(key, inputs) -> batch``, leaves ``[N, B, ...]``.
    """

    value_and_grad: Callable[..., tuple[jax.Array, PyTree, PyTree]]
    sample: Sample


def objective(
    loss: Loss,
    sample: Sample | None = None,
    *,
    stateful: bool = False,
    stochastic: bool = False,
    chunk: int | None = None,
) -> Objective:
    """Lift a single-agent loss to all agents.

    Args:
        loss: ``loss(params, batch) -> scalar`` for one agent. With ``stateful`` it is
            ``loss(params, model_state, batch) -> (scalar, model_state)`` (normalisation
            statistics); with ``stochastic`` it takes a key as its last argument (dropout).
        sample: ``(key, inputs) -> batch``; omitted, ``inputs`` is the batch itself, leaves ``[N,
            ...]``.
        stateful: see ``loss``.
        stochastic: see ``loss``.
        chunk: agents whose activations are held at a time, at least 1; all by default.

    Raises:
        ValueError: if ``loss`` is not callable or ``chunk < 1``; while tracing, if it does not
            return a scalar or the batch does not lead with ``N``.
    """
    checks.function("loss", loss)
    if sample is not None:
        checks.function("sample", sample)
    chunk = None if chunk is None else checks.whole("chunk", chunk, 1)
    stateful = checks.flag("stateful", stateful)
    stochastic = checks.flag("stochastic", stochastic)

    def single(params: Params, model_state: PyTree, batch: Any, key: Key) -> tuple[Any, Any]:
        arguments = (params, model_state, batch) if stateful else (params, batch)
        out = loss(*arguments, key) if stochastic else loss(*arguments)
        if stateful:
            value, model_state = out
        else:
            value = out
        if jnp.shape(value) != ():
            raise ValueError(f"loss: expected a scalar per agent, got shape {jnp.shape(value)}")
        return value, model_state

    def value_and_grad(
        key: Key, params: Params, model_state: PyTree, batch: Any
    ) -> tuple[jax.Array, PyTree, PyTree]:
        n = agents.num_agents(params)
        agents.check_leading_axis(batch, n, "batch")
        # Only a stochastic loss pays for one key per agent.
        keys = agents.keys(key, n) if stochastic else jnp.zeros(n)
        gradient = jax.value_and_grad(single, has_aux=True)
        arguments = (params, model_state, batch, keys)
        if chunk is None or chunk >= n:
            (losses, model_state), grads = jax.vmap(gradient)(*arguments)
        else:
            (losses, model_state), grads = jax.lax.map(
                lambda own: gradient(*own), arguments, batch_size=chunk
            )
        return losses, model_state, grads

    return Objective(value_and_grad, sample or (lambda key, inputs: inputs))


def descend(
    optimizer: optax.GradientTransformation, grads: PyTree, opt_state: PyTree, params: Params
) -> tuple[Params, PyTree]:
    """Take one optimiser step for every agent, each with its own state.

    Args:
        optimizer: any optax optimiser.
        grads: leaves ``[N, ...]``.
        opt_state: of every agent, leaves ``[N, ...]``.
        params: leaves ``[N, ...]``.

    Returns:
        ``(params, opt_state)``.
    """

    def single(grads: PyTree, opt_state: PyTree, params: Params) -> tuple[Params, PyTree]:
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    return jax.vmap(single)(grads, opt_state, params)


class LocalResult(NamedTuple):
    """Outcome of local training, leaves ``[N, ...]``; ``loss [N]`` is the mean over the steps."""

    params: Params
    opt_state: PyTree
    model_state: PyTree
    loss: jax.Array


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

    def body(carry: Any, key: Key) -> tuple[Any, jax.Array]:
        params, opt_state, model_state = carry
        sample_key, loss_key = jax.random.split(key)
        batch = work.sample(sample_key, inputs)
        losses, model_state, grads = work.value_and_grad(loss_key, params, model_state, batch)
        params, opt_state = descend(optimizer, grads, opt_state, params)
        return (params, opt_state, model_state), losses

    carry = (params, opt_state, model_state)
    if steps == 1:
        (params, opt_state, model_state), losses = body(carry, key)
        return LocalResult(params, opt_state, model_state, losses)
    carry, losses = jax.lax.scan(body, carry, jax.random.split(key, steps))
    params, opt_state, model_state = carry
    return LocalResult(params, opt_state, model_state, jnp.mean(losses, axis=0))
