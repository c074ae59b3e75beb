"""Soft actor–critic: the entropy asked for is the entropy had, seeds agree, neighbours help.

A pendulum is swung up by SAC with a learned temperature, reading its critics both ways, by SAC with
temperatures fixed too low and too high, and by a deterministic ablation (twin critics, targets
smoothed by small constant noise before squashing, no entropy: TD3's ingredients but for the delay).
On a bandit that costs the square of the action the temperature has a closed form.

Then pendula of different masses learn in a network. Every second one is charged double, the others
nothing, so that their mean reward is the true one. Critics, targets and reward models are gossiped
after every step, actors stay at home. *Told* pays everybody the true reward. *Critics only* leaves
all with their own rewards: Adam's steps are as large for those who are paid nothing and sure of it,
so that the average does not become the team's. Returns are undiscounted, over 200 steps, of the
deterministic policies. (A pilot charged everyone for a sector of the circle, by critics alone: what
fails above failed there too.)

The tasks of the paper need a rigid-body simulator, which is not part of this project: HalfCheetah,
Ant and Humanoid against TD3 and PPO are not reproduced.

References:
    T. Haarnoja et al., Soft actor-critic algorithms and applications, 2018.
    K. Zhang et al., Fully decentralized multi-agent reinforcement learning with networked agents,
    2018 (critic consensus).
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness, sac_arms
from experiments.harness import Claim, Paper, claim
from jaxswarm import plotting, statistics

NAME = "sac"
TITLE = "Soft actor-critic: the entropy asked for, alone and in a network"
PAPER = Paper(
    "T. Haarnoja, A. Zhou, K. Hartikainen, G. Tucker, S. Ha, J. Tan, V. Kumar, H. Zhu, A. Gupta, "
    "P. Abbeel, S. Levine",
    "Soft actor-critic algorithms and applications",
    2018,
)

# Fixed before the first run; returns of an episode.
MEDIAN = -250.0  # of the final returns
WORST = -400.0  # seed
SPREAD = 1.0  # of the deterministic ablation's seeds, over SAC's
ENTROPY = 0.5  # distance from what was asked for, over the last quarter
MISSED = 1.0  # likewise, by the worse of the fixed temperatures
CLOSED_FORM = 0.05  # relative error of the learned temperature
GAIN = 300.0  # by a ring over nobody
PARITY = 60.0  # of full averaging with being told
CRITICS_ONLY = 300.0  # lost by averaging critics alone


@dataclass(frozen=True)
class Config:
    """Sizes."""

    steps: int = 5_000  # with an update each
    warm_up: int = 1_000
    records: int = 10
    width: int = 64
    batch: int = 128
    lr: float = 2e-3
    episodes: int = 5  # of an evaluation
    entropies: tuple[float, ...] = (-1.0, -0.5, 0.0)
    bandit_steps: int = 4_000
    agents: int = 4
    network_steps: int = 6_000
    network_lr: float = 3e-3
    network_width: int = 32
    network_batch: int = 64
    seeds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "network_steps"):
            if getattr(self, name) % self.records:
                raise ValueError(
                    f"{name}: expected a multiple of {self.records}, got {getattr(self, name)}"
                )
        if self.bandit_steps % 2:
            raise ValueError(f"bandit_steps: expected an even number, got {self.bandit_steps}")
        if self.agents < 4 or self.agents % 2:
            raise ValueError(f"agents: expected an even number from 4 on, got {self.agents}")


SCALES = {
    "smoke": Config(
        steps=8, warm_up=64, records=4, width=8, batch=16, episodes=1, bandit_steps=8, agents=4,
        network_steps=8, network_width=8, network_batch=16, seeds=2,
    ),
    "small": Config(),
    "full": Config(steps=15_000, agents=16, network_steps=8_000, records=40, seeds=10),
}  # fmt: skip


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Returns, entropies, temperatures ``{arm: [seeds, records]}``; the bandit; the network."""
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    progress("a pendulum: all arms")
    results: dict[str, Any] = sac_arms.alone(config, keys)
    progress("a bandit")
    results["bandit"] = sac_arms.bandit(config, keys)
    progress("a network: all arms")
    results["network"] = sac_arms.network(config, keys)
    at = np.arange(1, config.records + 1) / config.records
    results["steps"] = config.warm_up + at * config.steps
    results["network_steps"] = config.warm_up + at * config.network_steps
    return results


