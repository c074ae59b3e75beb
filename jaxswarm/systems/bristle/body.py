"""A frozen feature extractor and the bias-free output layer over it: transfer learning.

Shapes: ``B`` samples, ``F`` features, ``C`` classes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm._rollout import rollout
from jaxswarm.data import Dataset, from_rows, minibatches, shards
from jaxswarm.learning._decentralized import centralized
from jaxswarm.learning.supervised import classification_loss
from jaxswarm.models import Model

PyTree = Any


def with_head(body: Model, num_features: int, num_classes: int) -> Model:
    """``body``, a ReLU, and an output layer without bias: parameters ``{"body", "head"}``.

    Args:
        body: maps ``[B, ...]`` to ``[B, F]``; without normalisation statistics.
        num_features: ``F``.
        num_classes: ``C``. The head is ``float32[F, C]``.

    Raises:
        ValueError: if the body has normalisation statistics or a size is below 1.
    """
    if body.has_stats:
        raise ValueError("body: expected a network without normalisation statistics")
    if min(num_features, num_classes) < 1:
        raise ValueError(
            f"num_features, num_classes: expected at least 1, got {num_features}, {num_classes}"
        )
    draw = jax.nn.initializers.lecun_normal()

    def init(key: jax.Array) -> PyTree:
        body_key, head_key = jax.random.split(key)
        return {"body": body.init(body_key), "head": draw(head_key, (num_features, num_classes))}

    def apply(params: PyTree, x: jax.Array, stats: PyTree = None) -> jax.Array:
        del stats
        return features(body, params["body"], x) @ params["head"]

    return body._replace(
        init=init,
        apply=apply,
        apply_train=lambda params, stats, x: (apply(params, x), stats),
    )


def features(body: Model, params: PyTree, x: jax.Array) -> jax.Array:
    """``float32[B, F]``: what the head sees, the body's output after a ReLU."""
    return jax.nn.relu(body.apply(params, x))


def pretrained(
    key: jax.Array,
    model: Model,
    dataset: Dataset,
    *,
    steps: int,
    batch: int = 32,
    local: optax.GradientTransformation | None = None,
) -> PyTree:
    """Parameters of ``model`` after ordinary training on a set that is not the agents'.

    Args:
        key: consumed.
        model: such as :func:`with_head` of a body.
        dataset: for pre-training.
        steps: minibatch steps.
        batch: samples a step.
        local: optimiser; Adam at 0.001 by default.

    Raises:
        ValueError: if ``steps < 1``.
    """
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    init_key, run_key = jax.random.split(key)
    learner = centralized(
        classification_loss(model),
        local=optax.adam(1e-3) if local is None else local,
        sample=minibatches(batch),
    )
    everything = from_rows([np.arange(dataset.num_samples)], dataset.num_samples)
    start = jax.tree.map(lambda x: x[None], model.init(init_key))
    state, _ = rollout(
        learner.step,
        learner.init(start),
        steps,
        key=run_key,
        inputs=shards(dataset, everything),
        every=steps,
    )
    return jax.tree.map(lambda x: x[0], state.params)


def centered(heads: jax.Array) -> jax.Array:
    """Heads ``[..., F, C]`` with the mean over the features taken off every column."""
    return heads - jnp.mean(heads, axis=-2, keepdims=True)
