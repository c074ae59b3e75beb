"""Sizes and arms of the AgentNet experiment."""

from dataclasses import dataclass
from typing import NamedTuple

from jaxswarm.systems import agentnet


class Arm(NamedTuple):
    """A variant of AgentNet.

    Attributes:
        random_operation: execute, split or forward at random.
        random_next: forward to a random unvisited neighbour.
        router: a global router assigns every part of a task.
        routed: false: the agent at which a task enters executes it.
        executor_memory: retrieved fragments help to execute.
        shuffled: the keys of the executors' memories are permuted.
        learning: edges, capabilities and memories change during training.
        members: number of agents.
        failure: in the test one random agent fails, or the global router if there is one.
        noisy: agents advertise noisy estimates of their abilities at first, instead of equal ones.
    """

    random_operation: bool = False
    random_next: bool = False
    router: bool = False
    routed: bool = True
    executor_memory: bool = True
    shuffled: bool = False
    learning: bool = True
    members: int = 5
    failure: bool = False
    noisy: bool = False


ARMS = {
    "AgentNet": Arm(),
    "random next agent": Arm(random_next=True),
    "random operation": Arm(random_operation=True),
    "totally random": Arm(random_operation=True, random_next=True),
    "global router": Arm(router=True),
    "no routing": Arm(routed=False),
    "no evolution": Arm(learning=False),
    "no memory": Arm(executor_memory=False),
    "shuffled memory keys": Arm(shuffled=True),
    "AgentNet, one agent failed": Arm(failure=True),
    "global router, failed": Arm(router=True, failure=True),
    "AgentNet, 3 agents": Arm(members=3),
    "AgentNet, 9 agents": Arm(members=9),
    "AgentNet, noisy abilities": Arm(noisy=True),
    "no evolution, noisy abilities": Arm(learning=False, noisy=True),
}

CROWD_ARMS = (
    "AgentNet",
    "global router",
    "random next agent",
    "no routing",
    "AgentNet, noisy abilities",
    "no evolution, noisy abilities",
)
"""Arms that are run again with many agents of few neighbours."""


@dataclass(frozen=True)
class Config:
    """Numbers of tasks and agents; ``train`` and ``test`` are the paper's for BBH."""

    train: int = 627  # training tasks, at least 4
    test: int = 100  # test tasks of one test set
    repeats: int = 4  # test sets per seed
    types: int = 5  # types of tasks; every agent has one of them as its speciality
    capacity: int = 40  # fragments in each memory of an agent
    rule: str = "paper"  # how edges and capabilities evolve: as in the paper or in its code
    agents: int = 9  # agents that exist; arms use their first members (all, if degree > 0)
    degree: int = 0  # neighbours of every agent; 0 for a complete graph
    crowd: int = 32  # agents of the sparse graph, on which some arms are run again; 0 for none
    crowd_degree: int = 4  # neighbours of every agent of the sparse graph
    crowd_train: int = 1_000  # training tasks on the sparse graph
    crowd_seeds: int = 8  # independent runs per arm on the sparse graph, at least 2
    arms: tuple[str, ...] = tuple(ARMS)  # names of the arms to run
    seeds: int = 24  # independent runs per arm, at least 2
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.rule not in agentnet.RULES:
            raise ValueError(f"rule: expected one of {agentnet.RULES}, got {self.rule!r}")
        if self.train < 4:
            raise ValueError(f"train: expected at least 4 tasks, got {self.train}")
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        unknown = [name for name in self.arms if name not in ARMS]
        if unknown:
            raise ValueError(f"arms: expected names among {tuple(ARMS)}, got {unknown}")


SCALES = {
    "smoke": Config(
        train=24, test=8, repeats=1, seeds=2, capacity=6, crowd=8, crowd_train=24, crowd_seeds=2,
    ),
    "small": Config(),
    "full": Config(
        train=40_000, test=2_000, repeats=1, types=8, capacity=20, agents=1024, degree=32,
        arms=CROWD_ARMS, crowd=0, seeds=5,
    ),
}  # fmt: skip
