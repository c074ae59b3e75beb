"""Training of one offline learner, and of networked agents with disjoint shards of the data.

Shapes: ``N`` agents, ``T`` rows of an agent's shard.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import GossipTransformation, require_support
from jaxswarm.rl._networked import PrivateLearner, make_networked
from jaxswarm.rl.offline._learner import OfflineLearner, OfflineState
from jaxswarm.rl.offline._trajectories import (
    ChunkBatch,
    ChunkSampler,
    GoalPool,
    GoalShares,
    Trajectories,
    sample_chunks,
    trajectories,
)
from jaxswarm.types import ArrayLike, Key, PyTree


class NetworkedOfflineState(NamedTuple):
    """State of all agents.

    Attributes:
        agents: learners' states, leaves ``[N, …]``.
        gossip: state of the gossip rule.
        round: ``int32[]``, steps so far.
        ledger: messages and bytes so far.
    """

    agents: OfflineState
    gossip: PyTree
    round: jax.Array
    ledger: Ledger


class NetworkedOfflineInfo(NamedTuple):
    """``losses``: dict of ``[N]``; ``traffic`` of the step."""

    losses: dict[str, jax.Array]
    traffic: Traffic


def fit(
    key: Key,
    learner: OfflineLearner,
    sampler: ChunkSampler,
    num_steps: int,
    *,
    batch_size: int = 256,
) -> tuple[OfflineState, dict[str, jax.Array]]:
    """Train a learner on a data set in one compiled scan.

    Args:
        key: random key.
        learner: such as :func:`jaxswarm.rl.offline.dqc`.
        sampler: of :func:`jaxswarm.rl.offline.chunks`; its horizon is the network's.
        num_steps: gradient steps, ``>= 1``.
        batch_size: chunks of a step.

    Returns:
        The state, and losses ``{name: [num_steps]}``.

    Raises:
        ValueError: for sizes below 1, or a sampler whose horizon or sizes are not the network's.
    """
    checks.instance("learner", learner, OfflineLearner, "offline.dqc(network)")
    checks.instance("sampler", sampler, ChunkSampler, "offline.chunks(trajectories)")
    num_steps = checks.whole("num_steps", num_steps, 1)
    batch_size = checks.whole("batch_size", batch_size, 1)
    network, data = learner.network, sampler.trajectories
    expected = (network.horizon, network.num_observations, network.num_actions, network.num_goals)
    found = (sampler.horizon, *(x.shape[1] for x in (data.observation, data.action, data.goal)))
    if expected != found:
        raise ValueError(
            "sampler: expected the network's horizon and numbers of an observation, action and "
            f"goal, {expected}, got {found}"
        )
    init_key, step_key = jax.random.split(checks.key(key))
    steps = learner.hyperparameters.horizon

    @jax.jit
    def train(state: OfflineState) -> Any:
        def one(state: OfflineState, key: jax.Array) -> Any:
            batch_key, key = jax.random.split(key)
            batch = sampler.sample(batch_key, batch_size, steps)
            return learner.step(key, state, batch)

        return jax.lax.scan(one, state, jax.random.split(step_key, num_steps))

    return train(learner.init(init_key))


def networked(
    learner: OfflineLearner,
    rule: GossipTransformation,
    data: Trajectories,
    *,
    batch_size: int = 256,
    shares: GoalShares | None = None,
    pool: GoalPool | None = None,
    moments: ArrayLike = False,
) -> Algorithm:
    """Offline learning of networked agents with private shards: critics and actors gossip.

    In a step every agent draws a batch of its own shard and updates; then agents exchange all
    weights and target weights. All agents start from the same weights. Adam's moments stay local by
    default. Where shards differ, that can cost much: each agent then divides its gradient by what
    its own shard's gradients measure, and the mean of such steps is not a step on all data.
    Moments averaged with equal weights give nearly the step of one learner with all data, for two
    to three times the bytes.

    Args:
        learner: of one agent, such as :func:`jaxswarm.rl.offline.dqc`.
        rule: gossip rule; ``gossip.scheduled`` makes it rarer, ``gossip.identity()`` leaves the
            agents isolated.
        data: shards, leaves ``[N, …]``, of :func:`shard`.
        batch_size: chunks of each agent's batch.
        shares: of the relabelled goals.
        pool: goals that all agents draw random goals from; an agent's own rows if omitted.
        moments: whether Adam's moments are exchanged as well, ``bool[]``; may be traced. Only for
            rules that average with weights of at least 0, since second moments must stay so.

    Returns:
        ``init(key) -> NetworkedOfflineState`` and ``step(key, state, inputs=None)``; ``inputs``
        may be ``bool[N]``, agents that take part in the exchange of this step.

    Raises:
        ValueError: for sizes below 1, or ``moments`` that is no flag; while mixing, what the rule
            refuses.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm import gossip, topology
        >>> from jaxswarm.rl import offline
        >>> ends = np.arange(32) % 8 == 7  # four episodes of eight rows: two for each of two agents
        >>> moves = np.full((32, 1), 0.5)
        >>> shards = offline.shard(np.arange(32.0)[:, None], moves, ends, [[0, 1], [2, 3]])
        >>> network = offline.chunk_network(1, 1, horizon=4, widths=(8,))
        >>> ring = gossip.averaging(gossip.mixing(topology.ring(2)))
        >>> learner = offline.dqc(network, horizon=4, policy_chunk=1)
        >>> team = offline.networked(learner, ring, shards, batch_size=4)
        >>> state = jax.eval_shape(team.init, jax.random.key(0))
        >>> jax.eval_shape(team.step, jax.random.key(1), state)[1].losses["value"].shape
        (2,)
    """
    checks.instance("learner", learner, OfflineLearner, "offline.dqc(network)")
    require_support(rule, purpose="networked")
    checks.instance("data", data, Trajectories, "offline.shard(…)")
    batch_size = checks.whole("batch_size", batch_size, 1)
    if data.last.ndim != 2:
        raise ValueError(
            f"data: expected stacked shards, last of shape [N, T], got {data.last.shape}"
        )
    horizon, steps = learner.network.horizon, learner.hyperparameters.horizon

    if not checks.is_traced(moments):
        moments = checks.flag("moments", moments)
    with_moments = moments is not False

    def sent(state: OfflineState) -> PyTree:
        parts = {"params": state.params, "target": state.target}
        return parts | {"moments": _moments(state.opt_state)} if with_moments else parts

    def received(state: OfflineState, parts: PyTree) -> OfflineState:
        opt_state = state.opt_state
        if with_moments:
            own = _moments(opt_state)
            taken = [jnp.where(moments, x, y) for x, y in zip(parts["moments"], own, strict=True)]
            opt_state = _with_moments(opt_state, taken)
        return OfflineState(parts["params"], parts["target"], opt_state)

    def update(key: Key, state: OfflineState, own: Trajectories) -> Any:
        batch_key, key = jax.random.split(key)
        batch: ChunkBatch = sample_chunks(
            batch_key, own, batch_size, horizon, steps=steps, shares=shares, pool=pool
        )
        return learner.step(key, state, batch)

    return make_networked(
        PrivateLearner(learner.init, update, sent, received),
        rule,
        data,
        len(data.last),
        NetworkedOfflineState,
        NetworkedOfflineInfo,
    )


def _moments(opt_state: PyTree) -> list[jax.Array]:
    """Floating-point leaves of an optimizer's state: all but counters."""
    leaves = jax.tree.leaves(opt_state)
    return [x for x in leaves if jnp.issubdtype(x.dtype, jnp.floating)]


