"""Training on a log: one learner in two stages, and networked agents that hold shards of the users.

Shapes: ``N`` agents.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import GossipTransformation, require_support
from jaxswarm.rl._networked import PrivateLearner, make_networked
from jaxswarm.rl.constrained._learner import ConstrainedLearner, ConstrainedState
from jaxswarm.rl.constrained._transitions import Transitions, sample
from jaxswarm.types import Key, PyTree

SENT = ("actor", "critics", "targets", "multipliers")
"""Parts of a policy's state that networked agents exchange; the rest stays local."""

STAGES = ("one", "two", "both")


class NetworkedConstrainedState(NamedTuple):
    """State of all agents.

    Attributes:
        agents: learners' states, leaves ``[N, …]``.
        gossip: state of the gossip rule.
        round: ``int32[]``, steps so far.
        ledger: messages and bytes so far.
    """

    agents: ConstrainedState
    gossip: PyTree
    round: jax.Array
    ledger: Ledger


class NetworkedConstrainedInfo(NamedTuple):
    """``losses``: dict of ``[N]``, of auxiliary policies ``[N, n]``; ``traffic`` of the step."""

    losses: dict[str, jax.Array]
    traffic: Traffic


def fit(
    key: Key,
    learner: ConstrainedLearner,
    rows: Transitions,
    num_steps: int,
    *,
    batch_size: int = 256,
) -> tuple[ConstrainedState, dict[str, jax.Array]]:
    """Train a learner on logged transitions: stage one, then stage two, each one compiled scan.

    Args:
        key: random key.
        learner: such as :func:`jaxswarm.rl.constrained.tscac`.
        rows: of :func:`jaxswarm.rl.constrained.transitions`.
        num_steps: updates of each stage, at least 1; learners without auxiliary policies have stage
            two only.
        batch_size: transitions of an update.

    Returns:
        The state, and losses of stage two ``{name: [num_steps]}``.

    Raises:
        ValueError: for sizes below 1, or rows that do not fit the learner.
    """
    checks.instance("learner", learner, ConstrainedLearner, "constrained.tscac(network)")
    checks.instance("rows", rows, Transitions, "constrained.transitions(log)")
    num_steps = checks.whole("num_steps", num_steps, 1)
    batch_size = checks.whole("batch_size", batch_size, 1)
    init_key, one, two = jax.random.split(checks.key(key), 3)

    def stage(update: Any, key: Key, state: ConstrainedState) -> Any:
        def step(state: ConstrainedState, key: Key) -> Any:
            batch_key, key = jax.random.split(key)
            return update(key, state, sample(batch_key, rows, batch_size))

        return jax.lax.scan(step, state, jax.random.split(key, num_steps))

    @jax.jit
    def train(state: ConstrainedState) -> Any:
        if state.auxiliary != ():
            state, _ = stage(learner.stage_one, one, state)
        return stage(learner.stage_two, two, state)

    return train(learner.init(init_key))


def networked(
    learner: ConstrainedLearner,
    rule: GossipTransformation,
    rows: Transitions,
    *,
    batch_size: int = 256,
    stage: str = "both",
) -> Algorithm:
    """Constrained learning of networked agents whose users are private: actors and critics gossip.

    An extension of this library. In a step every agent draws a batch of its own users and updates;
    then agents exchange actors, critics and multipliers. Optimizers' moments stay local. All agents
    start from the same weights.

    Args:
        learner: of one agent, such as :func:`jaxswarm.rl.constrained.tscac`.
        rule: gossip rule; ``gossip.scheduled`` makes it rarer, ``gossip.identity()`` leaves the
            agents isolated.
        rows: leaves ``[N, …]``, of :func:`jaxswarm.rl.constrained.shard_users`.
        batch_size: transitions of each agent's update.
        stage: ``"one"``, ``"two"`` or ``"both"``: which policies learn. A state may go on from one
            stage to the next.

    Returns:
        ``init(key) -> NetworkedConstrainedState`` and ``step(key, state, inputs=None)``; ``inputs``
        may be ``bool[N]``, agents that take part in the exchange of this step.

    Raises:
        ValueError: for sizes out of range, rows of one agent; while mixing, what the rule refuses.
    """
    checks.instance("learner", learner, ConstrainedLearner, "constrained.tscac(network)")
    require_support(rule, purpose="networked")
    checks.instance("rows", rows, Transitions, "constrained.shard_users(log, 4)")
    batch_size = checks.whole("batch_size", batch_size, 1)
    checks.choice("stage", stage, STAGES)
    update = {"one": learner.stage_one, "two": learner.stage_two, "both": learner.step}[stage]
    if jnp.ndim(rows.count) != 1:
        raise ValueError(f"rows: expected shards [N, …], got count of shape {rows.count.shape}")

    def sent(state: ConstrainedState) -> PyTree:
        parts = {k: v for k, v in state._asdict().items() if v != ()}
        return {k: {name: getattr(v, name) for name in SENT} for k, v in parts.items()}

    def received(state: ConstrainedState, parts: PyTree) -> ConstrainedState:
        return state._replace(**{k: getattr(state, k)._replace(**v) for k, v in parts.items()})

    def of_own(key: Key, state: ConstrainedState, own: Transitions) -> Any:
        batch_key, key = jax.random.split(key)
        return update(key, state, sample(batch_key, own, batch_size))

    return make_networked(
        PrivateLearner(learner.init, of_own, sent, received),
        rule,
        rows,
        rows.count.shape[0],
        NetworkedConstrainedState,
        NetworkedConstrainedInfo,
    )
