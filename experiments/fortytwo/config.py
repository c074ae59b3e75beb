"""Sizes of the Fortytwo experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the pools of models, of their training and of the evaluation."""

    seeds: int = 5  # independent pools with questions of their own
    nodes: int = 8  # models of a pool, which answer and judge
    widths: tuple[int, ...] = (24, 32)  # widths of the models in turn: node i has width i mod 2
    layers: int = 2  # transformer blocks of each model
    clique: float = 0.75  # share of the nodes with the same wrong rule and the same wrong facts
    rows: int = 1_500  # demonstrations, or verdicts with answers mixed in, of each training
    base_steps: int = 1_800  # gradient steps of the base model of each width
    base_batch: int = 64  # sequences of such a step
    base_lr: float = 5e-3  # Adam's largest step size of the base models
    steps: int = 80  # gradient steps of each node on its answers, and again on verdicts
    batch: int = 32  # sequences of such a step
    lr: float = 4e-3  # Adam's largest step size of the nodes
    demonstrations: int = 1_000  # texts of demonstrations
    calibration: int = 384  # calibration questions on which judges are trained
    admission: int = 128  # calibration questions kept for admission tests
    questions: int = 512  # test questions of each pool and task
    block: int = 64  # questions that are judged at once; divides the numbers of questions
    pairs: int = 2  # pairs that each node compares for each question
    threshold: float = 0.6  # share of right verdicts in admission tests that admits a judge
    temperature: float = 0.5  # of sampled answers
    rate: float = 0.9  # weight of the past in reputations
    ridge: float = 0.1  # penalty of the Bradley-Terry model
    sizes: tuple[int, ...] = (3, 5)  # smaller swarms, on one block of questions
    byzantine: float = 0.25  # share of Byzantine nodes
    flips: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # shares of verdicts turned at random
    synthetic_nodes: int = 1_000  # nodes of the synthetic tier
    synthetic_requests: int = 30  # requests of the synthetic tier
    sybils: tuple[int, ...] = (1, 10, 100)  # identities of one operator with one node's compute
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        for name in ("questions", "admission", "calibration"):
            if getattr(self, name) % self.block:
                raise ValueError(
                    f"block: expected a divisor of {name}={getattr(self, name)}, got {self.block}"
                )
        if self.nodes < 3 or max(self.sizes) >= self.nodes or min(self.sizes) < 2:
            raise ValueError(
                f"sizes: expected numbers from 2 to nodes - 1 = {self.nodes - 1}, got {self.sizes}"
            )


SCALES = {
    "smoke": Config(
        seeds=2, nodes=4, widths=(8,), layers=1, rows=64, base_steps=10, base_batch=8, steps=10,
        batch=8, demonstrations=64, calibration=8, admission=8, questions=16, block=8,
        pairs=2, sizes=(3,), flips=(0.0, 0.5), synthetic_nodes=24, synthetic_requests=5,
        sybils=(1, 4),
    ),
    "small": Config(),
    "full": Config(
        seeds=8, nodes=20, widths=(24, 32, 48), base_steps=4_000, steps=200, rows=3_000, pairs=3,
        sizes=(3, 5, 7, 10, 15), synthetic_nodes=4_000, synthetic_requests=200,
        sybils=(1, 3, 10, 30, 100, 300),
    ),
}  # fmt: skip
