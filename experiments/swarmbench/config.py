"""Sizes of the SwarmBench experiment, its conditions and the measures of an episode."""

from dataclasses import dataclass
from typing import NamedTuple

TASKS = ("pursuit", "synchronization", "foraging", "flocking", "transport")
"""All tasks of the benchmark."""

SAME_SIGHT = 2
"""Sight (cells in each direction) at which messages are compared with no messages and the scripted
policy with the trained network, whose view is 5 × 5 cells."""

DISCOUNT = 0.97
"""Discount factor of the trained networks, and of the potentials in their dense reward."""

MOTION = (
    "directional_entropy",
    "stillness",
    "dominant_action",
    "polarization",
    "moving_distance",
    "structure",
    "pushes",
)
MESSAGES = ("messages", "message_length")
"""Measures of how a swarm moves, and of the amount of its messages."""


@dataclass(frozen=True)
class Config:
    """Sizes; scores are of whole episodes."""

    agents: int = 10  # number of agents, at least 5 (which the box needs to be pushed)
    size: int = 10  # side of the square grid, in cells
    rounds: int = 100  # rounds of an episode
    view: int = 9  # side k of the scripted policies' largest view of k × k cells
    sights: tuple[int, ...] = (1, 2, 4)  # cells visible in each direction: views of 2 × sight + 1
    seeds: int = 20  # episodes per arm of the random and scripted policies
    learners: int = 5  # number of independently trained networks per task
    learner_view: int = 5  # side of the trained networks' view, in cells
    envs: int = 8  # episodes that are simulated at once in training
    horizon: int = 50  # rounds collected per PPO iteration
    iterations: int = 30  # PPO iterations
    looks: int = 6  # evaluations while learning, at equal intervals; divides iterations
    learned: tuple[str, ...] = ("synchronization", "pursuit", "foraging")
    """Tasks that a network is trained on."""
    epochs: int = 2  # passes over the data of an iteration
    minibatches: int = 4  # minibatches per pass
    width: int = 64  # units of the trained networks' hidden layer and memory
    lr: float = 1e-3  # step size of Adam
    shaping: float = 1.0  # weight of the dense reward, which leaves the order of policies as it is
    seed: int = 0  # base seed of episodes and networks

    def __post_init__(self) -> None:
        if self.agents < 5:
            raise ValueError(f"agents: expected at least 5 to push the box, got {self.agents}")
        if len(self.sights) < 2 or 2 * max(self.sights) + 1 > self.view:
            raise ValueError(f"sights: expected two or more within the view, got {self.sights}")
        if self.iterations % self.looks:
            raise ValueError(f"looks: expected a divisor of {self.iterations}, got {self.looks}")
        if not set(self.learned) <= set(TASKS):
            raise ValueError(f"learned: expected some of {', '.join(TASKS)}, got {self.learned}")
        if SAME_SIGHT not in self.sights:
            raise ValueError(f"sights: expected {SAME_SIGHT} among them, got {self.sights}")


SCALES = {
    "smoke": Config(
        rounds=12,
        sights=(1, 2),
        view=5,
        seeds=6,
        learners=2,
        envs=2,
        horizon=6,
        iterations=1,
        looks=1,
        epochs=1,
        minibatches=1,
        width=8,
        agents=6,
        size=8,
    ),
    "small": Config(),
    "full": Config(
        seeds=100,
        learners=10,
        envs=32,
        iterations=300,
        horizon=100,
        looks=30,
        learned=TASKS,
    ),
}


class Condition(NamedTuple):
    """An arm of the random or scripted policies.

    Attributes:
        sight: cells visible in each direction.
        messages: whether messages are delivered.
        random: random moves instead of the scripted policy.
    """

    sight: int
    messages: bool
    random: bool


def conditions(config: Config) -> list[Condition]:
    """List the arms in the order of the results' first axis; random moves are the last."""
    with_messages = [Condition(sight, True, False) for sight in config.sights]
    without = [Condition(sight, False, False) for sight in config.sights]
    return [*with_messages, *without, Condition(max(config.sights), True, True)]
