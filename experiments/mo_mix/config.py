"""Sizes of the MO-MIX experiment, and the names of its arms."""

from dataclasses import dataclass

from jaxswarm import errors

PARTS = ("outer", "team", "treasure")
"""Run beside the conditioned agents: the outer loop, networked agents, deep-sea treasure."""

MO_MIX, UNIFORM, CONCAVE = "MO-MIX", "uniform preferences", "MO-MIX, concave game"
ADDITIVE = "additive mixers"
COARSE = "preferences in steps of 0.5"
CONDITIONED = "preference-conditioned agent"
OUTER, OUTER_THREE, OUTER_TENFOLD = (
    "outer loop",
    "outer loop, three preferences",
    "outer loop, ten times the episodes",
)

PLANNER, REST = "planner", "rest"

GUIDED, UNGUIDED = 0.5, 0.0
CONDITIONED_ARMS = {
    MO_MIX: ("convex", GUIDED, False, 0.0),
    UNIFORM: ("convex", UNGUIDED, False, 0.0),
    ADDITIVE: ("convex", GUIDED, True, 0.0),
    CONCAVE: ("concave", GUIDED, False, 0.0),
    COARSE: ("convex", UNGUIDED, False, 0.5),
}
"""Arms that share a program -> the game, the share of preferences drawn at gaps, whether values are
added instead of mixed, and the interval of which training's preferences are multiples (0: any)."""

CONSENSUS, OWN, TEAM = "consensus", "own preferences", "team preference"
EXCHANGING, ISOLATED = "exchanging agents", "isolated agents"

DIVISIONS, FINE_DIVISIONS = 10, 100
"""Steps of the evaluation's preferences from 0 to 1, and of the finer grid for spacing."""


@dataclass(frozen=True)
class Config:
    """Sizes; arms of a game share all of them."""

    parts: tuple[str, ...] = PARTS  # what is run beside the conditioned agents
    iterations: int = 594  # steps of each learner, a multiple of 11 x 3
    episodes: int = 16  # episodes per step, at least 11
    updates: int = 2  # gradient steps per step
    batch: int = 32  # episodes of a batch
    hidden: int = 24  # units of the agents' recurrent layer
    width: int = 16  # hidden units of each monotonic mixer
    lr: float = 6e-3  # step size of Adam, conditioned agents
    tau: float = 0.06  # share of the weights that moves into the targets, conditioned agents
    outer_lr: float = 6e-3  # step size of Adam, outer loop
    outer_tau: float = 0.2  # share of the weights that moves into the targets, outer loop
    annealing: float = 0.6  # share of the steps over which exploration falls from 1 to 0.05
    seeds: int = 5  # number of independent repetitions, at least 2
    team_iterations: int = 300  # steps of the networked agents
    team_draws: int = 64  # draws of the agents' own preferences per seed
    team_seeds: int = 5  # number of independent repetitions of the networked agents, at least 2
    treasure_iterations: int = 396  # steps of the learners of deep-sea treasure
    more_baselines: bool = False  # also run the outer loop with three preferences, and tenfold
    spread_iterations: int = 0  # steps of each learner of coverage and energy; 0: not run
    spread_seeds: int = 5  # number of independent repetitions of coverage and energy
    spread_updates: int = 4  # gradient steps per step of coverage and energy
    spread_batch: int = 16  # episodes of a batch of coverage and energy
    spread_lr: float = 3e-3  # step size of Adam, coverage and energy, MO-MIX
    spread_tau: float = 0.2  # share of the weights that moves into the targets, MO-MIX
    spread_outer_lr: float = 1.2e-2  # the same of the outer loop
    spread_outer_tau: float = 0.2  # the same of the outer loop
    spread_episodes: int = 256  # fresh episodes, the same for all teams of a seed, for a return
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise errors.unknown("part", part, PARTS)
        least = {"episodes": DIVISIONS + 1, "seeds": 2, "team_seeds": 2, "spread_seeds": 2}
        for field, low in least.items():
            if getattr(self, field) < low:
                raise ValueError(f"{field}: expected at least {low}, got {getattr(self, field)}")
        for field in ("iterations", "spread_iterations", "treasure_iterations"):
            if getattr(self, field) % 33:
                raise ValueError(
                    f"{field}: expected a multiple of 33, so that outer loops of 11 and of 3 "
                    f"preferences have whole shares, got {getattr(self, field)}"
                )


SCALES = {
    "smoke": Config(
        parts=(),
        iterations=33,
        updates=1,
        batch=8,
        hidden=8,
        width=4,
        seeds=2,
        team_iterations=2,
        team_draws=4,
        team_seeds=2,
        treasure_iterations=33,
    ),
    "small": Config(spread_iterations=165),
    "full": Config(
        iterations=594,
        hidden=32,
        seeds=10,
        team_iterations=450,
        team_seeds=10,
        treasure_iterations=594,
        more_baselines=True,
        spread_iterations=198,
    ),
}
