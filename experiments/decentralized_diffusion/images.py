"""The image part: digits or MNIST with labels as condition and clusters of principal components.

Shapes: ``S`` seeds, ``n`` training images, ``m`` drawn images, ``K`` experts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.decentralized_diffusion.config import Config
from experiments.decentralized_diffusion.training import Arm, sample, train, velocity_flops
from experiments.harness.images import flattened
from jaxswarm import data, generative
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike

MODES: dict[str, dict[str, Any]] = {
    "full": {"mode": "full"},
    "top-1": {"mode": "top_k", "k": 1},
    "sampled": {"mode": "sampled"},
    "once": {"mode": "once"},
}


class Images(NamedTuple):
    """Images in ``[-1, 1]`` with their labels.

    Attributes:
        train: ``float32[n, *shape]``.
        labels: ``int32[n]``.
        test: ``float32[_, *shape]``, held out.
        test_labels: their labels.
        num_classes: number of classes.
        side: height and width.
        seen: shape in which the classifier gets an image, ``(side, side)`` for a convolutional one
            and ``(side²,)`` for a multilayer perceptron. On MNIST it is the latter: a step of the
            former takes most of a CPU second there, longer than one of all experts.
    """

    train: np.ndarray
    labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    side: int
    seen: tuple[int, ...]


def load_images(config: Config) -> Images:
    """Load the images, flat for the multilayer perceptron and ``[H, W, 1]`` for other networks."""
    split = flattened(data.load(config.data, path=config.path, seed=config.seed))
    side = round(np.shape(split.train.features)[1] ** 0.5)
    shape = (side * side,) if config.network == "mlp" else (side, side, 1)

    def scaled(dataset: data.Dataset) -> np.ndarray:
        return (2.0 * np.asarray(dataset.features) - 1.0).reshape(-1, *shape).astype(np.float32)

    return Images(
        scaled(split.train),
        np.asarray(split.train.labels),
        scaled(split.test),
        np.asarray(split.test.labels),
        split.train.num_classes,
        side,
        (side * side,) if config.data == "mnist" else (side, side),
    )


def network(config: Config, width: int, num_classes: int) -> nn.Module:
    """A network of the configured kind; the U-Net's channels are ``width`` and ``2 width``."""
    if config.network == "unet":
        return flow.UNet(channels=(width, 2 * width), num_classes=num_classes)
    if config.network == "dit":
        return flow.DiT(patch=4, width=width, num_classes=num_classes)
    return flow.MLP(width=width, num_classes=num_classes)


