"""Runs of the AC-Flow experiment: methods on a mixture, theory checks, teams, digits.

* **Mixture.** Every method is tuned on one grid of temperatures and penalties and then run on other
  seeds; the reward is also multiplied by 100 (same cells), and the penalty set to 0.
* **Fixed point.** With a frozen sampling copy and no penalty the result is known in closed form.
* **Critics.** One is trained on states of the conditional path, one on the flow's own ODE states.
* **Teams.** Agents with a mode of their own each fine-tune one flow and gossip parameters.
* **Digits** (full scale; a few steps at smoke scale). See :mod:`experiments.ac_flow.digits`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from experiments.ac_flow.comparison import (
    MATCHED,
    audit,
    compare_methods,
    flow_model,
    ideal,
    pretrain_and_compile,
)
from experiments.ac_flow.config import Config
from experiments.ac_flow.digits import run_digits
from experiments.ac_flow.fixed_point import compare_critics, run_frozen
from experiments.ac_flow.mixture import entropy
from experiments.ac_flow.team import compile_teams
from experiments.harness.protocol import Results
from jaxswarm.models import flow

PARTICLES = 400  # particles of the strip
TIMES = 5  # pictures of the strip: t = 0, 1/4, 1/2, 3/4, 1


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all parts.

    Returns:
        ``ideal`` and ``reference`` (measurements of the tilted mixture and of the pretrained
        flows), ``methods`` (:func:`compare_methods`), ``strip`` (particles at five times before and
        after fine-tuning by AC-Flow, ``[2, 5, 400, 2]``), ``frozen``, ``critics``, ``teams`` and,
        with ``digit_seeds > 0``, ``digits``.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.tuning_seeds + config.seeds)
    progress("mixture: pretraining")
    pretrained, run_of = pretrain_and_compile(config, keys)
    results: Results = {"ideal": ideal(config, jax.random.key(config.seed + 7))}
    measure = jax.jit(jax.vmap(lambda params, key: audit(config, params, key)))
    found = {name: np.asarray(x) for name, x in measure(pretrained, keys).items()}
    found = {name: x[config.tuning_seeds :] for name, x in found.items()}
    results["reference"] = found | {"entropy": np.asarray(entropy(found["shares"]))}
    wanted = MATCHED * float(results["ideal"]["entropy"])
    with ThreadPoolExecutor(2) as pool:  # one compiles while the other runs
        critics = pool.submit(compare_critics, config, pretrained)
        team_key = jax.random.key(config.seed + 8)
        run_teams = pool.submit(compile_teams, config, pretrained, team_key)
        results["methods"], params = compare_methods(config, run_of, wanted, progress)
        progress("fixed point with a frozen sampler, teams that gossip")
        tau, _, alpha = results["methods"]["ac_flow"]["bracket"]
        teams = pool.submit(run_teams.result(), (float(tau), float(alpha)))
        results["frozen"] = run_frozen(config, run_of, pretrained)
        results |= {"critics": critics.result(), "teams": teams.result()}
    before = jax.tree.map(lambda leaf: leaf[config.tuning_seeds], pretrained)
    after = jax.tree.map(lambda leaf: leaf[0], params["ac_flow"])
    results["strip"] = np.stack([_particles(config, each) for each in (before, after)])
    if config.digit_seeds:
        results["digits"] = run_digits(config, progress)
    return results


def _particles(config: Config, params: Any) -> np.ndarray:
    """Positions of particles on their way from noise to data, ``[TIMES, PARTICLES, 2]``."""
    start = jax.random.normal(jax.random.key(config.seed), (PARTICLES, 2))
    field = flow.field(flow_model(config), params)
    return np.asarray(flow.trajectory(field, start, num_steps=20)[:: 20 // (TIMES - 1)])
