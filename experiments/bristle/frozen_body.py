"""Pre-training of the frozen bodies, one per seed, and the features they compute."""

from typing import NamedTuple

import jax
import numpy as np

from experiments.bristle.config import Config
from experiments.harness.images import flattened
from jaxswarm import agents, data, models
from jaxswarm.systems import bristle


class FrozenBodies(NamedTuple):
    """The agents' data and the features that each seed's frozen body computes of it.

    Attributes:
        pool: the samples that agents are given parts of.
        exam: the global test set.
        features: for each seed, the features of ``pool`` and of ``exam``.
        network: body and output layer, for the arms that exchange whole networks.
        network_bytes: size of all parameters of ``network``.
    """

    pool: data.Dataset
    exam: data.Dataset
    features: list[tuple[jax.Array, jax.Array]]
    network: models.Model
    network_bytes: int


def pretrain_bodies(config: Config) -> FrozenBodies:
    """Train one body per seed on :func:`turned_images` and compute the features of all data."""
    body_set, pool, exam = split_data(config)
    task = turned_images(body_set)
    body = models.functional(models.mlp(*config.body), pool.features[:1])
    teacher = bristle.with_head(body, config.body[-1], task.num_classes)
    network = bristle.with_head(body, config.body[-1], pool.num_classes)

    @jax.jit
    def features(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        params = bristle.pretrained(key, teacher, task, steps=config.body_steps)["body"]
        of_body_set, of_pool, of_exam = (
            bristle.features(body, params, dataset.features) for dataset in (body_set, pool, exam)
        )
        return of_pool / of_body_set.std(), of_exam / of_body_set.std()

    keys = [jax.random.key(config.seed + index) for index in range(config.seeds)]
    one_agent = jax.eval_shape(
        lambda key: jax.tree.map(lambda x: x[None], network.init(key)), jax.random.key(0)
    )
    return FrozenBodies(
        pool, exam, [features(key) for key in keys], network, agents.message_size(one_agent)[1]
    )


def split_data(config: Config) -> tuple[data.Dataset, data.Dataset, data.Dataset]:
    """Split the data into ``(for the body, for the agents, for the global test)``.

    The parts are disjoint and each has samples of every class.
    """
    split = flattened(data.load(config.data, path=config.path, seed=config.seed))
    body_set, pool = data.split_by_class(
        split.train, test_fraction=1.0 - config.body_share, seed=config.seed
    )
    return body_set, pool, split.test


def turned_images(dataset: data.Dataset) -> data.Dataset:
    """Make another task of the same pixels: images turned and mirrored in eight ways, 8 C classes.

    It replaces the letters on which the paper's body was trained.
    """
    side = round(dataset.features.shape[1] ** 0.5)
    images = dataset.features.reshape(-1, side, side)
    views, labels = [], []
    for view in range(8):
        image = np.rot90(images, view % 4, axes=(1, 2))
        views.append((image[:, :, ::-1] if view >= 4 else image).reshape(len(images), -1))
        labels.append(dataset.labels + dataset.num_classes * view)
    return data.from_arrays(np.concatenate(views), np.concatenate(labels), name="turned")
