"""One script per published system; ``python -m experiments list``."""

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
