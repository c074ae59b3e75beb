"""Sizes of the DQC experiment, and the names of its tasks and arms."""

from dataclasses import dataclass

from jaxswarm import errors

TASKS = ("sticky corridor", "long corridor", "detours", "direct data")
"""Tasks of the small scale, see :mod:`experiments.dqc.worlds`."""

PARTS = ("exact", "networked")
"""What is run beside the grid tasks: exact chunk critics, and agents with disjoint shards."""

MAZES = ("giant", "teleport")
"""Point mazes of OGBench, which the full scale adds."""


@dataclass(frozen=True)
class Config:
    """Sizes; all arms of a task share them."""

    parts: tuple[str, ...] = PARTS  # what is run beside the grid tasks
    horizon: int = 16  # steps of the critics' returns and chunks (h)
    policy_chunk: int = 1  # actions of DQC's policy chunk (h_a)
    middle_chunk: int = 4  # actions of a chunk of QC-NS
    kappa_distill: float = 0.7  # expectile of the distilled critic, in [0.5, 1)
    kappa_value: float = 0.8  # quantile of the values of all arms but IQL, in [0.5, 1)
    expectile: float = 0.9  # expectile of IQL's value, in [0.5, 1)
    advantage_weight: float = 3.0  # inverse temperature of IQL's actor
    discount: float = 0.94  # discount factor
    width: int = 32  # hidden units of a layer; every network has two layers
    steps: int = 1000  # gradient steps of every arm
    batch: int = 64  # chunks of a gradient step
    lr: float = 5e-3  # step size of Adam
    tau: float = 0.02  # share of the critic that moves into its target per step
    candidates: int = 16  # samples of which a policy executes the best
    flow_steps: int = 5  # Euler steps of the actor
    episodes: int = 200  # episodes of a data set
    length: int = 100  # steps of an episode of the data
    repeats: int = 3  # evaluation episodes for each of the five starts and goals of a task
    agents: int = 4  # networked agents, each with its own share of the episodes
    mdps: int = 24  # random Markov decision processes of each size, slip and share of optimal data
    mazes: tuple[str, ...] = ()  # point mazes of OGBench: giant, teleport (needs ogbench)
    maze_rows: int = 100_000  # rows of data of a point maze
    maze_steps: int = 5_000  # gradient steps in a point maze
    maze_width: int = 64  # hidden units of a layer in a point maze
    maze_batch: int = 256  # chunks of a gradient step in a point maze
    maze_horizon: int = 25  # steps of the critics' returns and chunks in a point maze
    maze_chunk: int = 5  # actions of DQC's policy chunk in a point maze
    maze_seeds: int = 3  # repetitions in a point maze
    maze_episodes: int = 4  # evaluation episodes for each of the five tasks of a point maze
    seeds: int = 5  # number of independent repetitions, at least 2
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise errors.unknown("part", part, PARTS)
        for name in self.mazes:
            if name not in MAZES:
                raise errors.unknown("maze", name, MAZES)
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if not 1 <= self.policy_chunk <= self.middle_chunk < self.horizon < self.length:
            raise ValueError(
                "policy_chunk, middle_chunk, horizon, length: expected policy_chunk <= "
                f"middle_chunk < horizon < length, got {self.policy_chunk}, {self.middle_chunk}, "
                f"{self.horizon}, {self.length}"
            )
        if self.episodes % self.agents:
            raise ValueError(
                f"episodes: expected a multiple of the {self.agents} agents, got {self.episodes}"
            )


SCALES = {
    "smoke": Config(
        parts=(),
        steps=4,
        batch=8,
        width=8,
        candidates=2,
        flow_steps=1,
        episodes=8,
        length=24,
        repeats=1,
        mdps=2,
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        steps=2000,
        repeats=10,
        mdps=48,
        mazes=MAZES,
        seeds=10,
    ),
}
