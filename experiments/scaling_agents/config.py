"""Sizes of the experiment on scaling agent systems at the three scales."""

from dataclasses import dataclass

from jaxswarm.systems import scaling_agents

ARCHITECTURES = scaling_agents.ARCHITECTURES
SINGLE, INDEPENDENT, CENTRALIZED, DECENTRALIZED, HYBRID = ARCHITECTURES
TEAMS = ARCHITECTURES[1:]


@dataclass(frozen=True)
class Config:
    """Abilities, sizes of teams, and numbers of tasks and seeds."""

    abilities: tuple[float, ...] = (0.6, 0.75, 0.9)  # chances of a right answer, at least three
    teams: tuple[int, ...] = (3, 5)  # members of a team, at least two sizes
    tasks: int = 40  # tasks of each kind per seed
    seeds: int = 16  # independent runs
    largest: int = 0  # members of the largest team in the map of the full scale; 0 skips the map
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if len(set(self.teams)) < 2 or min(self.teams) < 2:
            raise ValueError(f"teams: expected two or more sizes of at least 2, got {self.teams}")
        if len(set(self.abilities)) < 3 or not all(0.0 < x < 1.0 for x in self.abilities):
            raise ValueError(
                f"abilities: expected three or more chances in (0, 1), got {self.abilities}"
            )


SCALES = {
    "smoke": Config(tasks=4, seeds=3),
    "small": Config(),
    "full": Config(
        abilities=(0.5, 0.6, 0.7, 0.8, 0.9), teams=(2, 3, 5, 8), tasks=100, largest=1024
    ),
}  # fmt: skip


def arms(config: Config) -> list[tuple[str, int]]:
    """``(architecture, members)`` of every arm; the single agent comes first."""
    return [(SINGLE, 1), *((name, n) for n in config.teams for name in TEAMS)]
