"""Sizes of the Bayesian-network actor-critic experiment, and the names of its arms."""

from dataclasses import dataclass

TABULAR_GRAPHS = ("independent", "line", "full")
"""Graphs of the tabular policies, in the order of the results' first axis."""

TABULAR_SIZES = (2, 3, 5)  # numbers of agents for which the paper defines the coordination game

ANNEALED = "annealed"
"""A learned graph whose density is driven to zero; the other names are those of
``jaxswarm.systems.bn_actor_critic._graph_settings``."""


@dataclass(frozen=True)
class Config:
    """Sizes of the tabular policies, the networked agents and the teams."""

    sizes: tuple[int, ...] = (2, 3)  # numbers of agents with tables: some of 2, 3 and 5
    iterations: int = 2_000  # exact gradient steps of the tables
    every: int = 50  # gradient steps between two recorded values; divides iterations
    seeds: int = 49  # number of independent initial tables
    lr: float = 0.01  # step size of gradient ascent on the tables
    discount: float = 0.95  # discount factor of the tables' objective, in [0, 1)
    neighbor_steps: int = 30_000  # steps of the networked agents
    neighbor_seeds: int = 10  # number of independent repetitions with networked agents
    actor_rate: float = 10.0  # step size of the networked agents' actors
    aloha: int = 6  # number of agents in slotted Aloha; 0 leaves the game out
    informed: int = 4  # number of agents in the game of one informed agent; 0 leaves it out
    coordination: int = 0  # number of agents in BN-MAPPO's coordination game; 0 leaves it out
    team_graphs: tuple[str, ...] = ("independent", "full", "learnt", ANNEALED)
    """Graphs that BN-MAPPO is run with: independent, full, learnt, random, annealed."""
    aloha_steps: int = 64_000  # environment steps of BN-MAPPO's training on Aloha
    informed_steps: int = 19_200  # likewise with one informed agent
    coordination_steps: int = 64_000  # likewise in the coordination game
    team_envs: int = 32  # environments that are simulated at once
    team_seeds: int = 5  # number of independent repetitions of BN-MAPPO
    team_lr: float = 7e-4  # step size of BN-MAPPO's Adam
    alpha: float = 0.1  # weight of the penalty on the density, before it rises tenfold
    episodes: int = 64  # fresh episodes that a reported return is the mean of
    seed: int = 0  # base seed of all repetitions

    def __post_init__(self) -> None:
        if not self.sizes or any(n not in TABULAR_SIZES for n in self.sizes):
            raise ValueError(f"sizes: expected some of 2, 3 and 5, got {self.sizes}")
        if self.iterations % self.every:
            raise ValueError(f"every: expected a divisor of {self.iterations}, got {self.every}")
        if not 0.0 <= self.discount < 1.0:
            raise ValueError(f"discount: expected a number in [0, 1), got {self.discount}")
        for field in ("neighbor_seeds", "team_seeds", "neighbor_steps"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field}: expected at least 1, got {getattr(self, field)}")


SCALES = {
    "smoke": Config(
        sizes=(2,),
        iterations=20,
        every=10,
        seeds=3,
        neighbor_steps=50,
        neighbor_seeds=3,
        aloha=0,
        informed=0,
    ),
    "small": Config(),
    "full": Config(
        sizes=(2, 3, 5),
        iterations=5_000,
        every=100,
        seeds=12,
        neighbor_steps=100_000,
        aloha=10,
        informed=6,
        coordination=3,
        team_graphs=("independent", "full", "learnt", "random", ANNEALED),
        aloha_steps=1_000_000,
        informed_steps=1_000_000,
        coordination_steps=200_000,
        team_seeds=10,
    ),
}