def run_images(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train the monolith, experts on clusters and experts on random parts, and measure samples.

    Returns:
        ``arms[name]`` with ``frechet``, ``precision``, ``recall`` and ``accuracy``, ``[S]``;
        ``flops[name]``, those of a velocity of top-1 per sample, router included; ``agreement[K]``
        and ``shares[K]``, see :func:`_clusters`; ``floor``, the Fréchet distance between training
        and test images; ``sheet[name]``, images of the first seed, class by class.
    """
    images = load_images(config)
    keys = jax.vmap(jax.random.key)(config.seed + np.arange(config.seeds))
    labels = np.broadcast_to(images.labels, (config.seeds, len(images.labels)))
    features = np.broadcast_to(images.train, (config.seeds, *images.train.shape))
    progress("images: classifier")
    classifier = flow.train_classifier(
        jax.random.key(config.seed),
        _seen(images, images.train),
        images.labels,
        num_classes=images.num_classes,
        num_steps=config.classifier_steps,
    )
    arms: dict[str, tuple[Arm, dict[str, dict[str, Any]]]] = {}
    agreement, shares = {}, {}
    for count in config.image_experts:
        clusters, agreement[str(count)] = _clusters(config, images, count)
        shares[str(count)] = np.bincount(clusters[0], minlength=count) / len(images.labels)
        plans = {"monolith": clusters} if count == 1 else {f"{count} experts": clusters}
        if count == config.image_experts[-1] and count > 1:
            plans[f"{count} random"] = np.stack(
                [
                    np.random.default_rng(config.seed + index).permutation(len(images.labels))
                    % count
                    for index in range(config.seeds)
                ]
            )
        for name, partition in plans.items():
            progress(f"images: train {name}")
            width = config.image_monolith_width if count == 1 else config.image_width
            is_random = name.endswith("random")
            lr = config.image_random_lr if is_random else config.image_lr
            arm = train(
                keys,
                network(config, width, images.num_classes),
                network(config, config.image_router_width, images.num_classes),
                features,
                labels,
                partition,
                num_classes=images.num_classes,
                batch=config.image_batch,
                steps=config.image_steps,
                lr=config.image_monolith_lr if count == 1 else lr,
                slots=max(int(np.bincount(own).max()) for own in clusters),
                prediction=config.image_prediction,
                data_range=(-1.0, 1.0) if config.image_prediction == "data" else None,
            )
            modes = {mode: MODES[mode] for mode in MODES if mode in config.image_modes}
            if is_random:
                modes = {mode: modes[mode] for mode in modes if mode in ("full", "top-1")}
            arms[name] = arm, {"": {}} if count == 1 else modes
    return {
        "flops": {
            name: velocity_flops(arm, config.image_drawn, **MODES["top-1"])
            for name, (arm, _) in arms.items()
            if not name.endswith("random")  # the program of the experts on clusters
        },
        "agreement": agreement,
        "shares": shares,
        "floor": _frechet(classifier, images, images.train),
    } | _measure(config, progress, images, classifier, keys, arms)


def _clusters(config: Config, images: Images, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of every seed, ``int32[S, n]``, and their agreement with the labels.

    The agreement is the normalized mutual information of clusters and labels, ``[S]``: 1 if the
    clusters were the labels, 0 if they were independent of them.
    """
    from sklearn.metrics import normalized_mutual_info_score

    if count == 1:
        shape = (config.seeds, len(images.labels))
        return np.zeros(shape, np.int32), np.zeros(config.seeds)
    found = []
    for index in range(config.seeds):
        found.append(
            generative.cluster(
                images.train,
                count,
                num_centroids=max(config.image_centroids, count),
                num_components=config.components,
                seed=config.seed + index,
            )
        )
    scores = [normalized_mutual_info_score(images.labels, each) for each in found]
    return np.stack(found), np.asarray(scores)


def _measure(
    config: Config,
    progress: Callable[[str], None],
    images: Images,
    classifier: flow.Classifier,
    keys: jax.Array,
    arms: dict[str, tuple[Arm, dict[str, dict[str, Any]]]],
) -> dict[str, Any]:
    """Samples of every arm against the test images, in the features of the classifier."""
    drawn_labels = np.arange(config.image_drawn) % images.num_classes
    condition = np.broadcast_to(drawn_labels, (config.seeds, config.image_drawn)).astype(np.int32)
    draw_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
    test_features = _features(classifier, images, images.test)

    @jax.jit  # once for all arms and seeds
    def score(x: jax.Array) -> tuple[jax.Array, ...]:
        seen = _seen(images, x)
        features = classifier.features(seen)
        near = flow.precision_recall(features, test_features)
        right = jnp.argmax(classifier.logits(seen), axis=1) == jnp.asarray(drawn_labels)
        return features, near.precision, near.recall, jnp.mean(right)

    measured, sheets = {}, {"data": _sheet(config, images, images.test, images.test_labels)}
    for name, (arm, modes) in arms.items():
        for mode, options in modes.items():
            full_name = f"{name} {mode}".strip()
            progress(f"images: sample {full_name}")
            x = sample(
                draw_keys,
                arm,
                config.image_drawn,
                condition,
                num_steps=config.sampling_steps,
                **options,
            )
            columns = zip(*(score(jnp.asarray(of_seed)) for of_seed in x), strict=True)
            features, precision, recall, accuracy = map(np.asarray, columns)
            measured[full_name] = {
                "frechet": np.array(
                    [flow.frechet_distance(own, test_features) for own in features]
                ),
                "precision": precision,
                "recall": recall,
                "accuracy": accuracy,
            }
            sheets[full_name] = _sheet(config, images, x[0], drawn_labels)
    return {"arms": measured, "sheet": sheets}


def _features(classifier: flow.Classifier, images: Images, x: np.ndarray) -> np.ndarray:
    return np.asarray(classifier.features(_seen(images, x)))


def _seen(images: Images, x: ArrayLike) -> jax.Array:
    """Images as the classifier gets them."""
    return jnp.reshape(jnp.asarray(x), (-1, *images.seen))


def _frechet(classifier: flow.Classifier, images: Images, x: np.ndarray) -> float:
    return flow.frechet_distance(
        _features(classifier, images, x), _features(classifier, images, images.test)
    )


def _sheet(config: Config, images: Images, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The first images of every class, ``[classes, config.sheet, H, W]``."""
    rows = []
    for label in range(images.num_classes):
        own = x[np.flatnonzero(labels == label)[: config.sheet]]
        rows.append(own.reshape(-1, images.side, images.side))
    shortest = min(map(len, rows))
    return np.stack([row[:shortest] for row in rows])
