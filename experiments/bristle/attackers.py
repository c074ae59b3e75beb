"""Byzantine agents: which agents they are, how they poison labels and what they send.

Shapes: ``N`` agents, ``C`` classes.
"""

import jax
import jax.numpy as jnp
import numpy as np

from experiments.bristle.config import CONDITIONS, Config
from jaxswarm import agents, data, gossip, topology
from jaxswarm.gossip import attacks
from jaxswarm.systems import bristle

LABEL_FLIP_2 = CONDITIONS.index("label_flip_2")
LABEL_FLIP_ALL = CONDITIONS.index("label_flip_all")


def graph_and_attackers(config: Config) -> tuple[topology.Topology, np.ndarray]:
    """Build the graph and choose the Byzantine agents, ``bool[N]``.

    On the complete graph they are the last ones; otherwise the graph is random regular and they are
    spread over it.
    """
    if config.degree == config.agents - 1:
        graph = topology.complete(config.agents)
        return graph, np.arange(config.agents) >= config.agents - config.byzantine
    graph = topology.random_regular(config.agents, config.degree, seed=config.seed)
    return graph, spread_attackers(graph, config.byzantine)


def spread_attackers(graph: topology.Topology, most: int) -> np.ndarray:
    """Choose Byzantine agents so that no agent has more than ``most`` among its in-neighbors.

    They are chosen one by one in the order of their ids. Returns ``bool[N]``.
    """
    adjacency = np.asarray(graph.adjacency())
    byzantine = np.zeros(graph.num_agents, bool)
    for agent in range(graph.num_agents):
        trial = byzantine.copy()
        trial[agent] = True
        if (adjacency @ trial.astype(int)).max() <= most:
            byzantine = trial
    attacks.check_byzantine_neighbors(graph, byzantine, most)
    return byzantine


def label_attack(config: Config, num_classes: int, condition: jax.Array) -> data.DataAttack:
    """Flip the labels of an attacker's batch under ``CONDITIONS[condition]`` (traced)."""
    flip_pair = data.flip_pair(*config.flip)
    flip_all = data.flip_all(num_classes)

    def attack(key: jax.Array, batch: data.Batch) -> data.Batch:
        labels = jnp.where(condition == LABEL_FLIP_2, flip_pair(key, batch).y, batch.y)
        flipped = flip_all(key, batch).y
        return batch._replace(y=jnp.where(condition == LABEL_FLIP_ALL, flipped, labels))

    return attack


def flip_private_tests(
    tests: bristle.Tests, attack: data.DataAttack, byzantine: jax.Array
) -> bristle.Tests:
    """Flip the labels of the attackers' private tests like those of their training samples."""
    n, classes = tests.familiar.shape
    key = jax.random.key(0)
    batch = data.Batch(tests.x, tests.y, tests.weight)
    flipped = jax.vmap(attack)(agents.keys(key, n), batch).y
    names = jnp.arange(classes)
    renamed = attack(key, data.Batch(names, names, names)).y
    familiar = jnp.take(tests.familiar, jnp.argsort(renamed), axis=1)
    return tests._replace(
        y=agents.where(byzantine, flipped, tests.y),
        familiar=agents.where(byzantine, familiar, tests.familiar),
    )


def message_attacks(config: Config, count: int) -> list[gossip.Attack]:
    """What attackers send under the first ``count`` conditions.

    Attackers that flip labels send what they have trained.
    """
    honest = gossip.attacks.no_attack()
    return [
        honest,
        gossip.attacks.one_sided_noise(config.noise),
        honest,
        honest,
        gossip.attacks.fang_krum(config.byzantine, num_candidates=config.degree + 1),
        gossip.attacks.fang_trimmed_mean(),
    ][:count]


def claims_all_classes(condition: jax.Array, byzantine: jax.Array) -> jax.Array:
    """Mark attackers that claim to hold all classes, ``bool[N]``: under attacks on messages."""
    return byzantine & (condition > 0) & (condition != LABEL_FLIP_2) & (condition != LABEL_FLIP_ALL)
