"""A tiny experiment for the harness tests: a linear trend that holds, fails or raises on demand."""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from experiments import harness
from experiments.harness import Paper, claim
from jaxswarm import plotting, statistics

NAME = "fake"
TITLE = "A trend that rises"
PAPER = Paper("A. Author", "On Trends", 1999)


@dataclass(frozen=True)
class Config:
    """Sizes of the fake."""

    seed: int = 0
    seeds: int = 4
    agents: int = 3  # how many agents there are
    gain: float = 1.0
    fail: bool = False


SCALES = {"smoke": Config(), "small": Config(agents=8), "full": Config(agents=64)}


def run(config, progress):
    progress("rising arm")
    if config.fail:
        raise RuntimeError("this arm broke")
    noise = np.random.default_rng(config.seed).normal(size=(config.seeds, 1)) * 0.01
    rounds = np.arange(10)
    progress("flat arm")
    return {
        "rounds": rounds,
        "curves": {"rising": config.gain * rounds / 9 + noise, "flat": 0 * rounds + noise / 2},
        "agents": config.agents,
    }


def claims(results):
    final = {name: curve[:, -1] for name, curve in results["curves"].items()}
    gap = statistics.compare(final["rising"], final["flat"])
    return [
        claim(NAME, "rising ends above flat", "flat", gap, at_least=0.5),
        claim(NAME, "in every seed", "flat", gap, at_least=0.4, judge="every seed"),
        claim(NAME, "flat stays low", "zero", float(final["flat"].mean()), at_most=0.1),
    ]


def plot(results, path):
    axes = plotting.curves(results["curves"], results["rounds"], xlabel="round", ylabel="value")
    plotting.save(axes, path)


if __name__ == "__main__":
    harness.main(__name__)
