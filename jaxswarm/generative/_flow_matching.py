"""Training of one flow model by conditional flow matching, with averaged parameters.

References:
    Lipman, Chen, Ben-Hamu, Nickel, Le, Flow matching for generative modeling, 2023.
    Ho, Salimans, Classifier-free diffusion guidance, 2022.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.data import Batch
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class FlowState(NamedTuple):
    """State of :func:`flow_matching`.

    Attributes:
        params: the parameters that the optimizer updates.
        ema_params: their exponential moving average, for sampling.
        opt_state: the optimizer's state.
        step: ``int32[]``, number of steps done.
    """

    params: Params
    ema_params: Params
    opt_state: PyTree
    step: jax.Array


class FlowInfo(NamedTuple):
    """Measurements of one step of :func:`flow_matching`.

    Attributes:
        loss: ``float32[]``, weighted mean of the batch's flow-matching losses.
        grad_norm: ``float32[]``, Euclidean norm of the gradient.
    """

    loss: jax.Array
    grad_norm: jax.Array


def flow_matching(
    model: flow.Flow,
    optimizer: optax.GradientTransformation,
    *,
    ema_decay: ArrayLike = 0.99,
    drop_rate: jax.Array | float = 0.0,
) -> Algorithm:
    """Conditional flow matching of one model with an exponential moving average of parameters.

    ``init(params) -> FlowState`` and ``step(key, state, batch) -> (FlowState, FlowInfo)``, both of
    one model; ``vmap`` them over stacked parameters. ``batch`` is a ``data.Batch`` of samples
    ``x: [B, ...]``, conditions ``y`` (unused by a model without) and weights ``[B]``, of which the
    last two may be ``None``.

    Args:
        model: the flow model.
        optimizer: an optax optimizer.
        ema_decay: weight of the old average in ``[0, 1)``; the average is that of
            ``optax.incremental_update``, with decay ``min(ema_decay, (1 + s) / (10 + s))`` after
            ``s`` steps, so that the initial parameters are soon forgotten.
        drop_rate: probability in ``[0, 1]`` that a class is dropped, for guidance.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax, optax
        >>> from jaxswarm import data, generative
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=16), (2,))
        >>> learner = generative.flow_matching(model, optax.adam(1e-3))
        >>> state = learner.init(model.init(jax.random.key(0)))
        >>> batch = data.gaussian_grid(jax.random.key(1), 32, side=2)
        >>> state, info = learner.step(jax.random.key(2), state, batch)
        >>> info.loss.shape, int(state.step)
        ((), 1)
    """
    flow.check_model(model)
    checks.function("optimizer.update", getattr(optimizer, "update", None))
    checks.real("ema_decay", ema_decay, 0.0, below=1.0)
    checks.probability("drop_rate", drop_rate)

    def init(params: Params) -> FlowState:
        average = jax.tree.map(jnp.array, params)  # a copy: callers may donate the state
        return FlowState(params, average, optimizer.init(params), jnp.zeros((), jnp.int32))

    def step(key: Key, state: FlowState, batch: Batch) -> tuple[FlowState, FlowInfo]:
        checks.instance("batch", batch, Batch, "data.Batch(x, y, weight)")
        conditional = model.num_classes is not None or model.condition_shape is not None
        condition = batch.y if conditional else None

        def objective(params: Params) -> jax.Array:
            return flow.loss(
                model,
                params,
                key,
                batch.x,
                condition,
                drop_rate=drop_rate,
                weights=batch.weight,
            )

        loss, grads = jax.value_and_grad(objective)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        count = state.step.astype(jnp.float32)
        decay = jnp.minimum(jnp.asarray(ema_decay, jnp.float32), (1 + count) / (10 + count))
        average = optax.incremental_update(params, state.ema_params, 1 - decay)
        info = FlowInfo(loss, optax.tree.norm(grads))
        return FlowState(params, average, opt_state, state.step + 1), info

    return Algorithm(init, step)
