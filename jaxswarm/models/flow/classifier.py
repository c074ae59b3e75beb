"""A small image classifier whose features the Fréchet distance compares.

No pretrained network is used: the classifier is trained here on the data itself, so distances are
comparable only between models measured with the same classifier.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import checks
from jaxswarm.models._functional import functional
from jaxswarm.models.losses import cross_entropy
from jaxswarm.models.networks import cnn, mlp
from jaxswarm.types import ArrayLike, Key


class Classifier(NamedTuple):
    """Functions of a trained classifier, both traceable.

    Attributes:
        features: ``features(samples: [B, ...]) -> [B, F]``, the last hidden layer.
        logits: ``logits(samples: [B, ...]) -> [B, C]``.
    """

    features: Callable[[jax.Array], jax.Array]
    logits: Callable[[jax.Array], jax.Array]


def train_classifier(
    key: Key,
    samples: ArrayLike,
    labels: ArrayLike,
    *,
    num_classes: int | None = None,
    num_features: int = 32,
    num_steps: int = 400,
    batch_size: int = 128,
    learning_rate: float = 2e-3,
) -> Classifier:
    """Train a classifier with Adam: convolutional for images, an MLP for vectors.

    Args:
        key: random key of the initial weights and the batches.
        samples: ``[S, H, W]``, ``[S, H, W, C]`` or vectors ``[S, D]``; finite.
        labels: ``int[S]`` in ``[0, num_classes)``.
        num_classes: ``>= 1``; the largest label plus one if not given.
        num_features: width ``F`` of the feature layer, ``>= 1``.
        num_steps: training steps, ``>= 1``.
        batch_size: samples of a step, ``>= 1``, drawn with replacement.
        learning_rate: Adam's, ``> 0``.

    Raises:
        ValueError: for sizes below 1, samples and labels of different number, labels out of range
            or samples that are not finite.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.models import flow
        >>> x, y = jnp.array([[-1.0], [1.0]]), jnp.array([0, 1])
        >>> classifier = flow.train_classifier(jax.random.key(0), x, y, num_steps=50)
        >>> classifier.logits(x).argmax(1).tolist(), classifier.features(x).shape
        ([0, 1], (2, 32))
    """
    init_key, batch_key = jax.random.split(checks.key(key))
    checks.concrete("samples, labels", (samples, labels))
    checks.real("samples", samples, shape=None)
    samples = checks.numbers("samples", samples)
    if samples.ndim not in (2, 3, 4) or 0 in samples.shape:
        raise ValueError(
            f"samples: expected shape [S, D], [S, H, W] or [S, H, W, C], got {samples.shape}"
        )
    high = (
        checks.LARGEST if num_classes is None else checks.whole("num_classes", num_classes, 1) - 1
    )
    labels = checks.wholes("labels", labels, 0, high, shape=(len(samples),))
    num_classes = int(np.max(labels)) + 1 if num_classes is None else num_classes
    num_features = checks.whole("num_features", num_features, 1)
    num_steps = checks.whole("num_steps", num_steps, 1)
    batch_size = checks.whole("batch_size", batch_size, 1)
    optimizer = optax.adam(float(checks.real("learning_rate", learning_rate, above=0.0)))

    trunk_module = mlp(64, num_features) if samples.ndim == 2 else cnn(num_features, widths=())
    trunk = functional(trunk_module, samples[:1])
    head = functional(mlp(num_classes), jnp.zeros((1, num_features)))

    def features(params, x: jax.Array) -> jax.Array:
        return jax.nn.relu(trunk.apply(params[0], x))

    def logits(params, x: jax.Array) -> jax.Array:
        return head.apply(params[1], features(params, x))

    @jax.jit
    def train(samples: jax.Array, labels: jax.Array):
        keys = jax.random.split(init_key)
        params = trunk.init(keys[0]), head.init(keys[1])

        def step(carry, key: jax.Array):
            params, opt_state = carry
            rows = jax.random.randint(key, (batch_size,), 0, len(samples))

            def loss(params) -> jax.Array:
                return cross_entropy(logits(params, samples[rows]), labels[rows])

            updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), None

        keys = jax.random.split(batch_key, num_steps)
        return jax.lax.scan(step, (params, optimizer.init(params)), keys)[0][0]

    params = train(samples, jnp.asarray(labels))
    return Classifier(lambda x: features(params, x), lambda x: logits(params, x))
