"""Sizes of the NORA experiment, and the names of its arms."""

from dataclasses import dataclass

from jaxswarm import errors
from jaxswarm.systems import nora

PARTS = ("offline", "class", "swarm", "decoy", "chains", "rate")
"""What is run beside the lock; the names of the results."""


@dataclass(frozen=True)
class Config:
    """Sizes; every arm on a world shares them."""

    parts: tuple[str, ...] = PARTS  # what is run beside the lock
    horizon: int = 8  # steps of the lock (H)
    actions: int = 4  # actions of the lock (A)
    slip: float = 0.05  # probability that the lock's right action fails
    distractor: float = 0.02  # reward of the lock's wrong first actions
    episodes: int = 8_000  # episodes on the lock, a multiple of 4
    bonus: float = 0.3  # β of the elliptical bonus
    rate: float = 0.5  # η of the mirror ascent; some arms have ten times it
    offline: tuple[int, ...] = (0, 10, 30, 100, 300, 1_000)  # sizes of the offline data, episodes
    hybrid_episodes: int = 2_000  # episodes after offline data, a multiple of 4
    class_episodes: int = 1_000  # episodes with the finite class, a multiple of 4
    class_slip: float = 0.2  # probability that the right action fails, in the finite class's lock
    class_horizon: int = 4  # steps of the lock of the finite class, which has 2 A^H members
    agents: int = 8  # number of agents of the swarm (N)
    swarm_episodes: int = 1_000  # episodes of each agent of the swarm
    swarm_bonus: float = 1.0  # β of the swarm's agents
    swarm_seeds: int = 5  # number of swarms
    decoy_episodes: int = 2_000  # episodes on the decoy
    chain_episodes: int = 4_000  # episodes on RiverSwim and DeepSea, a multiple of 4
    river_bonus: float = 1.0  # β on RiverSwim, whose returns are about four times the others'
    rate_episodes: int = 20_000  # episodes on random linear processes
    rate_seeds: int = 20  # number of random linear processes
    seeds: int = 10  # number of independent repetitions, at least 2
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise errors.unknown("part", part, PARTS)
        for field in ("episodes", "hybrid_episodes", "class_episodes", "chain_episodes"):
            if getattr(self, field) < 4 or getattr(self, field) % 4:
                raise ValueError(f"{field}: expected a multiple of 4, got {getattr(self, field)}")
        for field in ("seeds", "rate_seeds", "swarm_seeds"):
            if getattr(self, field) < 2:
                raise ValueError(f"{field}: expected at least 2, got {getattr(self, field)}")
        if len(self.offline) < 2 or self.offline[0] or list(self.offline) != sorted(self.offline):
            raise ValueError(f"offline: expected rising sizes that begin at 0, got {self.offline}")
        if self.swarm_seeds > self.seeds:
            raise ValueError(f"swarm_seeds: expected at most {self.seeds}, got {self.swarm_seeds}")


def lock_arms(config: Config) -> dict[str, nora.Settings]:
    """Settings of the arms on the lock, by name."""
    bonus, rate = config.bonus, config.rate
    own = lambda name, **changed: nora.settings_of(name, **{"rate": rate, **changed})  # noqa: E731
    return {
        "NORA": own("nora", bonus=bonus),
        "NORA, rate × 10": own("nora", bonus=bonus, rate=rate * 10),
        "no reset": own("no reset", bonus=bonus),
        "no rare switching": own("no rare switching", bonus=bonus),
        "reset in every episode": own("reset in every episode", bonus=bonus),
        "DOUHUA": own("douhua", bonus=bonus),
        "LSVI-UCB": own("lsvi-ucb", bonus=bonus),
        "rare LSVI-UCB": own("rare lsvi-ucb", bonus=bonus),
        "no optimism": own("no optimism"),
        "no optimism, rate × 0.1": own("no optimism", rate=rate / 10),
        "no optimism, rate × 10": own("no optimism", rate=rate * 10),
        "epsilon-greedy 0.01": own("epsilon-greedy", exploration=0.01),
        "epsilon-greedy 0.1": own("epsilon-greedy", exploration=0.1),
        "epsilon-greedy 0.3": own("epsilon-greedy", exploration=0.3),
        "uniform": own("uniform"),
    }


WITHOUT_OPTIMISM = ("no optimism", "no optimism, rate × 0.1", "no optimism, rate × 10")
GREEDY = ("epsilon-greedy 0.01", "epsilon-greedy 0.1", "epsilon-greedy 0.3")
GRAPHS = ("isolated", "ring", "complete graph")
"""Communication graphs of the swarm, in the order of the stacked mixing operators."""

TARGETS = (0.4, 0.2, 0.1, 0.05)
"""Mean regrets that are waited for, as shares of a uniform policy's."""

SCALES = {
    "smoke": Config(
        parts=(),
        horizon=3,
        actions=3,
        episodes=40,
        offline=(0, 4),
        hybrid_episodes=40,
        class_episodes=40,
        class_horizon=2,
        agents=3,
        swarm_episodes=20,
        swarm_seeds=2,
        decoy_episodes=40,
        chain_episodes=8,
        rate_episodes=40,
        rate_seeds=2,
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        episodes=64_000,
        hybrid_episodes=16_000,
        class_episodes=4_000,
        swarm_episodes=2_000,
        swarm_seeds=10,
        decoy_episodes=8_000,
        chain_episodes=12_000,
        rate_episodes=100_000,
        rate_seeds=40,
        seeds=20,
    ),
}
