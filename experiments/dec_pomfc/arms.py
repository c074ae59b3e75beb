"""Run the fixed rule, and on every task decision rules, IPPO and MAPPO."""

from collections.abc import Callable

import jax
import numpy as np

from experiments.dec_pomfc.config import Config
from experiments.dec_pomfc.fixed_rule import fixed_rule_bias
from experiments.dec_pomfc.learners import build_task, execute_rules, train_agents, train_rules
from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm import agents


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure returns of every task and arm, and the bias of finite swarms.

    Returns:
        ``chaos``: see :func:`fixed_rule_bias`; ``tasks``: ``{task: found}`` with ``curves``
        (``{arm: [seeds, iterations]}``, training), ``oracle`` (``{arm: [seeds]}``, decision rules
        chosen while observing the mean field), ``returns`` (``{arm: [seeds]}``) and ``transfer``
        (``{swarm size: {arm: [seeds]}}``).
    """
    key = jax.random.key(config.seed)
    progress("propagation of chaos")
    results: Results = {
        "chaos": fixed_rule_bias(jax.random.fold_in(key, 0), config),
        "tasks": {},
    }
    keys = agents.keys(jax.random.fold_in(key, 1), config.seeds)
    for name in config.tasks:
        task = build_task(config, name, config.agents)
        progress(f"{name}: decision rules")
        rules = train_rules(config, task, keys)
        progress(f"{name}: IPPO and MAPPO")
        baselines = train_agents(config, task, keys)
        progress(f"{name}: execution")
        transfer = {}
        for n in sorted({config.agents, *config.transfer}):
            resized = build_task(config, name, n)
            execute = jit_fast_compile(
                lambda numbers, keys, task=resized: execute_rules(config, task, numbers, keys)
            )
            transfer[str(n)] = execute(rules["numbers"], keys)
        results["tasks"][name] = {
            "curves": rules["curves"] | baselines["curves"],
            "oracle": rules["oracle"],
            "returns": transfer[str(config.agents)] | baselines["returns"],
            "transfer": transfer,
        }
    return jax.tree.map(np.asarray, results)
