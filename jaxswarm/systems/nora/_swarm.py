"""NORA of many agents that explore copies of one process and gossip the critics' statistics.

Precision, rewards and next states are sums over transitions. Each agent adds its episode to its
share of them and averages the share with its neighbors; with doubly stochastic weights the mean
over agents is that of all data, so that ``N`` times an agent's share estimates the sum over all
agents. Values, policies and switches stay local: each agent switches on its own log-determinant.
This decentralized form is an addition of this project.

Shapes: ``N`` agents, ``H`` steps, ``S`` states, ``A`` actions, ``d`` features.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks, gossip
from jaxswarm.rl import tabular
from jaxswarm.rl.tabular import EpisodicLearner, EpisodicMDP, Statistics, Sums, Transitions
from jaxswarm.systems.nora import actor as core
from jaxswarm.systems.nora.actor import Actor, NoraInfo
from jaxswarm.systems.nora.settings import Settings, check_settings
from jaxswarm.types import Key, PyTree


class SwarmState(NamedTuple):
    """State of all agents; leaves lead with ``N``.

    Attributes:
        shares: each agent's average of the sums, see :class:`jaxswarm.rl.tabular.Sums`.
        data: each agent's estimate of the statistics of all agents' data.
        actor: see :class:`Actor`.
        gossip: state of the gossip rule.
        episode: ``int32[]``, episodes so far.
    """

    shares: Sums
    data: Statistics
    actor: Actor
    gossip: PyTree
    episode: jax.Array


class SwarmInfo(NamedTuple):
    """``agents``: a :class:`NoraInfo` with leaves ``[N]``; ``traffic``: messages and bytes sent."""

    agents: NoraInfo
    traffic: gossip.Traffic


def swarm(
    mdp: EpisodicMDP,
    rule: gossip.GossipTransformation,
    num_agents: int,
    *,
    settings: Settings | None = None,
    scale: Any = None,
    bernoulli: bool = False,
) -> EpisodicLearner:
    """Make NORA of ``N`` agents with private data that exchange additive statistics.

    Args:
        mdp: the process of which every agent plays its own copy.
        rule: how shares are averaged, with doubly stochastic weights, such as
            ``gossip.averaging(gossip.mixing(topology.ring(8)))``. With
            ``gossip.averaging(gossip.complete_mean(N))`` every agent has exactly the statistics of
            all episodes so far.
        num_agents: ``N``.
        settings: which learner each agent is; NORA by default.
        scale: number of agents whose data reach an agent, by which its share is multiplied:
            ``num_agents`` by default, 1 without communication. May be traced.
        bernoulli: whether rewards are drawn as 0 or 1 with their means.

    Returns:
        ``init(rows=None) -> SwarmState`` with optional offline transitions, which all agents have,
        and ``step(key, state, inputs) -> (state, SwarmInfo)`` of one episode of each agent; inputs
        are not used.

    Example:
        >>> import jax
        >>> from jaxswarm import gossip, rollout, topology
        >>> from jaxswarm.rl import tabular
        >>> from jaxswarm.systems import nora
        >>> ring = gossip.averaging(gossip.mixing(topology.ring(4)))
        >>> learner = nora.swarm(tabular.combination_lock(4, 3), ring, 4)
        >>> _, records = rollout(learner.step, learner.init(), 100, key=jax.random.key(0))
        >>> records.info.agents.regret.shape
        (100, 4)

    Raises:
        ValueError: for arguments of another kind or out of range.
    """
    settings = check_settings(Settings() if settings is None else settings)
    core.require_actions(mdp)
    checks.instance("rule", rule, gossip.GossipTransformation, "gossip.averaging(W)")
    n = checks.whole("num_agents", num_agents, 1)
    factor = n if scale is None else checks.real("scale", scale, above=0.0)
    bernoulli = checks.flag("bernoulli", bernoulli)
    critic = core.default_critic(mdp, settings)
    best = mdp.start @ tabular.value_iteration(mdp).value[0]

    def estimates(shares: Sums) -> Statistics:
        sums = jax.tree.map(lambda x: factor * x, shares)
        return jax.vmap(lambda own: tabular.statistics(own, settings.ridge))(sums)

    def init(rows: Transitions | None = None) -> SwarmState:
        own = jax.tree.map(lambda x: x / factor, tabular.sums_of(mdp, rows))
        shares = jax.tree.map(lambda x: jnp.repeat(x[None], n, axis=0), own)
        actor = core.initial_actor(mdp)
        actors = jax.tree.map(lambda x: jnp.repeat(x[None], n, axis=0), actor)
        return SwarmState(shares, estimates(shares), actors, rule.init(shares), jnp.int32(0))

    def act(key: Key, data: Statistics, actor: Actor) -> tuple[Actor, Transitions, NoraInfo]:
        actor, switched = core.switch(critic, settings, "log_det", data, actor)
        policy = core.policy_of(settings, actor)
        episode = tabular.sample_episode(key, mdp, policy, bernoulli=bernoulli)
        info = core.report(mdp, best, actor, policy, switched)
        return core.ascend(settings, actor), episode, info

    def step(key: Key, state: SwarmState, inputs: PyTree) -> tuple[SwarmState, SwarmInfo]:
        del inputs
        keys = agents.keys(jax.random.fold_in(key, 0), n)
        actors, episodes, info = jax.vmap(act)(keys, state.data, state.actor)
        shares = jax.vmap(lambda own, rows: added(mdp, own, rows))(state.shares, episodes)
        exchange = gossip.Exchange(index=state.episode)
        mixed, carried, traffic = rule.mix(
            jax.random.fold_in(key, 1), shares, state.gossip, exchange
        )
        data = estimates(mixed)
        state = SwarmState(mixed, data, actors, carried, state.episode + 1)
        return state, SwarmInfo(info, traffic)

    return EpisodicLearner(init, step)


def added(mdp: EpisodicMDP, own: Sums, episode: Transitions) -> Sums:
    """Sums with the rows of one episode, in order."""
    phi = mdp.features[episode.state, episode.action]
    following = jax.nn.one_hot(episode.next_state, mdp.num_states)
    return Sums(
        own.precision + phi[:, :, None] * phi[:, None, :],
        own.rewards + phi * episode.reward[:, None],
        own.nexts + phi[:, :, None] * following[:, None, :],
    )
