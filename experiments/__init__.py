"""One script per published system; ``python -m experiments list``."""

import os
from importlib.metadata import entry_points

# On CPUs LLVM's third level takes twice the time to compile a learner, for programs that run no
# faster (benchmarks/README.md). XLA reads this when the first array is made.
if not entry_points(group="jax_plugins"):
    _given = os.environ.get("XLA_FLAGS", "")
    if "xla_backend_optimization_level" not in _given:
        os.environ["XLA_FLAGS"] = f"{_given} --xla_backend_optimization_level=2".strip()

# name -> module; what such a module holds is said by harness.Experiment.
SYSTEMS: dict[str, str] = {
    "single_merging": "experiments.single_merging",
    "variance_correction": "experiments.variance_correction",
    "byzantine_grid": "experiments.byzantine_grid",
    "dadao": "experiments.dadao",
    "disrupted": "experiments.disrupted",
    "dimat": "experiments.dimat",
    "modest": "experiments.modest",
    "sybilwall": "experiments.sybilwall",
    "bristle": "experiments.bristle",
    "networked_actor_critic": "experiments.networked_actor_critic",
    "dec_pomfc": "experiments.dec_pomfc",
    "swarmbench": "experiments.swarmbench",
    "hammer": "experiments.hammer",
    "bn_actor_critic": "experiments.bn_actor_critic",
    "sac": "experiments.sac",
    "stac": "experiments.stac",
    "symphony": "experiments.symphony",
    "symphony_coord": "experiments.symphony_coord",
    "agentnet": "experiments.agentnet",
    "matrix": "experiments.matrix",
    "scaling_agents": "experiments.scaling_agents",
}
