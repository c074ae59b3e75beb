"""The one job that every implementation is timed on: D-PSGD on non-IID digits.

Data split, initial parameters, graph and mixing weights are made once, on the host, and handed to
all implementations as numpy arrays; only the random minibatches differ.

Shapes: ``N`` agents, ``K`` neighbours of each, ``T`` test samples.
"""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxswarm import agents, data, models, topology
from jaxswarm.topology import Topology, weights

FEATURES, HIDDEN, CLASSES = 64, 128, 10
BATCH = 16
LEARNING_RATE = 0.1
PARAMETERS = FEATURES * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES
FLOPS_PER_UPDATE = 4 * BATCH * FEATURES * HIDDEN + 6 * BATCH * HIDDEN * CLASSES
"""Arithmetic of one local step's matrix products: two in the first layer, three in the second."""
BYTES_PER_UPDATE = 4 * 4 * PARAMETERS
"""Parameters read and written once by the local step, once by the mixing: the least that moves."""

GRAPHS = ("ring", "4-regular")
LEAVES = ("w1", "b1", "w2", "b2")


@dataclass(frozen=True)
class Workload:
    """What all implementations share.

    Attributes:
        graph: the topology; every agent has the same number ``K`` of neighbours.
        graph_name: ``"ring"`` or ``"4-regular"``.
        train: the training set.
        partition: who holds which training rows.
        test_x: ``float32[T, 64]``.
        test_y: ``int32[T]``.
        neighbours: ``int32[N, K]``, the in-neighbours of each agent.
        neighbour_weights: ``float32[N, K]``, Metropolis–Hastings.
        self_weights: ``float32[N]``.
        initial: ``{"w1": [N, 64, 128], "b1": [N, 128], "w2": [N, 128, 10], "b2": [N, 10]}``.
    """

    graph: Topology
    graph_name: str
    train: data.Dataset
    partition: data.Partition
    test_x: np.ndarray
    test_y: np.ndarray
    neighbors: np.ndarray
    neighbor_weights: np.ndarray
    self_weights: np.ndarray
    initial: dict[str, np.ndarray]

    @property
    def num_agents(self) -> int:
        """``N``."""
        return self.graph.num_agents


def make(num_agents: int, graph_name: str, *, seed: int = 0) -> Workload:
    """The workload of ``num_agents`` agents on a graph of :data:`GRAPHS`.

    Raises:
        ValueError: on an unknown graph.
    """
    if graph_name not in GRAPHS:
        raise ValueError(f"graph: expected one of {GRAPHS}, got {graph_name!r}")
    graph = topology.ring(num_agents)
    if graph_name == "4-regular":
        graph = topology.random_regular(num_agents, 4, seed=seed)
    split = data.load("digits")
    partition = data.dirichlet_over_agents(split.train.labels, num_agents, seed=seed, alpha=0.5)
    shape = (num_agents, -1)
    edge_weights = np.asarray(weights.metropolis(graph), np.float32).reshape(shape)
    return Workload(
        graph=graph,
        graph_name=graph_name,
        train=split.train,
        partition=partition,
        test_x=np.asarray(split.test.features, np.float32).reshape(len(split.test.labels), -1),
        test_y=np.asarray(split.test.labels, np.int32),
        neighbors=np.asarray(graph.senders).reshape(shape),
        neighbor_weights=edge_weights,
        self_weights=1.0 - edge_weights.sum(axis=1),
        initial=from_flax(stacked_parameters(num_agents, seed)),
    )


def model() -> models.Model:
    """The MLP 64-128-10 (ReLU) as the library's users write it."""
    return models.functional(models.mlp(HIDDEN, CLASSES), np.zeros((1, FEATURES), np.float32))


def stacked_parameters(num_agents: int, seed: int) -> Any:
    """Initial flax parameters, leaves ``[N, ...]``; one common draw, so averages make sense."""
    return agents.initialize(jax.random.key(seed), model().init, num_agents, shared=True)


def from_flax(params: Any) -> dict[str, np.ndarray]:
    """Flax's tree under this module's leaf names."""
    first, last = params["Dense_0"], params["Dense_1"]
    tree = {"w1": first["kernel"], "b1": first["bias"], "w2": last["kernel"], "b2": last["bias"]}
    return {name: np.array(leaf, np.float32) for name, leaf in tree.items()}


def accuracy(params: dict[str, np.ndarray], work: Workload) -> float:
    """Mean over the agents of each one's accuracy on the common test set, in ``[0, 1]``."""
    correct = []
    for i in range(work.num_agents):
        hidden = np.maximum(work.test_x @ params["w1"][i] + params["b1"][i], 0.0)
        logits = hidden @ params["w2"][i] + params["b2"][i]
        correct.append(np.mean(np.argmax(logits, axis=1) == work.test_y))
    return float(np.mean(correct))
