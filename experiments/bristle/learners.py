"""The learner of every arm: Bristle, and aggregation rules with or without the frozen body.

Shapes: ``N`` agents, ``C`` classes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.bristle.attackers import (
    claims_all_classes,
    flip_private_tests,
    label_attack,
    message_attacks,
)
from experiments.bristle.config import Config
from experiments.bristle.private_data import AgentData
from jaxswarm import agents, data, gossip, learning, models, topology
from jaxswarm.algorithm import Algorithm
from jaxswarm.models import losses
from jaxswarm.systems import bristle


class Learner(NamedTuple):
    """What an arm runs.

    Attributes:
        algorithm: its ``init`` and ``step``.
        params: initial parameters of all agents.
        inputs: what ``step`` gets in every round.
        accuracy: ``state -> float32[N]``, on the global test set.
    """

    algorithm: Algorithm
    params: Any
    inputs: Any
    accuracy: Callable[[Any], jax.Array]


def build_learner(
    config: Config,
    arm: str,
    graph: topology.Topology,
    agent_data: AgentData,
    network: models.Model,
    byzantine: jax.Array,
    condition: jax.Array,
    count: int,
) -> Learner:
    """Build the learner of an arm under ``CONDITIONS[condition]``.

    Args:
        config: sizes.
        arm: ``"bristle"``, ``"bristle SELECTION"``, ``"transfer RULE"`` or ``"scratch RULE"``.
        graph: the topology.
        agent_data: the data of one seed.
        network: the whole network.
        byzantine: ``bool[N]``.
        condition: index of the attack, below ``count``; traced.
        count: number of conditions that the program is compiled for.
    """
    kind, _, rule_name = arm.partition(" ")
    classes = agent_data.test.familiar.shape[-1]
    flip = label_attack(config, classes, condition)
    sample = data.poisoned(data.minibatches(config.batch), flip, byzantine)
    attacks_on_messages = message_attacks(config, count)
    local = optax.adam(config.lr)
    if kind == "scratch":
        tests = flip_private_tests(agent_data.test, flip, byzantine)
        loss = learning.classification_loss(network, weight_decay=config.weight_decay)
        params = agents.initialize(jax.random.key(1), network.init, config.agents, shared=True)
        inputs, exam, apply = agent_data.train, agent_data.exam_images, network.apply
    else:
        tests = flip_private_tests(agent_data.features.test, flip, byzantine)
        loss = bristle.head_loss(config.weight_decay)
        params = jnp.zeros((config.agents, config.body[-1], classes))
        inputs, exam = agent_data.features.train, agent_data.exam_features

        def apply(head: jax.Array, features: jax.Array) -> jax.Array:
            return features @ head

    def accuracy(state: Any) -> jax.Array:
        labels = agent_data.exam_labels
        return jax.vmap(lambda p: losses.accuracy(apply(p, exam), labels))(state.params)

    if kind == "bristle":
        rule = bristle.performance_based(
            graph,
            quota=config.quota,
            alpha=config.alpha,
            num_certain=config.num_certain,
            selection=rule_name or "thirds",
        )
        claimed = tests.familiar | claims_all_classes(condition, byzantine)[:, None]
        rule = gossip.attacked_by_one_of(rule, attacks_on_messages, condition, byzantine)
        algorithm = bristle.bristle(
            gossip.with_extras(rule, public=claimed),
            local=local,
            sample=sample,
            weight_decay=config.weight_decay,
        )
        return Learner(algorithm, params, bristle.Peers(inputs, tests), accuracy)
    rule = robust_rule(config, rule_name, graph, loss)
    rule = gossip.attacked_by_one_of(rule, attacks_on_messages, condition, byzantine)
    everything = data.poisoned(data.full_batches(), flip, byzantine)(jax.random.key(0), inputs)
    algorithm = learning.decentralized(
        loss,
        local=local,
        gossip=gossip.with_extras(rule, context=everything) if "context" in rule.supports else rule,
        sample=sample,
        order="combine_then_adapt",
    )
    return Learner(algorithm, params, inputs, accuracy)


def robust_rule(
    config: Config, name: str, graph: topology.Topology, loss: Callable[..., jax.Array]
) -> gossip.GossipTransformation:
    """Build a baseline's aggregation rule, which assumes the true number of attackers."""
    if name == "mozi":
        return gossip.robust.mozi(graph, loss)
    rule = "trimmed_mean" if name == "bridge" else name
    return gossip.ROBUST_RULES[rule](graph, config.byzantine)
