"""Sizes of the AC-Flow experiment at the three scales."""

from dataclasses import dataclass
from pathlib import Path

METHODS = {
    "orw_cfm": "ORW-CFM-W2",
    "reward_ranked": "reward-ranked",
    "naive": "naive actor-critic",
    "ac_flow": "AC-Flow",
    "ac_flow_unclipped": "AC-Flow without clipping",
}
"""Methods that are compared, with their names in claims and figures."""


@dataclass(frozen=True)
class Config:
    """Sizes of the mixture, team and digits parts."""

    taus: tuple[float, ...] = (1.0, 3.0, 10.0)  # temperatures of the tuning grid
    alphas: tuple[float, ...] = (0.2, 0.3, 0.45, 0.67, 1.0)  # penalties of the tuning grid
    shares: tuple[float, ...] = (0.5, 0.25, 0.1)  # kept shares of reward-ranked tuning
    clip: float = 0.5  # largest absolute advantage, in standard deviations of the reward
    steps: int = 200  # iterations, each with one batch of reward calls
    warm_up: int = 20  # iterations in which AC-Flow trains the critic only
    batch: int = 128  # samples and reward calls of one iteration
    updates: int = 2  # gradient steps for each batch of rewards
    refresh: int = 5  # iterations between refreshes of the sampling copy
    ode_steps: int = 10  # Euler steps of the sampler
    lr: float = 3e-3  # Adam's first step size of the flow, with a cosine decay to 0
    critic_lr: float = 3e-3  # Adam's step size of the critic
    width: int = 32  # units of each hidden layer of flow and critic
    pretrain_steps: int = 1_500  # training steps of the pretrained flow
    audit: int = 2_000  # samples that measure a model
    scales: tuple[float, ...] = (1.0, 100.0)  # factors of the reward in the failure test
    tuning_seeds: int = 2  # seeds on which cells are chosen; others than those of the claims
    seeds: int = 10  # independent runs of every chosen cell
    at_once: int = 5  # runs side by side; divides seeds
    frozen_tau: float = 1.0  # temperature where the sampling copy stays frozen
    critic_steps: int = 1_500  # training steps of the two critics of the control
    team: int = 4  # agents, each with a mode of its own
    team_seeds: int = 5  # independent runs of every graph
    team_steps: int = 120  # iterations of a team
    digit_seeds: int = 0  # independent runs on digits; 0 leaves the digits out
    data: str = "digits"  # images: digits (in scikit-learn) or mnist (files in --path)
    path: Path | None = None  # folder of MNIST-like IDX files; default: JAXSWARM_DATA
    digit_rewards: tuple[str, ...] = ("even",)  # sets of digits: even, small, closed
    digit_methods: tuple[str, ...] = tuple(METHODS)  # methods that are run on digits
    digit_steps: int = 300  # iterations on digits
    digit_lrs: tuple[float, ...] = (3e-3,) * 5  # first step sizes on digits, one for each method
    digit_width: int = 128  # units of each hidden layer of the flow of digits
    digit_pretrain_steps: int = 6_000  # training steps of the pretrained flow of digits
    digit_taus: tuple[float, ...] = (1.0, 3.0, 10.0)  # temperatures of the grid on digits
    digit_alphas: tuple[float, ...] = (0.1, 0.3, 1.0)  # penalties of the grid on digits
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.data not in ("digits", "mnist"):
            raise ValueError(f"data: expected 'digits' or 'mnist', got {self.data!r}")
        if len(self.digit_lrs) < len(self.digit_methods):
            raise ValueError(
                f"digit_lrs: expected {len(self.digit_methods)} numbers, one for each of "
                f"digit_methods, got {len(self.digit_lrs)}"
            )
        if self.seeds % self.at_once:
            raise ValueError(
                f"at_once: expected a divisor of seeds={self.seeds}, got {self.at_once}"
            )
        if len(self.shares) != len(self.taus):
            raise ValueError(
                f"shares: expected {len(self.taus)} numbers like taus, got {len(self.shares)}"
            )
        if not self.warm_up < min(self.steps, self.team_steps, self.digit_steps):
            raise ValueError(
                f"warm_up: expected fewer iterations than steps, team_steps and digit_steps, got "
                f"{self.warm_up}"
            )


SCALES = {
    "smoke": Config(
        taus=(3.0,), alphas=(0.3, 1.0), shares=(0.25,), steps=6, warm_up=2, batch=32, ode_steps=3,
        width=8, pretrain_steps=10, audit=200, tuning_seeds=1, seeds=2, at_once=2, critic_steps=5,
        team_seeds=2, team=3, team_steps=6, digit_seeds=2, digit_methods=("orw_cfm", "ac_flow"),
        digit_steps=6, digit_width=16, digit_pretrain_steps=10, digit_taus=(3.0,),
        digit_alphas=(0.3,),
    ),
    "small": Config(),
    # About 15 CPU minutes: on MNIST one temperature, two methods, 100 iterations each. Half an hour
    # of two idle cores has room for three times as many (--digit-steps 300); the paper's regime is
    # Stable Diffusion 3 with a preference model of images and text, on GPUs.
    "full": Config(
        seeds=15, digit_seeds=5, data="mnist", digit_rewards=("even", "small", "closed"),
        digit_methods=("orw_cfm", "ac_flow"), digit_lrs=(1e-3, 3e-4), digit_steps=100,
        digit_width=256, digit_pretrain_steps=3_000, digit_taus=(3.0,),
    ),
}  # fmt: skip
