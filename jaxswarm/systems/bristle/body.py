"""Transfer learning: a frozen feature extractor (body) and a bias-free output layer (head).

Shapes: ``B`` samples, ``F`` features, ``C`` classes.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import checks, rollout
from jaxswarm.data import Dataset, from_rows, minibatches, shards
from jaxswarm.data.dataset import check_dataset
from jaxswarm.learning import centralized, classification_loss
from jaxswarm.models import Model, layers
from jaxswarm.types import Key, Params, PyTree


def with_head(body: Model, num_features: int, num_classes: int) -> Model:
    """Append a ReLU and an output layer without bias: parameters ``{"body", "head"}``.

    Args:
        body: maps ``[B, ...]`` to ``[B, F]``; without normalisation statistics.
        num_features: ``F``.
        num_classes: ``C``. The head is ``float32[F, C]``.

    Raises:
        ValueError: if the body has normalisation statistics or a size is below 1.
    """
    checks.instance("body", body, Model, "models.functional(module, example_x)")
    if body.has_stats:
        raise ValueError("body: expected a network without normalisation statistics")
    num_features = checks.whole("num_features", num_features, 1)
    num_classes = checks.whole("num_classes", num_classes, 1)
    draw = layers.lecun_normal

    def init(key: Key) -> Params:
        body_key, head_key = jax.random.split(key)
        return {"body": body.init(body_key), "head": draw(head_key, (num_features, num_classes))}

    def apply(params: Params, x: jax.Array, stats: PyTree = None) -> jax.Array:
        del stats
        return features(body, params["body"], x) @ params["head"]

    return body._replace(
        init=init,
        apply=apply,
        apply_train=lambda params, stats, x, weight=None: (apply(params, x), stats),
    )


def features(body: Model, params: Params, x: jax.Array) -> jax.Array:
    """Inputs of the head ``float32[B, F]``: the body's output after a ReLU."""
    return jax.nn.relu(body.apply(params, x))


def pretrained(
    key: Key,
    model: Model,
    dataset: Dataset,
    *,
    steps: int,
    batch: int = 32,
    local: optax.GradientTransformation | None = None,
) -> Params:
    """Pre-train a model by minibatch SGD on a set that is not the agents'; returns its parameters.

    Args:
        key: consumed.
        model: such as :func:`with_head` of a body.
        dataset: for pre-training.
        steps: minibatch steps, at least 1.
        batch: samples of a step, at least 1.
        local: optimiser; Adam at 0.001 by default.

    Raises:
        ValueError: if ``steps < 1`` or ``batch < 1``, or an argument is of another kind.
    """
    checks.key(key)
    checks.instance("model", model, Model, "bristle.with_head(body, 32, 10)")
    check_dataset(dataset)
    steps, batch = checks.whole("steps", steps, 1), checks.whole("batch", batch, 1)
    init_key, run_key = jax.random.split(key)
    learner = centralized(
        classification_loss(model),
        local=optax.adam(1e-3) if local is None else local,
        sample=minibatches(batch),
    )
    all_rows = from_rows([np.arange(dataset.num_samples)], dataset.num_samples)
    start = jax.tree.map(lambda x: x[None], model.init(init_key))
    state, _ = rollout(
        learner.step,
        learner.init(start),
        steps,
        key=run_key,
        inputs=shards(dataset, all_rows),
        every=steps,
    )
    return jax.tree.map(lambda x: x[0], state.params)


def centered(heads: jax.Array) -> jax.Array:
    """Subtract from every column of heads ``[..., F, C]`` its mean over the features.

    Raises:
        ValueError: unless there are at least two axes.
    """
    if getattr(heads, "ndim", 0) < 2:
        raise ValueError(f"heads: expected an array [..., F, C], got {checks.shown(heads)}")
    return heads - jnp.mean(heads, axis=-2, keepdims=True)
