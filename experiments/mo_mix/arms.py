"""Run all arms of the grid game, the networked agents and, at full scale, coverage and energy."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from experiments.harness.protocol import Results
from experiments.mo_mix.config import OUTER, OUTER_TENFOLD, OUTER_THREE, Config
from experiments.mo_mix.learners import conditioned, outer_loop
from experiments.mo_mix.spread import coverage_and_energy
from experiments.mo_mix.team import networked
from experiments.mo_mix.treasure import learned_fronts
from experiments.mo_mix.worlds import PREFERENCES


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure the fronts of all arms.

    Returns:
        ``grid``: ``{arm: found}``, see :func:`conditioned` and :func:`outer_loop`; and, where they
        are run, ``team``: see :func:`networked`; ``treasure``: see :func:`learned_fronts`;
        ``spread``: see :func:`coverage_and_energy`.
    """
    share = config.iterations // len(PREFERENCES)
    programs: dict[str, Callable[[], Any]] = {"conditioned": lambda: conditioned(config)}
    if "team" in config.parts:
        programs["team"] = lambda: networked(config)
    if "outer" in config.parts:
        programs[OUTER] = lambda: outer_loop(config, PREFERENCES, share)
    if "treasure" in config.parts:
        programs["treasure"] = lambda: learned_fronts(config)
    if config.more_baselines:
        programs[OUTER_THREE] = lambda: outer_loop(config, PREFERENCES[::5], config.iterations // 3)
        programs[OUTER_TENFOLD] = lambda: outer_loop(config, PREFERENCES, 10 * share)
    if config.spread_iterations:
        programs["spread"] = lambda: coverage_and_energy(config)
    progress("all arms, side by side")
    # Side by side, because a program of small steps leaves a core idle.
    with ThreadPoolExecutor(2) as pool:
        futures = {name: pool.submit(program) for name, program in programs.items()}
        found = {name: future.result() for name, future in futures.items()}
    results: Results = {"grid": found.pop("conditioned")}
    for part in ("team", "treasure", "spread"):
        if part in found:
            results[part] = found.pop(part)
    results["grid"] |= found
    return jax.tree.map(np.asarray, results)