def _with_moments(opt_state: PyTree, moments: list[jax.Array]) -> PyTree:
    """The state with other floating-point leaves."""
    given = iter(moments)
    return jax.tree.map(
        lambda x: next(given) if jnp.issubdtype(x.dtype, jnp.floating) else x, opt_state
    )


def shard(
    observation: Any,
    action: Any,
    terminal: Any,
    episodes: Sequence[Sequence[int]],
    *,
    goal: Any = None,
) -> Trajectories:
    """Deal episodes to agents as stacked data sets of equal sizes, leaves ``[N, …]``.

    Labels of goals are those of the whole data, so that shards agree about which goals are equal.

    Args:
        observation: as :func:`jaxswarm.rl.offline.trajectories`.
        action: as there.
        terminal: as there.
        episodes: the numbers of each agent's episodes; disjoint, with as many rows for each agent.
        goal: as :func:`jaxswarm.rl.offline.trajectories`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.offline.trajectories`; for episodes that do not exist,
            that two agents hold, or of different numbers of rows.
    """
    whole = trajectories(observation, action, terminal, goal=goal)
    last = np.asarray(whole.last)
    ends = np.unique(last)
    if not isinstance(episodes, Sequence) or not len(episodes):
        raise ValueError(f"episodes: expected a list for each agent, got {checks.shown(episodes)}")
    dealt = [checks.wholes("episodes", own, 0, len(ends) - 1, shape=(None,)) for own in episodes]
    if any(not len(own) for own in dealt):
        raise ValueError("episodes: expected at least one episode for each agent, got none")
    everything = np.concatenate(dealt)
    if len(np.unique(everything)) != len(everything):
        raise ValueError("episodes: expected disjoint shards, got an episode that two agents hold")
    number = np.searchsorted(ends, last)
    shards = []
    for own in dealt:
        rows = np.concatenate([np.flatnonzero(number == k) for k in own])
        parts = [np.asarray(x)[rows] for x in whole[:4]]
        lengths = np.array([np.sum(number == k) for k in own])
        own_last = np.repeat(np.cumsum(lengths) - 1, lengths)
        starts = np.flatnonzero(np.arange(len(rows)) < own_last)
        shards.append((*parts, own_last.astype(np.int32), starts.astype(np.int32)))
    sizes = {(len(each[4]), len(each[5])) for each in shards}
    if len(sizes) != 1:
        raise ValueError(
            f"episodes: expected equally many rows and episodes for each agent, got {sorted(sizes)}"
        )
    return Trajectories(*(jax.device_put(np.stack(x)) for x in zip(*shards, strict=True)))
