"""Ensemble of small networks that predicts the logarithm of each method's seconds.

The mean over methods and the differences from it are standardized apart, since the choice depends
on differences alone and these are small beside what devices differ by.

Shapes: ``E`` members, ``C`` cells, ``F`` features, ``M`` methods, ``N`` nodes of ``n`` cells.

References:
    B. Lakshminarayanan, A. Pritzel, C. Blundell, Simple and scalable predictive uncertainty
    estimation using deep ensembles, 2017.
    X. Lian et al., Can decentralized algorithms outperform centralized algorithms?, 2017.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import gossip, models
from jaxswarm._optimizers import init_per_agent
from jaxswarm.types import Key, Params


class Training(NamedTuple):
    """Numbers of the training; the first four are static.

    Attributes:
        members: networks of an ensemble.
        hidden: width of their two hidden layers.
        steps: gradient steps.
        batch: cells of a step; of a node's step with several nodes.
        learning_rate: largest step size of AdamW, which falls to 0 along a cosine.
        weight_decay: of AdamW.
    """

    members: int = 2
    hidden: int = 48
    steps: int = 250
    batch: int = 63
    learning_rate: float = 6e-3
    weight_decay: float = 1.0


class Scale(NamedTuple):
    """Standardization of a training set.

    Attributes:
        center: ``[F]`` of the features.
        factor: ``[F]``, 0 for a constant column.
        level: ``[2]``, mean and deviation of the cells' mean logarithm.
        offset: ``[M]``, mean of the differences from it.
        width: ``[]``, their deviation.
    """

    center: jax.Array
    factor: jax.Array
    level: jax.Array
    offset: jax.Array
    width: jax.Array


class Fitted(NamedTuple):
    """A trained ensemble.

    Attributes:
        params: leaves ``[E, ...]``.
        scale: of its training set.
    """

    params: Params
    scale: Scale


def standardization(x: jax.Array, y: jax.Array) -> Scale:
    """Means and deviations of features ``[..., F]`` and logarithms of seconds ``[..., M]``."""
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    deviation = x.std(axis=0)
    constant = deviation <= 1e-6 * jnp.maximum(1.0, jnp.abs(x).max(axis=0))
    mean = y.mean(axis=1)
    rest = y - mean[:, None]
    offset = rest.mean(axis=0)
    width = jnp.sqrt(jnp.mean((rest - offset[None]) ** 2))
    return Scale(
        center=x.mean(axis=0),
        factor=jnp.where(constant, 0.0, 1.0 / jnp.where(constant, 1.0, deviation)),
        level=jnp.stack([mean.mean(), jnp.maximum(mean.std(), 1e-6)]),
        offset=offset,
        width=jnp.maximum(width, 1e-6),
    )


def fit_ensemble(key: Key, x: jax.Array, y: jax.Array, training: Training) -> Fitted:
    """Train an ensemble; ``vmap`` it over training sets of one size.

    Args:
        key: consumed.
        x: features ``[C, F]``.
        y: logarithms of seconds ``[C, M]``.
        training: see :class:`Training`.
    """
    scale = standardization(x, y)
    one = Training(**training._asdict())._replace(members=1)
    keys = jax.random.split(key, training.members)

    def member(key: Key) -> Params:
        return _train(key, x[None], y[None], scale, one, None)

    params = jax.vmap(member)(keys)
    return Fitted(jax.tree.map(lambda leaf: leaf[:, 0], params), scale)


def fit_gossip(
    key: Key,
    x: jax.Array,
    y: jax.Array,
    training: Training,
    rule: gossip.GossipTransformation,
) -> Fitted:
    """Train one network of each node on its own cells, averaged with its neighbours' by gossip.

    Decentralized SGD with AdamW: each node takes a gradient step on its own history, then mixes
    parameters. Nodes exchange no cells; means and deviations of features and targets are averaged
    over all of them once, before the first step.

    Args:
        key: consumed.
        x: features ``[N, n, F]``.
        y: logarithms of seconds ``[N, n, M]``.
        training: see :class:`Training`; ``members`` is not used.
        rule: of :mod:`jaxswarm.gossip`, over ``N`` agents.

    Returns:
        Parameters with leaves ``[N, ...]`` in place of members.
    """
    scale = standardization(x, y)
    return Fitted(_train(key, x, y, scale, training, rule), scale)


def predict(fitted: Fitted, x: jax.Array) -> jax.Array:
    """Logarithm of the seconds by each member, ``[E, C, M]``, for features ``[C, F]``."""
    scale = fitted.scale
    hidden = fitted.params["Dense_0"]["bias"].shape[-1]
    network = models.mlp(hidden, hidden, len(scale.offset) + 1)
    inputs = (x - scale.center[None]) * scale.factor[None]

    def member(params: Params) -> jax.Array:
        out = network.apply({"params": params}, inputs)
        assert isinstance(out, jax.Array)
        level = out[:, :1] * scale.level[1] + scale.level[0]
        rest = out[:, 1:] - out[:, 1:].mean(axis=1, keepdims=True)
        return level + rest * scale.width + scale.offset[None]

    return jax.vmap(member)(fitted.params)


def _train(
    key: Key, x: jax.Array, y: jax.Array, scale: Scale, training: Training, rule: Any
) -> Params:
    """Train one network of each node, parameters ``[N, ...]``."""
    n, count, num_methods = y.shape
    network = models.mlp(training.hidden, training.hidden, num_methods + 1)
    optimizer = optax.adamw(
        optax.cosine_decay_schedule(training.learning_rate, training.steps),
        weight_decay=training.weight_decay,
    )
    inputs = (x - scale.center[None, None]) * scale.factor[None, None]
    mean = y.mean(axis=-1, keepdims=True)
    level = (mean - scale.level[0]) / scale.level[1]
    rest = (y - mean - scale.offset[None, None]) / scale.width
    targets = jnp.concatenate([level, rest], axis=-1)
    init_key, key = jax.random.split(key)
    start = network.init(init_key, jnp.zeros((1, x.shape[-1])))["params"]
    params = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (n, *leaf.shape)), start)
    opt_state = init_per_agent(optimizer, params)
    mixing = None if rule is None else rule.init(params)

    def loss(params: Params, inputs: jax.Array, targets: jax.Array) -> jax.Array:
        out = network.apply({"params": params}, inputs)
        assert isinstance(out, jax.Array)
        rest = out[:, 1:] - out[:, 1:].mean(axis=1, keepdims=True)
        found = jnp.concatenate([out[:, :1], rest], axis=1)
        return jnp.mean((found - targets) ** 2)

    def local(params: Params, opt_state: Any, inputs: jax.Array, targets: jax.Array) -> Any:
        grads = jax.grad(loss)(params, inputs, targets)
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def step(carry: Any, index: jax.Array) -> tuple[Any, None]:
        params, opt_state, mixing = carry
        step_key = jax.random.fold_in(key, index)
        rows = jax.random.randint(step_key, (n, training.batch), 0, count)
        take = jax.vmap(lambda values, at: values[at])
        batch = take(inputs, rows), take(targets, rows)
        params, opt_state = jax.vmap(local)(params, opt_state, *batch)
        if rule is not None:
            exchange = gossip.Exchange(index)
            params, mixing, _ = rule.mix(step_key, params, mixing, exchange)
        return (params, opt_state, mixing), None

    indices = jnp.arange(training.steps)
    (params, _, _), _ = jax.lax.scan(step, (params, opt_state, mixing), indices)
    return params
