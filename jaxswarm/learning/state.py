"""State, info and checks that all learners share.

A learner builds its state with :func:`initial_state` and ends a round with :func:`next_round`.

Shapes: ``N`` agents on axis 0 of every leaf.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm._optimizers import init_per_agent
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.learning.local import LocalResult
from jaxswarm.network.process import Network
from jaxswarm.types import Params, PyTree


class LearnerState(NamedTuple):
    """State of a decentralised learner between rounds.

    Attributes:
        params: learnable parameters, leaves ``[N, ...]``: the only thing that gossip mixes.
        opt_state: every agent's own optimiser state, never averaged.
        model_state: every agent's normalisation statistics, never averaged.
        gossip: the gossip rule's state.
        network: the network process's state.
        correction: what bias-corrected methods remember (trackers, previous iterates).
        round: ``int32[]``, rounds done.
        traffic: messages and bytes sent since the start.
    """

    params: Params
    opt_state: PyTree
    model_state: PyTree
    gossip: PyTree
    network: PyTree
    correction: PyTree
    round: jax.Array
    traffic: Ledger


class LearnerInfo(NamedTuple):
    """Metrics of one round.

    Attributes:
        loss: ``float[N]``, each agent's loss on its own minibatches.
        traffic: messages and bytes of this round.
        metrics: of a loss with ``has_aux``, leaves ``[N, ...]``, averaged over the local steps;
            ``None`` otherwise.
    """

    loss: jax.Array
    traffic: Traffic
    metrics: PyTree = None


def initial_state(
    local: optax.GradientTransformation,
    gossip: GossipTransformation,
    network: Network,
    params: Params,
    model_state: PyTree = None,
    correction: PyTree = (),
) -> LearnerState:
    """Build the state of ``N`` agents before the first round.

    Args:
        local: optax optimiser; every agent gets a state of its own, with a random key of its own
            if the optimiser draws noise.
        gossip: gossip rule.
        network: network process.
        params: leaves ``[N, ...]``.
        model_state: normalisation statistics, leaves ``[N, ...]``, if the model has any.
        correction: memory of the method, any pytree.

    Raises:
        ValueError: if the leaves of ``params`` are not floating or those of ``params`` and
            ``model_state`` do not lead with one number of agents.
    """
    try:
        n = agents.num_agents(params)
    except ValueError as error:
        raise ValueError(
            f"params: {error}; agents.initialize(key, model.init, num_agents) makes those of all "
            "agents"
        ) from None
    agents.check_params(params, n)
    agents.check_leading_axis(model_state, n, "model_state")
    params = jax.tree.map(jnp.asarray, params)
    return LearnerState(
        params=params,
        opt_state=init_per_agent(local, params),
        model_state=model_state,
        gossip=gossip.init(params),
        network=network.init(),
        correction=correction,
        round=jnp.zeros((), jnp.int32),
        traffic=Ledger.empty(),
    )


def next_round(state: LearnerState, traffic: Traffic, **changes: PyTree) -> LearnerState:
    """The state after a round: some fields changed, ``round`` and ``traffic`` advanced.

    Args:
        state: before the round.
        traffic: messages and bytes of the round.
        **changes: new values of other fields of :class:`LearnerState`.
    """
    return state._replace(round=state.round + 1, traffic=state.traffic.add(traffic), **changes)


def check_parts(local: Any, gossip: Any, network: Any = None) -> None:
    """Refuse arguments that are not an optimiser, a gossip rule or a network process.

    Args:
        local: what should be an optax optimiser.
        gossip: what should be a gossip rule; ``None`` is not checked.
        network: what should be a network process; ``None`` is not checked.

    Raises:
        ValueError: naming the argument and the type that was given.
    """
    for name, value, methods, example in (
        ("local", local, ("init", "update"), "an optax optimizer such as optax.sgd(0.1)"),
        ("gossip", gossip, ("init", "mix"), "a rule such as gossip.averaging(W)"),
        ("network", network, ("init", "step"), "a process such as network.churn(8, crash=0.1)"),
    ):
        if value is None and name != "local":
            continue
        if isinstance(value, type) or not all(callable(getattr(value, m, None)) for m in methods):
            raise ValueError(f"{name}: expected {example}, got {checks.shown(value)}")


def keep_absent(now: Exchange, result: LocalResult, state: LearnerState) -> LocalResult:
    """Undo the local training of agents that are dead or do not participate in this round.

    Args:
        now: what the network delivers in this round.
        result: outcome of the local training of all agents.
        state: before the round; absent agents keep its parameters and states.
    """
    present = now.active(agents.num_agents(state.params))
    if present is None:
        return result
    return result._replace(
        params=agents.where(present, result.params, state.params),
        opt_state=agents.where(present, result.opt_state, state.opt_state),
        model_state=agents.where(present, result.model_state, state.model_state),
    )


def keep_dead(now: Exchange, params: Params, before: Params) -> Params:
    """Undo what gossip did to the parameters of dead agents, whatever the rule.

    Agents that are alive and only do not participate are left to the rule: a server sends them its
    average too.

    Args:
        now: what the network delivers in this round.
        params: after gossip.
        before: before the round.
    """
    return params if now.alive is None else agents.where(now.alive, params, before)
