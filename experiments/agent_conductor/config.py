"""Sizes and learned arms of the AgentConductor experiment."""

from dataclasses import dataclass

from jaxswarm.systems.agent_conductor import Options, TaskMix

LEARNED = {
    "AgentConductor": Options(),
    "masked decoding": Options(masked=True),
    "learned once": Options(second_turn=False),
    "verdict hidden": Options(verdict=False),
    "N_max of hard tasks for all": Options(adaptive=False),
    "no density reward": Options(density=0.0),
    "true difficulty (ablation)": Options(true_difficulty=True),
    "graph reward alone (control)": Options(execution=0.0),
}
"""Learned arms; the last but one sees a hidden variable, the last is a control that must fail."""

SHIFTED = TaskMix(
    shares=(0.2, 0.4, 0.4),
    skills=(0.5, 0.5, 3.0, 1.5),
    implementation=((0.25, 0.62), (0.35, 0.66), (0.45, 0.69)),
    others=((0.02, 0.16), (0.22, 0.44), (0.32, 0.56)),
    feature_noise=0.15,
    difficulty_noise=0.25,
)
"""Harder tasks of other skills behind noisier features, for zero-shot transfer."""


@dataclass(frozen=True)
class Config:
    """Sizes of training, evaluation and searches."""

    slots: int = 10  # slots of a graph, at least 10
    width: int = 64  # hidden units of the decoder
    imitation: int = 480  # gradient steps of SFT-lite
    demonstrations: int = 64  # tasks of an imitation step
    updates: int = 150  # GRPO updates
    tasks: int = 6  # tasks of an update
    group: int = 8  # trajectories of each task
    imitation_lr: float = 1e-2  # Adam's first step size in imitation, which decays to 0 (cosine)
    lr: float = 4e-3  # the same in GRPO
    kl_weight: float = 0.01  # weight of the divergence from the policy after imitation
    test: int = 300  # test tasks of each distribution and seed
    search_tasks: int = 48  # tasks of a search: of the pruned graph (training), of the oracle
    prunings: int = 12  # removals tried for at most, in the search of the pruned graph
    oracle_draws: int = 6  # executions of each star by the oracle
    oracle_rounds: int = 14  # rounds of the oracle's local search
    compile_level: int = 2  # XLA's optimization level
    seeds: int = 5  # independent runs, at least 2
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.slots < 10:
            raise ValueError(f"slots: expected at least 10, got {self.slots}")
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if self.search_tasks > self.test:
            raise ValueError(f"search_tasks: expected at most test={self.test}")


SCALES = {
    "smoke": Config(
        imitation=2, demonstrations=6, updates=2, tasks=2, group=2, test=9, search_tasks=6,
        prunings=1, oracle_draws=1, oracle_rounds=1, width=8, compile_level=0, seeds=2,
    ),
    "small": Config(),
    "full": Config(
        imitation=600, updates=1000, tasks=16, group=16, test=2000, search_tasks=256, prunings=40,
        oracle_draws=16, oracle_rounds=60, seeds=5,
    ),
}  # fmt: skip
