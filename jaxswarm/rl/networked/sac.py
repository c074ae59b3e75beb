"""SAC among networked agents: own buffers and actors, critics and their targets that gossip.

One iteration of an agent: act, remember, update from its own private rewards, then exchange the
critics and the targets. An averaged critic is worth what the team is paid, of which its owner may
never have seen a reward. Actors and temperatures stay at home unless asked for; the optimisers'
moments always do.

Shapes: ``N`` agents.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018 (critic consensus under private rewards).
    T. Haarnoja et al., Soft actor-critic algorithms and applications, 2018.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.ledger import Ledger
from jaxswarm.gossip.types import GossipTransformation, Round, Traffic
from jaxswarm.rl.off_policy import OffPolicyInfo, OffPolicyState
from jaxswarm.rl.q_networks import QNetwork
from jaxswarm.rl.sac import SACLearner, SACParameters, sac

PyTree = Any


class NetworkedSACState(NamedTuple):
    """Of all agents; leaves lead with ``N``.

    Attributes:
        agents: learners, buffers and environments.
        gossip: the rule's memory.
        round: ``int32[]``, iterations so far.
        ledger: messages and bytes so far.
    """

    agents: OffPolicyState
    gossip: PyTree
    round: jax.Array
    ledger: Ledger


class NetworkedSACInfo(NamedTuple):
    """``sac``: an :class:`OffPolicyInfo`; ``traffic`` of the iteration."""

    sac: OffPolicyInfo
    traffic: Traffic


def networked_sac(
    env: Any,
    network: QNetwork,
    gossip: GossipTransformation,
    *,
    average_actors: bool = False,
    average_temperatures: bool = False,
    parameters: SACParameters = SACParameters(),  # noqa: B008
    **options: Any,
) -> Algorithm:
    """Make the learner.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment` with bounded actions, not wrapped; rewards
            or physics may differ between agents.
        network: from :func:`jaxswarm.rl.q_network_for`.
        gossip: how critics are exchanged after each iteration: any rule, also compressed, delayed,
            robust or attacked.
        average_actors: exchange actors too, which only makes sense where agents are alike.
        average_temperatures: exchange ``log α`` too.
        parameters: used where ``step`` gets ``None`` as inputs.
        options: of :func:`jaxswarm.rl.sac`, but for ``shared``.

    Returns:
        ``init(params, key, physics=None, temperature=1.0) -> NetworkedSACState`` with ``params``
        from :func:`jaxswarm.rl.networked.networked_parameters`, and ``step(key, state, inputs)``.

    Raises:
        ValueError: as :func:`jaxswarm.rl.sac`; while mixing, what the rule refuses.
    """
    if "shared" in options:
        raise ValueError("shared: networked agents learn apart, got an option to share")
    alone = sac(env, network, shared=False, parameters=parameters, **options)

    def told(learner: SACLearner) -> PyTree:
        parts = {"critic": learner.params["critic"], "target": learner.target}
        if average_actors:
            parts["actor"] = learner.params["actor"]
        if average_temperatures:
            parts["temperature"] = learner.log_temperature
        return parts

    def heard(learner: SACLearner, parts: PyTree) -> SACLearner:
        return learner._replace(
            params={
                "actor": parts.get("actor", learner.params["actor"]),
                "critic": parts["critic"],
            },
            target=parts["target"],
            log_temperature=parts.get("temperature", learner.log_temperature),
        )

    def init(
        params: PyTree, key: jax.Array, physics: PyTree = None, temperature: Any = 1.0
    ) -> NetworkedSACState:
        state: Any = alone.init(params, key, physics, temperature=temperature)
        memory = gossip.init(told(state.learner))
        return NetworkedSACState(state, memory, jnp.int32(0), Ledger.empty())

    def step(
        key: jax.Array, state: NetworkedSACState, inputs: SACParameters | None = None
    ) -> tuple[NetworkedSACState, NetworkedSACInfo]:
        own_key, gossip_key = jax.random.split(key)
        held, info = alone.step(own_key, state.agents, inputs)
        parts, memory, traffic = gossip.mix(
            gossip_key, told(held.learner), state.gossip, Round(state.round)
        )
        held = held._replace(learner=heard(held.learner, parts))
        after = NetworkedSACState(held, memory, state.round + 1, state.ledger.add(traffic))
        return after, NetworkedSACInfo(info, traffic)

    return Algorithm(init, step)  # type: ignore[arg-type]
