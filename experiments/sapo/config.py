"""Sizes of the SAPO experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of agents, tasks, base models and rounds."""

    agents: int = 4  # agents of a swarm, an even number
    questions: int = 8  # questions of an agent in a round, and groups of an update
    samples: int = 8  # responses to each question
    rounds: int = 64  # rounds, each with one update
    lr: float = 5e-4  # Adam's step size from low bases
    lr_high: float = 5e-4  # Adam's step size from high bases
    lr_specialists: float = 5e-4  # Adam's step size of the specialists
    lr_taught: float = 2e-3  # the same of specialists that learn from right external responses only
    width: int = 32  # width of the transformer
    layers: int = 2  # layers of the transformer
    pool: int = 1_024  # training questions
    mistakes: float = 0.15  # share of wrong demonstrations in fine-tuning
    sft_batch: int = 32  # demonstrations in a step of fine-tuning
    sft_steps: int = 1_000  # steps after which fine-tuning gives up
    sft_samples: int = 4  # responses to each held-out question in a check of fine-tuning
    base: float = 0.035  # pass rate at which fine-tuning of the base models stops
    high_base: float = 0.24  # pass rate of the base models of the negative control
    known: float = 0.1  # pass rate of specialists on the two families that they know
    external: tuple[int, ...] = (2, 4, 6)  # external groups of the arms that share, in order
    held_out: int = 64  # questions that measure models, of which none is trained on
    audit_samples: int = 8  # responses to each held-out question
    junk: int = 0  # agents that share rewarded junk in an extra arm; 0 leaves it out
    seeds: int = 6  # independent runs, each with base models of its own
    compile_level: int = 2  # XLA's optimization level, see jit_fast_compile
    cache: str = ""  # folder in which base models are kept; empty for none
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.agents % 2:
            raise ValueError(f"agents: expected an even number, got {self.agents}")
        if self.questions % 4 or self.pool % 4 or self.held_out % 4:
            raise ValueError(
                f"questions, pool, held_out: expected multiples of 4, the families, got "
                f"{self.questions}, {self.pool}, {self.held_out}"
            )
        half = self.questions // 2
        if half not in self.external or not all(0 < j < self.questions for j in self.external):
            raise ValueError(
                f"external: expected numbers between 0 and {self.questions}, {half} among them, "
                f"got {self.external}"
            )
        if not 0 <= self.junk < self.agents:
            raise ValueError(f"junk: expected fewer than {self.agents} agents, got {self.junk}")


def ratio_name(config: Config, external: int) -> str:
    """Name of the arm with a number of external groups in an update, such as ``"4_4"``."""
    return f"{config.questions - external}_{external}"


SCALES = {
    "smoke": Config(
        agents=2, questions=4, samples=2, rounds=2, width=8, layers=1, pool=16, sft_batch=4,
        sft_steps=10, external=(2, 3), held_out=4, sft_samples=2, audit_samples=2, seeds=2,
        compile_level=0,
    ),
    "small": Config(),
    "full": Config(agents=8, rounds=700, seeds=6, junk=2),
}  # fmt: skip
