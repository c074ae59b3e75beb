"""Tabular policies on the coordination game, by exact policy gradient.

Shapes: ``G`` graphs, ``S`` seeds.
"""

from typing import Any

import jax
import jax.numpy as jnp

from experiments.bn_actor_critic.config import TABULAR_GRAPHS, Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import rollout
from jaxswarm.systems import bn_actor_critic

GAP_STEPS = 300  # iterations of the best response from which the Nash gap is computed

_GRAPHS = {
    "independent": bn_actor_critic.independent,
    "line": bn_actor_critic.line,
    "full": bn_actor_critic.full,
}


def ascend(config: Config, n: int, keys: jax.Array) -> dict[str, jax.Array]:
    """Ascend the gradient with every graph and seed, in one program.

    Returns:
        ``value [G, S, records]`` while ascending; ``start`` and ``gap [G, S]``, the largest Nash
        gap of an agent before and after; all as shares of the optimal value.
    """
    game = bn_actor_critic.coordination_game(n)
    learner = bn_actor_critic.bayesian_policy_gradient(game, weight=game.num_states / n)
    best = jnp.mean(bn_actor_critic.optimal_values(game, config.discount))
    shape = (n, game.num_states, game.num_states, 2)

    def run_seed(dag: jax.Array, key: jax.Array) -> tuple[jax.Array, ...]:
        numbers = bn_actor_critic.BayesianHyperparameters(dag, config.lr, config.discount)
        start = learner.init(jax.random.normal(key, shape))
        end, records = rollout(
            lambda key, state, _: learner.step(key, state, numbers),
            start,
            config.iterations,
            key=key,
            every=config.every,
        )

        def nash_gap(tables: Any) -> jax.Array:
            gaps = bn_actor_critic.nash_gap(tables, game, dag, config.discount, GAP_STEPS)
            return jnp.max(gaps) / best

        return records.info.value / best, nash_gap(start), nash_gap(end)

    dags = jnp.stack([jnp.asarray(_GRAPHS[name](n)) for name in TABULAR_GRAPHS])
    over_seeds = jax.vmap(run_seed, (None, 0))
    value, start, gap = jit_fast_compile(jax.vmap(over_seeds, (0, None)))(dags, keys)
    return {"value": value, "start": start, "gap": gap}
