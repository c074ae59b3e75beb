"""Sizes of the DRED experiment, its arms, and the numbers that a pilot chose for each."""

from dataclasses import dataclass

ARMS = (
    "uniform",
    "PLR",
    "DR",
    "robust PLR",
    "ACCEL",
    "ACCEL-D",
    "EL-DRED",
    "VAE-DRED",
    "more levels",
)
"""Arms of the training; the last one, an oracle, draws from many more levels of the families."""

FAMILIES = ("caves", "rooms", "paths", "obstacles")
"""Families of the starting set and the held-out levels, names in ``maze.families``."""

OTHER_FAMILIES = ("backtracker", "blocks")
"""Families that no arm trains on."""


@dataclass(frozen=True)
class Config:
    """Sizes; all arms share them."""

    size: int = 9  # side of the levels, including the ring of walls
    large: int = 15  # side of the larger test levels
    steps: int = 48  # steps of an episode, and of an iteration's collection
    starting: int = 8  # levels of each family in the starting set
    held_out: int = 16  # test levels of each family
    pool: int = 48  # further levels of each family that the oracle trains on
    capacity: int = 256  # levels in the buffer
    envs: int = 16  # levels trained on in an iteration
    new: int = 4  # new levels in an iteration that are evaluated without gradients
    iterations: int = 100  # iterations, each with one update
    checks: int = 5  # evaluations on test levels during training
    epochs: int = 4  # passes over the transitions of an iteration
    minibatches: int = 4  # minibatches of a pass
    width: int = 32  # hidden units of each of two layers of actor and critic
    hidden: int = 0  # width of a GRU after them, 0 for networks without memory
    discount: float = 0.97  # discount factor
    gae_lambda: float = 0.9  # of the advantage estimates
    entropy: float = 0.01  # weight of the entropy bonus
    lr: float = 0.0  # step size of all arms; 0 for those that the pilot chose
    temperature: float = 0.0  # of replay by rank in all arms; 0 for those that the pilot chose
    arms: tuple[str, ...] = ARMS  # arms to train
    latent: int = 32  # numbers of the VAE's latent code
    vae_width: int = 128  # hidden units of the VAE's layers
    vae_steps: int = 1_500  # gradient steps of the VAE
    beta: float = 0.5  # weight of the VAE's divergence from its prior
    probed: int = 32  # starting levels at most that a classifier tells apart by representations
    sampled: int = 256  # levels of each generator whose features are compared
    generations: int = 20  # generations of five edits in the comparison of generators
    seeds: int = 5  # independent repetitions, each with a starting set of its own
    seed: int = 0  # base seed of the repetitions

    @property
    def widths(self) -> tuple[int, int]:
        """Hidden units of the dense layers of actor and critic."""
        return (self.width, self.width)

    def __post_init__(self) -> None:
        for name in self.arms:
            if name not in ARMS:
                raise ValueError(f"arms: expected names of {ARMS}, got {name!r}")
        if self.iterations % self.checks:
            raise ValueError(
                f"iterations: expected a multiple of checks = {self.checks}, got {self.iterations}"
            )
        count = self.starting * len(FAMILIES)
        if not self.envs <= count <= self.capacity:
            raise ValueError(
                f"envs, capacity: expected envs <= {count} levels of the starting set <= capacity, "
                f"got {self.envs}, {self.capacity}"
            )


SCALES = {
    "smoke": Config(
        size=7,
        large=9,
        steps=8,
        starting=1,
        held_out=1,
        pool=1,
        capacity=8,
        envs=4,
        new=1,
        iterations=2,
        checks=1,
        epochs=1,
        minibatches=1,
        width=8,
        latent=4,
        vae_width=8,
        vae_steps=4,
        probed=2,
        sampled=8,
        generations=1,
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        size=15,
        large=25,
        steps=128,
        starting=8,
        held_out=32,
        pool=128,
        capacity=4000,
        envs=32,
        new=8,
        iterations=250,
        width=64,
        latent=64,
        vae_width=256,
        vae_steps=5_000,
        sampled=512,
    ),
}
