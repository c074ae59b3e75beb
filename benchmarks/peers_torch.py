"""The same workload in PyTorch: a loop over nodes, ``torch.func.vmap``, and batched by hand.

Needs the extra ``bench``. Shapes as in :mod:`benchmarks.workload`.
"""

import os
import time
import timeit
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch.nn import functional  # pyright: ignore[reportMissingImports]

from benchmarks.workload import BATCH, CLASSES, FEATURES, HIDDEN, LEARNING_RATE, LEAVES, Workload


class _Peer:
    """Data, graph and random minibatches, shared by the three."""

    name = "torch"
    updates_per_segment = 1500
    threads = 1

    def __init__(self, work: Workload, *, seed: int = 0) -> None:
        self.rounds = max(1, self.updates_per_segment // work.num_agents)
        self.work = work
        self.generator = torch.Generator().manual_seed(seed)
        features = np.asarray(work.train.features, np.float32)
        self.features = torch.from_numpy(features.reshape(len(features), -1).copy())
        self.labels = torch.from_numpy(np.array(work.train.labels, np.int64))
        self.indices = torch.from_numpy(np.array(work.partition.indices, np.int64))
        self.counts = torch.from_numpy(np.array(work.partition.counts, np.float32))[:, None]
        self.neighbors = torch.from_numpy(np.array(work.neighbors.T, np.int64))
        self.weights = torch.from_numpy(np.array(work.neighbor_weights.T, np.float32))
        self.own_weights = torch.from_numpy(np.array(work.self_weights, np.float32))
        self.reset()

    def reset(self) -> None:
        """Start over from the common initial parameters."""
        self.params = {k: torch.from_numpy(self.work.initial[k].copy()) for k in LEAVES}

    def compile(self) -> float:
        """Seconds of the first round (nothing is compiled); then finds the best thread count."""
        began = time.perf_counter()
        self.round()
        first = time.perf_counter() - began
        tried = {}
        for threads in {1, os.cpu_count() or 1}:
            self.threads = threads
            tried[threads] = min(timeit.repeat(self.advance, number=1, repeat=3))
        self.threads = min(tried, key=tried.__getitem__)
        return first

    def advance(self) -> None:
        """Run one segment."""
        torch.set_num_threads(self.threads)
        for _ in range(self.rounds):
            self.round()

    def train(self, rounds: int) -> dict[str, np.ndarray]:
        """Parameters after ``rounds`` rounds from the start."""
        self.reset()
        for _ in range(rounds):
            self.round()
        return self.result()

    def result(self) -> dict[str, np.ndarray]:
        """The parameters, leaves ``[N, ...]``."""
        return {name: leaf.numpy() for name, leaf in self.params.items()}

    def batches(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Every agent's minibatch, ``[N, B, 64]`` and ``[N, B]``, drawn with replacement."""
        uniform = torch.rand((self.work.num_agents, BATCH), generator=self.generator)
        slots = torch.minimum((uniform * self.counts), self.counts - 1).long()
        rows = self.indices.gather(1, slots)
        return self.features[rows], self.labels[rows]

    def mix(self, leaf: torch.Tensor) -> torch.Tensor:
        """``W x`` as a sum of gathers."""
        tail = (1,) * (leaf.ndim - 1)
        mixed = leaf * self.own_weights.reshape(-1, *tail)
        for neighbors, weights in zip(self.neighbors, self.weights, strict=True):
            mixed.addcmul_(leaf.index_select(0, neighbors), weights.reshape(-1, *tail))
        return mixed

    def round(self) -> None:
        """One local step of every agent, then one exchange."""
        raise NotImplementedError


class NodeLoop(_Peer):
    """What most simulators do: one module and one optimiser per node, a Python loop over nodes."""

    name = "torch-loop"
    updates_per_segment = 200

    def reset(self) -> None:
        """Start over from the common initial parameters."""
        self.nodes = []
        for i in range(self.work.num_agents):
            node = torch.nn.Sequential(
                torch.nn.Linear(FEATURES, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)
            )
            with torch.no_grad():
                for own, name in zip(node.parameters(), LEAVES, strict=True):
                    own.copy_(_transposed(torch.from_numpy(self.work.initial[name][i])))
            self.nodes.append((node, torch.optim.SGD(node.parameters(), lr=LEARNING_RATE)))

    def round(self) -> None:
        """One local step of every agent, then one exchange."""
        x, y = self.batches()
        for i, (node, optimizer) in enumerate(self.nodes):
            optimizer.zero_grad()
            functional.cross_entropy(node(x[i]), y[i]).backward()
            optimizer.step()
        with torch.no_grad():
            sent = [list(node.parameters()) for node, _ in self.nodes]
            mixed = [self._average(i, sent) for i in range(len(sent))]
            for own, new in zip(sent, mixed, strict=True):
                for leaf, value in zip(own, new, strict=True):
                    leaf.copy_(value)

    def _average(self, i: int, sent: list[list[Any]]) -> list[torch.Tensor]:
        average = [leaf * self.work.self_weights[i] for leaf in sent[i]]
        for j, weight in zip(self.work.neighbors[i], self.work.neighbor_weights[i], strict=True):
            for total, leaf in zip(average, sent[j], strict=True):
                total.add_(leaf, alpha=float(weight))
        return average

    def result(self) -> dict[str, np.ndarray]:
        """The parameters, leaves ``[N, ...]``."""
        leaves = zip(*(node.parameters() for node, _ in self.nodes), strict=True)
        stacked = [
            torch.stack([_transposed(leaf.detach()) for leaf in leaf_of_all])
            for leaf_of_all in leaves
        ]
        return {name: leaf.numpy() for name, leaf in zip(LEAVES, stacked, strict=True)}


class FuncVmap(_Peer):
    """``torch.func.vmap`` over ``torch.func.grad``, parameters stacked."""

    name = "torch-vmap"

    def __init__(self, work: Workload, *, seed: int = 0) -> None:
        super().__init__(work, seed=seed)

        def loss(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            hidden = torch.relu(x @ params["w1"] + params["b1"])
            return functional.cross_entropy(hidden @ params["w2"] + params["b2"], y)

        self._gradients = torch.func.vmap(torch.func.grad(loss))

    def round(self) -> None:
        """One local step of every agent, then one exchange."""
        x, y = self.batches()
        gradients = self._gradients(self.params, x, y)
        stepped = {
            k: leaf.sub_(gradients[k], alpha=LEARNING_RATE) for k, leaf in self.params.items()
        }
        self.params = {k: self.mix(leaf) for k, leaf in stepped.items()}


class HandBatched(_Peer):
    """Batched matrix products with the gradient written out: the fastest that PyTorch does here."""

    name = "torch-bmm"
    updates_per_segment = 3000

    @torch.inference_mode()
    def round(self) -> None:
        """One local step of every agent, then one exchange."""
        x, y = self.batches()
        p = self.params
        hidden = torch.baddbmm(p["b1"][:, None], x, p["w1"]).relu_()
        error = torch.baddbmm(p["b2"][:, None], hidden, p["w2"]).softmax(dim=2)
        error.scatter_add_(2, y[..., None], error.new_full((*y.shape, 1), -1.0))
        error.mul_(LEARNING_RATE / BATCH)
        below = torch.bmm(error, p["w2"].transpose(1, 2)).mul_(hidden > 0)
        p["w2"].baddbmm_(hidden.transpose(1, 2), error, alpha=-1)
        p["b2"].sub_(error.sum(dim=1))
        p["w1"].baddbmm_(x.transpose(1, 2), below, alpha=-1)
        p["b1"].sub_(below.sum(dim=1))
        self.params = {k: self.mix(leaf) for k, leaf in p.items()}


def _transposed(leaf: torch.Tensor) -> torch.Tensor:
    """``[in, out] <-> [out, in]``; biases stay as they are."""
    return leaf.mT if leaf.ndim == 2 else leaf


PEERS = (NodeLoop, FuncVmap, HandBatched)
