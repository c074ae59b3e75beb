"""Run NORA, its ablations and its baselines on all worlds."""

from collections.abc import Callable

import jax
import numpy as np

from experiments.harness.protocol import Results
from experiments.nora.classes import class_regrets
from experiments.nora.config import Config
from experiments.nora.lock import lock_regrets, offline_regrets
from experiments.nora.swarms import swarm_regrets
from experiments.nora.worlds import chain_regrets, decoy_regrets, times_to_targets


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure exact cumulative regrets and numbers of switches.

    Returns:
        ``lock`` and ``decoy``: by arm; ``chains``: by world and arm; ``offline``, ``class``,
        ``swarm`` and ``rate``: see the functions of these parts.
    """
    key = jax.random.key(config.seed)
    keys = jax.random.split(key, config.seeds)
    progress("lock: NORA, ablations, DOUHUA, LSVI-UCB, epsilon-greedy, uniform, oracle")
    results: Results = {"lock": lock_regrets(config, keys)}
    if "offline" in config.parts:
        progress("lock with offline data")
        results["offline"] = offline_regrets(config, keys)
    if "class" in config.parts:
        progress("finite class: exact version space")
        results["class"] = class_regrets(config, keys)
    if "swarm" in config.parts:
        progress("swarm: isolated, ring, complete graph")
        results["swarm"] = swarm_regrets(config, keys)
    if "decoy" in config.parts:
        progress("decoy")
        results["decoy"] = decoy_regrets(config, keys)
    if "chains" in config.parts:
        results["chains"] = chain_regrets(config, keys, progress)
    if "rate" in config.parts:
        progress("random linear processes")
        results["rate"] = times_to_targets(config, jax.random.fold_in(key, 1))
    return jax.tree.map(np.asarray, results)
