"""Private training and test samples of every agent, as images and as features.

Shapes: ``S`` seeds, ``N`` agents, ``C`` classes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.bristle.config import Config
from experiments.bristle.frozen_body import FrozenBodies
from jaxswarm import data
from jaxswarm.systems import bristle


class AgentData(NamedTuple):
    """The data of one seed; with a leading axis ``S``, those of all seeds.

    Attributes:
        train: training images of the agents.
        test: private test images of the agents.
        features: training and test samples as features of the frozen body, for output layers.
        exam_features: features of the global test set.
        exam_images: the global test set itself.
        exam_labels: its labels.
    """

    train: data.Shards
    test: bristle.Tests
    features: bristle.Peers
    exam_features: jax.Array
    exam_images: jax.Array
    exam_labels: jax.Array


def build_agent_data(config: Config, iid: bool, bodies: FrozenBodies) -> AgentData:
    """Draw the private samples of all agents for every seed, leading axis ``S``."""
    held = held_classes(config, iid, bodies.pool.num_classes)
    per_seed = []
    for index, (pool_features, exam_features) in enumerate(bodies.features):
        train, test = draw_private_samples(
            bodies.pool.labels, held, config.learn, config.test, config.seed + index
        )
        as_features = data.from_arrays(
            pool_features, bodies.pool.labels, num_classes=bodies.pool.num_classes
        )
        peers = bristle.peers(as_features, train, test)
        images = jnp.asarray(np.asarray(bodies.pool.features)[test.indices])
        per_seed.append(
            AgentData(
                train=data.shards(bodies.pool, train),
                test=peers.test._replace(x=images),
                features=peers,
                exam_features=exam_features,
                exam_images=jnp.asarray(bodies.exam.features),
                exam_labels=jnp.asarray(bodies.exam.labels),
            )
        )
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *per_seed)


def held_classes(config: Config, iid: bool, num_classes: int) -> np.ndarray:
    """Mark the classes of each agent, ``bool[N, C]``: all, or consecutive ones, cyclically."""
    if iid:
        return np.ones((config.agents, num_classes), bool)
    first = np.arange(config.agents)[:, None]
    return (np.arange(num_classes)[None, :] - first) % num_classes < config.classes


def draw_private_samples(
    labels: np.ndarray, held: np.ndarray, learn: int, test: int, seed: int
) -> tuple[data.Partition, data.Partition]:
    """Give each agent ``learn`` training and ``test`` test samples of each class that it holds.

    Samples of a class are given out in random order and from the start again when they run out, so
    that agents may share samples; those of one agent are distinct.

    Args:
        labels: ``int[M]`` of all samples.
        held: ``bool[N, C]``, the classes of each agent.
        learn: training samples per class and agent.
        test: test samples per class and agent.
        seed: of the random order.

    Raises:
        ValueError: if a class has fewer than ``learn + test`` samples.
    """
    rng = np.random.default_rng(seed)
    rows: list[tuple[list[np.ndarray], list[np.ndarray]]] = [([], []) for _ in held]
    per_agent = learn + test
    for label in range(held.shape[1]):
        of_class = rng.permutation(np.flatnonzero(labels == label))
        if len(of_class) < per_agent:
            raise ValueError(
                f"labels: class {label} has {len(of_class)} samples, expected {per_agent} or more"
            )
        for turn, agent in enumerate(rng.permutation(np.flatnonzero(held[:, label]))):
            own = of_class[(turn * per_agent + np.arange(per_agent)) % len(of_class)]
            rows[agent][0].append(own[:learn])
            rows[agent][1].append(own[learn:])
    train, tests = (
        data.from_rows(
            [np.concatenate(of_agent[which]) for of_agent in rows],
            len(labels),
            overlap=True,
            name=name,
        )
        for which, name in enumerate(("private train", "private test"))
    )
    return train, tests
