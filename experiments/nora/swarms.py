"""Swarms of NORA agents on copies of a lock that gossip the critics' statistics.

Shapes: ``S`` seeds, ``N`` agents, ``T`` episodes of each.
"""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from experiments.nora.config import GRAPHS, Config
from experiments.nora.play import stacked, summary
from experiments.nora.worlds import locks
from jaxswarm import gossip, rollout, topology
from jaxswarm.rl import tabular
from jaxswarm.systems import nora

LEARNERS = ("NORA", "NORA, rate × 10", "rare LSVI-UCB")


def swarm_regrets(config: Config, keys: jax.Array) -> Results:
    """Mean regrets of an agent for each communication graph, of three learners.

    Returns:
        ``{learner: {graph: found}}`` with ``total [S, R]`` and ``switches [S, R]``, means over
        agents, and ``optimism [S]``, the smallest over agents and episodes; ``bytes``: sent by an
        agent in one episode on the ring.
    """
    n = config.agents
    graphs = [topology.from_edges(np.zeros((0, 2), int), n), topology.ring(n), topology.complete(n)]
    mixing = gossip.mixing(topology.stack(graphs), "metropolis", layout="dense", connected=False)
    scales = jnp.array([1.0, n, n])  # agents whose data reach an agent
    worlds = locks(config, config.swarm_seeds)
    bonus, rate = config.swarm_bonus, config.rate
    settings = stacked(
        [
            nora.settings_of("nora", bonus=bonus, rate=rate),
            nora.settings_of("nora", bonus=bonus, rate=10 * rate),
            nora.settings_of("rare lsvi-ucb", bonus=bonus),
        ]
    )

    def run(
        settings: nora.Settings,
        graph: jax.Array,
        scale: jax.Array,
        world: tabular.EpisodicMDP,
        key: jax.Array,
    ) -> tuple[nora.NoraInfo, jax.Array]:
        rule = gossip.averaging(mixing[graph])
        learner = nora.swarm(world, rule, n, settings=settings, scale=scale)
        _, records = rollout(learner.step, learner.init(), config.swarm_episodes, key=key)
        return records.info.agents, records.info.traffic.bytes[0] / n

    over_seeds = jax.vmap(run, (None, None, None, 0, 0))
    over_graphs = jax.vmap(over_seeds, (None, 0, 0, None, None))
    program = jit_fast_compile(jax.vmap(over_graphs, (0, None, None, None, None)))
    info, sent = program(
        settings, jnp.arange(len(GRAPHS)), scales, worlds, keys[: config.swarm_seeds]
    )
    info = jax.tree.map(np.asarray, info)  # [learner, graph, S, T, N]
    found: Results = {"bytes": np.asarray(sent)[0, GRAPHS.index("ring"), 0]}
    for a, learner in enumerate(LEARNERS):
        found[learner] = {}
        for g, graph in enumerate(GRAPHS):
            means = nora.NoraInfo(
                info.regret[a, g].mean(axis=2),
                info.optimism[a, g].min(axis=2),
                info.switched[a, g].mean(axis=2),
            )
            found[learner][graph] = summary(means)
    return found
