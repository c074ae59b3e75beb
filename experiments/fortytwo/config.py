"""Sizes of the Fortytwo experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the pools of models, of their training and of the evaluation."""

    seeds: int = 5  # independent pools with questions of their own
    nodes: int = 8  # models of a pool, which answer and judge
    widths: tuple[int, ...] = (24, 32)  # widths of the models in turn: node i has width i mod 2
    heads: tuple[int, ...] = (2, 4)  # attention heads of the model of each width
    layers: int = 2  # transformer blocks of each model
    clique: float = 0.75  # share of the nodes with the same wrong rule and the same wrong facts
    rows: int = 800  # demonstrations, or verdicts with answers mixed in, of each training
    batch: int = 16  # sequences of a gradient step
    base_steps: int = 8_000  # gradient steps of the base model of each width at most
    base_check: int = 500  # gradient steps on fresh data between two tests of a base model
    base_target: float = 0.85  # share of right verdicts of a base model that ends its training
    base_lr: float = 3e-3  # Adam's largest step size of the base models
    answer_steps: int = 150  # gradient steps of each node on its answers
    judge_steps: int = 160  # gradient steps of each node on verdicts
    lr: float = 4e-3  # Adam's largest step size of the nodes
    demonstrations: int = 1_000  # texts of demonstrations
    calibration: int = 192  # calibration questions on which judges are trained
    admission: int = 64  # calibration questions kept for admission tests
    questions: int = 192  # test questions of each pool and task
    ablation: int = 96  # the first of them, in arms that answer or judge anew
    block: int = 256  # pairs that a node judges at once
    asked: int = 192  # questions that a node answers at once
    comparisons: int = 3  # comparisons of each node per question: this many per reply
    fewer: tuple[int, ...] = (1, 2, 4, 8, 16)  # smaller numbers of comparisons of each node
    votes: int = 12  # replies of each node in a majority vote with the tokens of peer ranking
    threshold: float = 0.6  # share of right verdicts in admission tests that admits a judge
    temperature: float = 0.5  # of sampled answers
    rate: float = 0.98  # weight of the past in reputations
    mix: float = 0.5  # weight of a node's verdicts in its reputation, beside its answers
    ridge: float = 0.1  # penalty of the Bradley-Terry model
    sizes: tuple[int, ...] = (3, 5)  # smaller swarms
    byzantine: float = 0.25  # share of Byzantine nodes
    attacked: int = 32  # admission questions on which texts that address the judge are chosen
    flips: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # shares of verdicts turned at random
    compile_level: int = 1  # of XLA on CPUs for the models; 0 compiles sooner and runs slower
    synthetic_nodes: int = 1_000  # nodes of the synthetic tier
    synthetic_requests: int = 30  # requests of the synthetic tier
    sybils: tuple[int, ...] = (1, 10, 100)  # identities of one operator with one node's compute
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if len(self.heads) != len(self.widths):
            raise ValueError(
                f"heads: expected one number for each of the widths {self.widths}, got {self.heads}"
            )
        if self.nodes < 3 or max(self.sizes) >= self.nodes or min(self.sizes) < 2:
            raise ValueError(
                f"sizes: expected numbers from 2 to nodes - 1 = {self.nodes - 1}, got {self.sizes}"
            )
        for name, most in (("ablation", self.questions), ("attacked", self.admission)):
            if not 1 <= getattr(self, name) <= most:
                raise ValueError(f"{name}: expected 1 to {most}, got {getattr(self, name)}")

    def per_node(self, num_replies: int | None = None) -> int:
        """Comparisons of each node per question: at most all pairs of replies."""
        n = self.nodes if num_replies is None else num_replies
        return min(self.comparisons * n, n * (n - 1) // 2)


SCALES = {
    "smoke": Config(
        seeds=2, nodes=4, widths=(8,), heads=(1,), layers=1, rows=64, base_steps=20, base_check=10,
        answer_steps=10, judge_steps=10, batch=8, demonstrations=64, calibration=8, admission=8,
        questions=16, ablation=8, block=64, asked=16, fewer=(2,), votes=2, sizes=(3,), attacked=4,
        flips=(0.0, 0.5), compile_level=0, synthetic_nodes=24, synthetic_requests=5, sybils=(1, 4),
    ),
    "small": Config(),
    "full": Config(
        seeds=6, nodes=20, widths=(24, 32, 48), heads=(2, 4, 4), answer_steps=400, judge_steps=120,
        rows=3_000, calibration=512, admission=128, questions=384, ablation=192,
        fewer=(1, 2, 4, 8, 16, 32), sizes=(3, 5, 7, 10, 15), synthetic_nodes=4_000,
        synthetic_requests=200, sybils=(1, 3, 10, 30, 100, 300),
    ),
}  # fmt: skip