def claims(results: dict[str, Any]) -> list[Claim]:
    """The bar, with thresholds fixed before the run."""
    last = {name: run[:, -1] for name, run in results["return"].items()}
    quarter = -max(results["steps"].size // 4, 1)
    misses = {
        name: np.abs(run[:, quarter:].mean(axis=1) + 1.0)
        for name, run in results["entropy"].items()
    }
    sac, steady = last["learned temperature"], last["deterministic"]
    low, high = "temperature 0.01", "temperature 1"
    worse = max((low, high), key=lambda name: misses[name].mean())
    net = {name: run[:, -1] for name, run in results["network"].items()}
    found, exact = results["bandit"]["found"], results["bandit"]["exact"]
    error = np.abs(found.mean(axis=1) / exact - 1.0)
    seeds = len(sac)
    median = statistics.summarize(sac, statistic="median")
    mean = statistics.summarize(last["mean of the critics"], statistic="median")
    spread = float(np.ptp(steady) / max(np.ptp(sac), 1e-9))
    return [
        claim(NAME, "pendulum: median final return", "a threshold", median, at_least=MEDIAN),
        claim(
            NAME,
            "pendulum: final return of the worst seed",
            "a threshold",
            float(sac.min()),
            at_least=WORST,
            seeds=seeds,
        ),
        claim(
            NAME,
            "pendulum: median final return, the actor reading the critics' mean",
            "a threshold",
            mean,
            at_least=MEDIAN,
        ),
        claim(
            NAME,
            "pendulum: range of final returns over seeds, relative to SAC's",
            "deterministic",
            spread,
            at_least=SPREAD,
            seeds=seeds,
        ),
        claim(
            NAME,
            "pendulum: distance of the entropy from -1, last quarter",
            "what was asked for",
            statistics.summarize(misses["learned temperature"]),
            at_most=ENTROPY,
        ),
        claim(
            NAME,
            f"pendulum: distance of the entropy from -1 at the worse fixed one, {worse}",
            "what was asked for",
            statistics.summarize(misses[worse]),
            at_least=MISSED,
            control=True,
        ),
        claim(
            NAME,
            "bandit: relative error of the learned temperature, worst of the entropies",
            "closed form",
            float(error.max()),
            at_most=CLOSED_FORM,
            seeds=seeds,
        ),
        claim(
            NAME,
            "network: true team return gained by a ring",
            "alone",
            statistics.compare(net["ring"], net["alone"]),
            at_least=GAIN,
        ),
        claim(
            NAME,
            "network: lost by full averaging to being told the true reward",
            "everyone",
            statistics.compare(net["told"], net["everyone"]),
            at_most=PARITY,
        ),
        claim(
            NAME,
            "network: lost without reward models, to full averaging of critics alone",
            "critics only",
            statistics.compare(net["everyone"], net["critics only"]),
            at_least=CRITICS_ONLY,
            control=True,
        ),
    ]


def plot(results: dict[str, Any], path: Path) -> None:
    """Returns, entropies, the bandit's temperatures and the network."""
    one, two, three, four = np.ravel(plotting.panels(2, 2, width=6.4, height=4.0))
    plotting.curves(
        results["return"],
        results["steps"],
        title="a pendulum: the learned temperature is as good as any",
        xlabel="environment steps",
        ylabel="return of an episode",
        ax=one,
    )
    plotting.curves(
        results["entropy"],
        results["steps"],
        title="only a learned temperature has the entropy asked for",
        xlabel="environment steps",
        ylabel="entropy of the policy, nats",
        ax=two,
    )
    two.axhline(-1.0, color="black", lw=1.0, ls=":")
    two.text(results["steps"][0], -0.95, "asked for", va="bottom", fontsize="small")
    bandit = results["bandit"]
    three.plot(bandit["exact"], bandit["exact"], color="black", lw=1.0, label="closed form")
    for exact, found in zip(bandit["exact"], bandit["found"], strict=True):
        three.scatter(np.full(found.shape, exact), found, color=plotting.PALETTE[0], s=18)
    three.set(
        xlabel="temperature by quadrature",
        ylabel="temperature learned",
        title="a bandit: one point per seed and entropy",
    )
    three.legend(fontsize="small")
    plotting.curves(
        results["network"],
        results["network_steps"],
        title="private rewards: critics that gossip swing up",
        xlabel="environment steps of each agent",
        ylabel="true team return",
        ax=four,
    )
    plotting.save(one, path)


if __name__ == "__main__":
    harness.main(__name__)
