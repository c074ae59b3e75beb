"""A process of asynchronous D-PSGD: softmax regression on a shard of digits, over a node."""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits

from jaxswarm.network.node import Node

LEARNING_RATE, BATCH, TRAIN = 0.3, 20, 1400


def data():
    """Training and test images in ``[0, 1]`` with labels, the same in every process."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    images = (images[order] / 16.0).astype(np.float32)
    labels = labels[order]
    return (images[:TRAIN], labels[:TRAIN]), (images[TRAIN:], labels[TRAIN:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--ports", type=int, nargs="+", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    given = parser.parse_args()
    count, own = len(given.ports), given.number
    (images, labels), (test, answers) = data()
    mine = np.arange(own, TRAIN, count)
    rng = np.random.default_rng(100 + own)
    weights = [np.zeros((64, 10), np.float32), np.zeros(10, np.float32)]
    around = {(own + step) % count for step in (-1, 1)}
    peers = {other: ("127.0.0.1", given.ports[other]) for other in around}
    with Node(own, weights, peers, port=given.ports[own]) as node:
        for _ in range(given.rounds):
            rows = rng.choice(mine, BATCH)
            x, y = images[rows], labels[rows]
            scores = x @ weights[0] + weights[1]
            p = np.exp(scores - scores.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            p[np.arange(BATCH), y] -= 1.0
            steps = [x.T @ p / BATCH, p.mean(axis=0)]
            weights = [
                (w - LEARNING_RATE * g).astype(np.float32)
                for w, g in zip(weights, steps, strict=True)
            ]
            node.send(weights)
            time.sleep(0.02)
            weights = node.mix(weights)
        right = np.argmax(test @ weights[0] + weights[1], axis=1) == answers
        print("accuracy", right.mean(), "refused", sum(node.refused.values()), flush=True)


if __name__ == "__main__":
    main()
