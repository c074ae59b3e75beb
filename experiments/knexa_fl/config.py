"""Sizes of the KNEXA-FL experiment at the three scales."""

from dataclasses import dataclass

NUM_SKILLS = 12


@dataclass(frozen=True)
class Config:
    """Sizes of the two bandit tiers and of the tier with language models."""

    clients: int = 16  # agents of the bandit tiers; all are paired in each round, so even
    bandit_rounds: int = 100  # rounds of the tier with linear rewards
    synergy_rounds: int = 60  # rounds of the tier with synergy
    bandit_seeds: int = 10  # independent runs of the bandit tiers
    agents: int = 6  # language agents, in turn of the two families; even
    width: int = 32  # width of the transformers
    pretrain_steps: int = 2000  # gradient steps of each family's base model
    pretrain_lr: float = 1e-2  # its largest step size
    forget_steps: int = 120  # gradient steps in which an agent loses the skills it does not know
    forget_lr: float = 3e-3  # their largest step size
    private: int = 48  # demonstrations of each agent
    transfer: int = 8  # questions of the public transfer set, of each skill
    validation: int = 6  # public validation questions of each skill, which give the rewards
    test: int = 10  # test questions of each skill
    rounds: int = 12  # rounds of matchmaking and distillation
    every: int = 4  # rounds between two measurements of the test accuracy; must divide rounds
    steps: int = 4  # gradient steps of each agent in a round
    batch: int = 8  # private questions of a step
    texts: int = 16  # responses of a teacher that a student learns from in a round
    lr: float = 5e-3  # Adam's step size for the adapters
    seeds: int = 5  # independent runs of the tier with language models
    compile_level: int = 2  # XLA's optimization level, see jit_fast_compile
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.rounds % self.every:
            raise ValueError(f"every: expected a divisor of rounds={self.rounds}, got {self.every}")
        for name in ("clients", "agents"):
            if getattr(self, name) % 2 or getattr(self, name) < 4:
                raise ValueError(
                    f"{name}: expected an even number of at least 4, got {getattr(self, name)}"
                )
        for name in ("seeds", "bandit_seeds"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name}: expected at least 2, got {getattr(self, name)}")


SCALES = {
    "smoke": Config(
        clients=6, bandit_rounds=10, synergy_rounds=4, bandit_seeds=2, agents=4, width=8,
        pretrain_steps=2, forget_steps=1, private=8, transfer=2, validation=1, test=1, rounds=2,
        every=1, steps=1, batch=4, texts=4, seeds=2, compile_level=0,
    ),
    "small": Config(),
    "full": Config(
        bandit_seeds=30, synergy_rounds=100, agents=12, test=14, rounds=30,
        every=5, seeds=10,
    ),
}  # fmt: skip
