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
    period: float = 1.0  # seconds between prompts of the advancer while it is stalled
    blueprints: int = 12  # blueprints per seed and designer
    plays: int = 48  # performances per arm and seed
    moments: int = 64  # time limit of a performance
    iterations: int = 32  # of PPO
    envs: int = 16  # rehearsals side by side
    steps: int = 32  # moments per iteration
    lr: float = 4e-3  # step size of PPO
    discount: float = 0.97  # of PPO
    entropy: float = 0.01  # weight of PPO's entropy bonus
    progress_reward: float = 1.0  # reward of coming one unit nearer to a flag
    waste_penalty: float = 0.1  # of an act that fails or does not help
    width: int = 32  # of the networks' hidden layer
    play: bool = False  # play one actor yourself in the terminal, instead of the experiment
    actor: int = 0  # number of the actor that you, or the model, play
    endpoint: str = ""  # with --play: address of an OpenAI-compatible server that plays the actor
    model: str = ""  # its model
    audited: int = 3  # seeds of which one play of every arm is audited
    seeds: int = 8  # independent runs, at least 2
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        for name in ("actors", "seeds"):
            checks.whole(name, getattr(self, name), 2)
        for name in ("blueprints", "plays", "moments", "iterations", "points", "facts", "audited"):
            checks.whole(name, getattr(self, name), 1)
        checks.index("actor", self.actor, self.actors)
        checks.real("threshold", self.threshold, above=0.0)
        checks.real("period", self.period, above=0.0)
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
