"""Sizes of the HAMLET experiment, and the options of a play with a human or a language model."""

from dataclasses import dataclass

from jaxswarm import checks


@dataclass(frozen=True)
class Config:
    """Sizes of stage, blueprints, training and evaluation."""

    actors: int = 3  # actors on the stage, at least 2
    places: int = 3  # places on the stage
    props: int = 3  # props on the stage
    secrets: int = 2  # secrets that actors may know
    points: int = 3  # points of a blueprint
    facts: int = 4  # facts of a drawn conjunction
    unfamiliar: float = 0.4  # share of distant props that actors believe in a wrong place
    slow_depth: int = 2  # layers of an actor's slow look-ahead
    plan_depth: int = 6  # layers of the planner
    threshold: float = 15.0  # seconds without progress from which a play is stalled
    blueprints: int = 16  # blueprints per seed and designer
    plays: int = 48  # performances per arm and seed
    moments: int = 64  # time limit of a performance
    iterations: int = 40  # of PPO
    envs: int = 16  # rehearsals side by side
    steps: int = 32  # moments per iteration
    lr: float = 8e-3  # step size of PPO
    discount: float = 0.9  # of PPO
    entropy: float = 0.01  # weight of PPO's entropy bonus
    width: int = 32  # of the networks' hidden layer
    play: bool = False  # play one actor yourself in the terminal, instead of the experiment
    actor: int = 0  # number of the actor that you, or the model, play
    endpoint: str = ""  # with --play: address of an OpenAI-compatible server that plays the actor
    model: str = ""  # its model
    seeds: int = 5  # independent runs, at least 2
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        for name in ("actors", "seeds"):
            checks.whole(name, getattr(self, name), 2)
        for name in ("blueprints", "plays", "moments", "iterations", "points", "facts"):
            checks.whole(name, getattr(self, name), 1)
        checks.index("actor", self.actor, self.actors)
        checks.real("threshold", self.threshold, above=0.0)
        if bool(self.endpoint) != bool(self.model):
            raise ValueError("endpoint, model: expected both or neither")


SCALES = {
    "smoke": Config(
        points=2, facts=2, blueprints=2, plays=4, moments=8, iterations=1, envs=2, steps=8, seeds=2,
    ),
    "small": Config(),
    "full": Config(
        blueprints=64, plays=1024, moments=96, iterations=200, envs=32, seeds=10,
    ),
}  # fmt: skip
