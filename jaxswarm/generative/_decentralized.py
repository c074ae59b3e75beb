"""Fine-tuning by many agents, each towards its own reward, that exchange parameters by gossip.

Shapes: ``N`` agents on axis 0 of every leaf.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm._optimizers import independent_keys
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import GossipTransformation, require_support
from jaxswarm.network.process import Network, check_process, reliable
from jaxswarm.types import Key, Params, PyTree


class DecentralizedState(NamedTuple):
    """State of :func:`decentralized`.

    Attributes:
        agents: states of the algorithm, leaves ``[N, ...]``; gossip mixes their ``params`` only.
        gossip: the gossip rule's state.
        network: the network process's state.
        round: ``int32[]``, rounds done.
        traffic: messages and bytes sent since the start.
    """

    agents: PyTree
    gossip: PyTree
    network: PyTree
    round: jax.Array
    traffic: Ledger

    @property
    def params(self) -> Params:
        """Parameters of all agents, leaves ``[N, ...]``."""
        return self.agents.params


class DecentralizedInfo(NamedTuple):
    """Measurements of one round.

    Attributes:
        agents: what the algorithm measures, leaves ``[N, ...]``.
        traffic: messages and bytes of the round.
    """

    agents: PyTree
    traffic: Traffic


def decentralized(
    algorithm: Algorithm,
    gossip: GossipTransformation,
    *,
    network: Network | None = None,
) -> Algorithm:
    """Run one learner for each agent and mix the agents' parameters by gossip after every step.

    Every agent has its own parameters, critic, reward statistics and random stream, and keeps its
    own reward; only ``params`` are sent. With ``gossip.scheduled`` the agents exchange less often.

    Args:
        algorithm: of one agent, such as :func:`ac_flow`; its state has a field ``params``.
        gossip: any gossip rule.
        network: which agents are alive and which messages arrive; all by default. Agents that are
            dead or do not participate keep their states.

    Returns:
        ``init(params, key, inputs=None, **options) -> DecentralizedState``, where leaves of
        ``params``, ``inputs`` and ``options`` lead with ``N``, and
        ``step(key, state, inputs=None) -> (state, DecentralizedInfo)``.

    Raises:
        ValueError: for something that is not an algorithm, a rule or a network process; in ``init``
            for leaves that do not lead with ``N``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import agents, generative, gossip, topology
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=8, depth=2), (2,))
        >>> def reward(samples, direction):  # each agent prefers a direction of its own
        ...     return samples @ direction
        >>> one = generative.ac_flow(model, reward, warm_up=1, batch_size=8, num_steps=2)
        >>> W = gossip.mixing(topology.ring(4))
        >>> learner = generative.decentralized(one, gossip.averaging(W))
        >>> directions = generative.Request(context=jax.random.normal(jax.random.key(0), (4, 2)))
        >>> params = agents.initialize(jax.random.key(1), model.init, 4, shared=True)
        >>> state = learner.init(params, jax.random.key(2), directions)
        >>> state, info = learner.step(jax.random.key(3), state, directions)
        >>> int(info.traffic.messages)
        8
    """
    if not (hasattr(algorithm, "init") and hasattr(algorithm, "step")):
        raise ValueError(
            "algorithm: expected an Algorithm such as generative.ac_flow(model, reward), got "
            f"{checks.shown(algorithm)}"
        )
    if isinstance(gossip, type) or not callable(getattr(gossip, "mix", None)):
        raise ValueError(
            f"gossip: expected a rule such as gossip.averaging(W), got {checks.shown(gossip)}"
        )
    require_support(gossip, purpose="generative.decentralized")
    if network is not None:
        check_process("network", network)
    world = reliable() if network is None else network

    def init(params: Params, key: Key, inputs: Any = None, **options: Any) -> DecentralizedState:
        checks.key(key)
        n = agents.num_agents(params)
        agents.check_params(params, n)
        agents.check_leading_axis(inputs, n, "inputs")
        agents.check_leading_axis(options, n, "options")

        def start(params: Params, key: Key, inputs: Any, options: dict[str, Any]) -> PyTree:
            return algorithm.init(params, key, inputs, **options)

        states = jax.vmap(start)(params, agents.keys(key, n), inputs, options)
        if not hasattr(states, "params"):
            raise ValueError(
                f"algorithm: expected a state with a field params, got {type(states).__name__}"
            )
        return DecentralizedState(
            agents=independent_keys(states, jnp.arange(n)),
            gossip=gossip.init(states.params),
            network=world.init(),
            round=jnp.zeros((), jnp.int32),
            traffic=Ledger.empty(),
        )

    def step(
        key: Key, state: DecentralizedState, inputs: Any = None
    ) -> tuple[DecentralizedState, DecentralizedInfo]:
        train_key, gossip_key, network_key = jax.random.split(key, 3)
        n = agents.num_agents(state.agents.params)
        agents.check_leading_axis(inputs, n, "inputs")
        network_state, now = world.step(network_key, state.network, state.round)
        stepped, info = jax.vmap(algorithm.step)(agents.keys(train_key, n), state.agents, inputs)
        present = now.active(n)
        if present is not None:
            stepped = agents.where(present, stepped, state.agents)
        params, gossip_state, traffic = gossip.mix(gossip_key, stepped.params, state.gossip, now)
        if now.alive is not None:
            params = agents.where(now.alive, params, state.agents.params)
        state = DecentralizedState(
            agents=stepped._replace(params=params),
            gossip=gossip_state,
            network=network_state,
            round=state.round + 1,
            traffic=state.traffic.add(traffic),
        )
        return state, DecentralizedInfo(info, traffic)

    return Algorithm(init, step)
