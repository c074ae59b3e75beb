"""Sizes of the Symphony-Coord experiment at the three scales."""

from dataclasses import dataclass

FAMILIES = ("watts_strogatz", "barabasi_albert")


@dataclass(frozen=True)
class Config:
    """Sizes of the four parts: shocks, regret, screening and swarm."""

    tasks: int = 1000  # tasks of a run with a shock (half-way, so even) or with screening
    hard: float = 0.7  # share of hard tasks, in [0, 1] (shocks)
    late: int = 200  # last tasks that measure recovery, at most half of the tasks
    delay: int = 20  # tasks until feedback arrives, in the run with late feedback
    regret_steps: int = 10_000  # tasks of the regret part
    pool: int = 64  # agents among which a short list is screened
    pool_types: int = 8  # types of tasks in the screening and swarm parts
    nodes: int = 32  # nodes of the swarm; each is a requester and a worker
    slots: int = 16  # most candidates that a requester of the swarm keeps
    family: str = "watts_strogatz"  # graph of the swarm: watts_strogatz or barabasi_albert
    rounds: int = 400  # tasks of each requester of the swarm
    every: int = 10  # tasks between gossip exchanges; must divide rounds
    tuning_seeds: int = 4  # runs of each arm of the swarm at each radius, to choose its radius
    swarm_seeds: int = 10  # independent runs of the swarm, at least 2
    seeds: int = 20  # independent runs of the other parts, at least 2
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.rounds % self.every:
            raise ValueError(f"every: expected a divisor of rounds={self.rounds}, got {self.every}")
        if self.tasks % 2:
            raise ValueError(f"tasks: expected an even number, got {self.tasks}")
        if not 1 <= self.late <= self.tasks // 2:
            raise ValueError(f"late: expected 1 to {self.tasks // 2}, got {self.late}")
        if self.family not in FAMILIES:
            raise ValueError(f"family: expected one of {FAMILIES}, got {self.family!r}")
        for name in ("seeds", "swarm_seeds"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name}: expected at least 2, got {getattr(self, name)}")


SCALES = {
    "smoke": Config(
        tasks=40, late=10, delay=4, regret_steps=400, pool=8, nodes=12, slots=6, rounds=20,
        swarm_seeds=2, tuning_seeds=2, seeds=2,
    ),
    "small": Config(),
    "full": Config(
        nodes=4096, slots=32, rounds=4000, swarm_seeds=5, tuning_seeds=2, pool_types=32
    ),
}  # fmt: skip
