"""Sizes of the Dec-POMFC experiment, and the names of its tasks and arms."""

from dataclasses import dataclass

from jaxswarm import errors

TASKS = ("kuramoto", "vicsek", "aggregation")

RULE_ARMS = ("kernel", "histogram")
"""One policy chooses decision rules for the swarm; rules interpolate by a kernel or by bins."""

AGENT_ARMS = ("IPPO", "MAPPO")
"""One policy for all agents acts directly in the finite swarm."""

UNCONTROLLED = "uncontrolled"


@dataclass(frozen=True)
class Config:
    """Sizes; every learner of a task shares them."""

    tasks: tuple[str, ...] = ("kuramoto",)  # tasks to run: kuramoto, vicsek, aggregation
    agents: int = 64  # number of agents in training (N)
    steps: int = 50  # steps of an episode, and of the data collected per iteration
    envs: int = 8  # swarms that are simulated at once in training
    iterations: int = 64  # PPO iterations
    epochs: int = 2  # passes over the data of an iteration
    minibatches: int = 4  # minibatches per pass
    points: int = 5  # grid points of a decision rule, per dimension of the observation
    bandwidth: float = 0.6  # width of the kernel, in distances between grid points
    hidden: int = 32  # hidden units of the policies and critics
    lr: float = 5e-3  # step size of Adam
    upper_lambda: float = 0.3  # λ of generalized advantage estimation for decision rules, in [0, 1]
    agent_lambda: float = 0.9  # λ of generalized advantage estimation for IPPO and MAPPO, in [0, 1]
    discount: float = 0.97  # discount factor in training; returns are reported with 0.99
    width: float = 0.8  # initial headings are uniform within ±π × width
    radius: float = 0.25  # observation radius, in a box of side 1
    swarms: int = 24  # swarms per seed that a reported return is the mean of
    sizes: tuple[int, ...] = (8, 16, 32, 64, 128, 256)  # swarm sizes of the fixed rule's bias
    chaos_radius: float = 0.35  # observation radius of the fixed rule
    chaos_swarms: int = 64  # swarms per seed and size of the fixed rule
    transfer: tuple[int, ...] = (16, 128)  # other swarm sizes that execute the learned rules
    seeds: int = 5  # number of independent repetitions, at least 2
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        for name in self.tasks:
            if name not in TASKS:
                raise errors.unknown("task", name, TASKS)
        for field, least in (("tasks", 1), ("sizes", 2)):
            if len(getattr(self, field)) < least:
                raise ValueError(
                    f"{field}: expected at least {least} entries, got {getattr(self, field)}"
                )
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")


SCALES = {
    "smoke": Config(
        agents=8,
        steps=8,
        envs=2,
        iterations=2,
        points=3,
        hidden=8,
        swarms=4,
        chaos_swarms=4,
        sizes=(4, 8),
        transfer=(),
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        tasks=("kuramoto", "vicsek", "aggregation"),
        agents=200,
        iterations=150,
        envs=4,
        sizes=(8, 16, 32, 64, 128, 256, 512),
        transfer=(2, 8, 32, 1000),
    ),
}
