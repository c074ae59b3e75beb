"""Training of networked agents on private data: own updates, then an exchange by gossip.

Shapes: ``N`` agents.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation, require_support
from jaxswarm.types import Key, PyTree

Losses = dict[str, jax.Array]


class PrivateLearner(NamedTuple):
    """Learner of one agent that holds its own data; ``make_networked`` maps it over agents.

    Attributes:
        init: ``init(key) -> state``.
        update: ``update(key, state, own) -> (state, losses)`` on the agent's own data.
        sent: ``sent(state) -> tree``, what agents exchange.
        received: ``received(state, tree) -> state``, the state with what the exchange gave.
    """

    init: Callable[[Key], PyTree]
    update: Callable[[Key, PyTree, PyTree], tuple[PyTree, Losses]]
    sent: Callable[[PyTree], PyTree]
    received: Callable[[PyTree, PyTree], PyTree]


def make_networked(
    learner: PrivateLearner,
    rule: GossipTransformation,
    data: PyTree,
    num_agents: int,
    make_state: Callable[[PyTree, PyTree, jax.Array, Ledger], Any],
    make_info: Callable[[Losses, Traffic], Any],
) -> Algorithm:
    """Make the algorithm whose step is one update of every agent and one exchange.

    All agents start from the same state, since averages of networks with different initial weights
    perform badly. Moments of optimizers are not exchanged unless ``learner.sent`` has them.

    Args:
        learner: of one agent.
        rule: gossip rule.
        data: leaves ``[N, …]``.
        num_agents: ``N``.
        make_state: class of the state, with the fields ``agents, gossip, round, ledger``.
        make_info: class of what a step reports, with the fields ``losses, traffic``.

    Returns:
        ``init(key) -> state`` and ``step(key, state, inputs=None)``; ``inputs`` may be ``bool[N]``,
        agents that take part in the exchange of this step.

    Raises:
        ValueError: for what is no gossip rule; while mixing, what the rule refuses.
    """
    require_support(rule, purpose="networked")
    n = num_agents

    def init(key: Key) -> Any:
        one = learner.init(checks.key(key))
        state = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *jnp.shape(x))), one)
        return make_state(state, rule.init(learner.sent(state)), jnp.int32(0), Ledger.empty())

    def step(key: Key, state: Any, inputs: jax.Array | None = None) -> tuple[Any, Any]:
        if inputs is not None:
            checks.mask("inputs", inputs, (n,))
        learn_key, gossip_key = jax.random.split(checks.key(key))
        keys = agents.keys(learn_key, n)
        learners, losses = jax.vmap(learner.update)(keys, state.agents, data)
        exchange = Exchange(state.round, participates=inputs)
        parts, gossip_state, traffic = rule.mix(
            gossip_key, learner.sent(learners), state.gossip, exchange
        )
        learners = learner.received(learners, parts)
        ledger = state.ledger.add(traffic)
        new_state = make_state(learners, gossip_state, state.round + 1, ledger)
        return new_state, make_info(losses, traffic)

    return Algorithm(init, step)  # type: ignore[arg-type]
