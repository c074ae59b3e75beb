"""Sizes of the experiment on scaling agent systems at the three scales."""

from dataclasses import dataclass

ARCHITECTURES = ("single", "independent", "centralized", "decentralized", "hybrid")
SINGLE, INDEPENDENT, CENTRALIZED, DECENTRALIZED, HYBRID = ARCHITECTURES
TEAMS = ARCHITECTURES[1:]
DIVIDED = "divided"  # subtasks dealt to members that exchange nothing: called independent before
VOTING = "independent, voting"  # whole attempts compared by a vote, which the paper's are not

ROUNDS = 3  # of checks and second answers, for every architecture
SETTINGS: dict[str, dict[str, float]] = {
    "as stated": {},
    "budget 450": {"budget": 450.0},
    "budget 700": {"budget": 700.0},
    "budget 2,800": {"budget": 2800.0},
    "blind .9": {"blind": 0.9},
    "misread .4": {"misread": 0.4},
    "message 200": {"message": 200.0},
    "one round": {"rounds": 1},
}
"""Constants of the worker under which every claim is tested: fields of ``Costs``, and rounds."""


@dataclass(frozen=True)
class Config:
    """Abilities, sizes of teams, and numbers of tasks and seeds."""

    abilities: tuple[float, ...] = (0.6, 0.75, 0.9)  # chances of a right answer, at least three
    teams: tuple[int, ...] = (3, 5)  # members of a team, at least two sizes
    tasks: int = 6  # tasks of each kind per seed and setting
    seeds: int = 8  # independent runs
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
    "smoke": Config(tasks=2, seeds=3),
    "small": Config(),
    "full": Config(
        abilities=(0.5, 0.6, 0.7, 0.8, 0.9), teams=(2, 3, 5, 8), tasks=100, largest=1024
    ),
}  # fmt: skip


def arms(config: Config) -> list[tuple[str, int]]:
    """``(architecture, members)`` of every arm: the single agent, teams of the engine, attempts."""
    engine = [(name, n) for n in config.teams for name in (*TEAMS[1:], DIVIDED)]
    attempts = [(INDEPENDENT, n) for n in config.teams]
    return [(SINGLE, 1), *engine, *attempts, (VOTING, max(config.teams))]
