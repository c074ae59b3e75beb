"""A decentralised team in Multi-Agent Crafter: memory, messages, decisions, macro operations.

Shapes: ``N`` agents, a map of ``S × S`` cells, ``C`` slots of the memory graph.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks, errors
from jaxswarm.envs.crafter import VIEW, CrafterObservation, MultiAgentCrafter
from jaxswarm.envs.crafter import rules as r
from jaxswarm.systems.damcs import navigation as nav
from jaxswarm.systems.damcs import planner, semantic
from jaxswarm.systems.damcs.execution import action_of, code_ahead, result_of
from jaxswarm.systems.damcs.memory_graph import (
    MemoryGraph,
    add_experience,
    empty_graph,
    failures,
)
from jaxswarm.systems.damcs.messages import (
    MESSAGE_KINDS,
    Message,
    MessageKind,
    bytes_sent,
    no_messages,
    post,
)
from jaxswarm.systems.damcs.records import Decision, Op, Result, no_decision
from jaxswarm.types import Key

Decide = Callable[[planner.Knowledge], Decision]
BLOCKED_FOR = 40
"""Steps for which a way that was found blocked is not tried again."""

_KNOWLEDGE_AXES = planner.Knowledge(*([0] * 8), inbox=None)  # pyright: ignore
"""Agents on axis 0 of all but the inbox, which all share."""


class TeamOptions(NamedTuple):
    """How a team works, as traced flags: arms of a comparison share one program.

    Attributes:
        memory: keep the explored map and the memory graph; else only the present view is known.
        graph: look up blocked ways in the memory graph.
        messages: what crosses.
        known_map: agents are given the whole map, as in the reference, which is not the case in the
            other modes; else they know what they have seen.
        size: number of agents that share the directions to explore, ``N`` or fewer.
    """

    memory: Any = True
    graph: Any = True
    messages: MessageKind = MESSAGE_KINDS["structured"]
    known_map: Any = False
    size: Any = 1


class TeamState(NamedTuple):
    """Memory of all agents.

    Attributes:
        belief: ``int8[N, S, S]``, the map as each agent believes it to be, 0 unknown.
        decision: current decisions.
        since: ``int32[N]``, when they were made.
        result: ``int32[N]``, whether they are running, done or interrupted.
        actions: ``int32[N, 7]``, the last seven actions (procedural memory), newest first.
        position: ``int32[N, 2]``, at the last step.
        inventory: ``int32[N, 16]``, at the last step.
        known: ``bool[N, 14]``, materials on the map at the last step.
        graph: a hierarchical memory each.
        inbox: last message of each agent, as it was sent to all others.
        published: ``bool[N, S, S]``, cells in the views at the positions in the history that an
            agent has sent.
        bytes: ``float32[]``, sent by all so far.
        decisions: ``int32[]``, made by all so far.
        time: ``int32[]``.
    """

    belief: jax.Array
    decision: Decision
    since: jax.Array
    result: jax.Array
    actions: jax.Array
    position: jax.Array
    inventory: jax.Array
    known: jax.Array
    graph: MemoryGraph
    inbox: Message
    published: jax.Array
    bytes: jax.Array
    decisions: jax.Array
    time: jax.Array


class Team(NamedTuple):
    """A team as pure functions.

    Attributes:
        options: the team's own options.
        init: ``init() -> TeamState``.
        act: ``act(key, state, observation, seen=None, options=None) -> (state, action)``;
            ``seen`` is ``env.seen(world)`` and needed where the map is known.
        perceive: ``perceive(state, observation, seen, options) -> (state, knowledge, deciding)``,
            the part of ``act`` before the decisions.
        commit: ``commit(key, state, observation, knowledge, decision, deciding, options) -> (state,
            action)``, the part after them; a policy of the user's own decides in between.
        env: the environment.
    """

    options: TeamOptions
    init: Callable[[], TeamState]
    act: Callable[..., tuple[TeamState, jax.Array]]
    perceive: Callable[..., tuple[TeamState, planner.Knowledge, jax.Array]]
    commit: Callable[..., tuple[TeamState, jax.Array]]
    env: MultiAgentCrafter


def team(
    env: MultiAgentCrafter,
    *,
    memory: bool = True,
    messages: str = "structured",
    known_map: bool = False,
    capacity: int = 48,
    decide: Decide | None = None,
) -> Team:
    """Make a team that plays Multi-Agent Crafter.

    Agents decide only when their last operation is done or was interrupted, and send a message when
    they have decided.

    Args:
        env: the environment; views must be codes (``as_features=False``).
        memory: keep the explored map and the memory graph.
        messages: one of :data:`~jaxswarm.systems.damcs.MESSAGE_KINDS`.
        known_map: give all agents the whole map.
        capacity: ``C``, at least 3.
        decide: ``decide(knowledge) -> Decision`` of one agent, the scripted planner unless given.

    Raises:
        ValueError: for another environment, unknown kinds of messages, or sizes out of range.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> from jaxswarm.systems import damcs
        >>> env = envs.MultiAgentCrafter(num_agents=2, size=16, chunk=8)
        >>> team = damcs.team(env, memory=True, messages="structured")
        >>> state, timestep = jax.jit(env.reset)(jax.random.key(0))
        >>> memory, action = jax.jit(team.act)(
        ...     jax.random.key(1), team.init(), timestep.observation)
        >>> action.shape, int(memory.decisions)
        ((2,), 2)
    """
    checks.instance("env", env, MultiAgentCrafter, "envs.MultiAgentCrafter(num_agents=6)")
    if env.as_features:
        raise ValueError("env: expected views of codes, got as_features=True")
    if not isinstance(messages, str) or messages not in MESSAGE_KINDS:
        raise errors.unknown("messages", messages, MESSAGE_KINDS)
    capacity = checks.whole("capacity", capacity, 3)
    own = TeamOptions(
        checks.flag("memory", memory),
        checks.flag("memory", memory),
        MESSAGE_KINDS[messages],
        checks.flag("known_map", known_map),
        env.num_agents,
    )
    if decide is None:

        def scripted(know: planner.Knowledge) -> Decision:
            return planner.decide(know, env.rules)

        chosen: Decide = scripted
    else:
        chosen = checks.function("decide", decide)
    n, size = env.num_agents, env.size
    table = semantic.requirements(env.rules)
    sector = nav.sectors(size, env.start_cells)
    ids = jnp.arange(n)

    def init() -> TeamState:
        graph = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), empty_graph(capacity))
        zero = jnp.zeros(n, jnp.int32)
        return TeamState(
            belief=jnp.zeros((n, size, size), jnp.int8),
            decision=no_decision(n),
            since=zero - 1,
            result=jnp.full(n, int(Result.DONE), jnp.int32),
            actions=jnp.zeros((n, 7), jnp.int32),
            position=jnp.zeros((n, 2), jnp.int32),
            inventory=jnp.zeros((n, r.NUM_ITEMS), jnp.int32),
            known=jnp.zeros((n, nav.NUM_TARGETS), bool),
            graph=graph,
            inbox=no_messages(n),
            published=jnp.zeros((n, size, size), bool),
            bytes=jnp.zeros(()),
            decisions=jnp.int32(0),
            time=jnp.int32(0),
        )

    def perceive(
        state: TeamState,
        observation: CrafterObservation,
        seen: jax.Array | None = None,
        options: TeamOptions = own,
    ) -> tuple[TeamState, planner.Knowledge, jax.Array]:
        seen_by, first = observation, state.since < 0
        belief = jax.vmap(nav.look, (0, 0, 0, None))(
            state.belief, observation.view, observation.position, options.memory
        )
        if seen is not None:
            whole = jnp.where(seen == nav.PLAYER, nav.GRASS, seen).astype(jnp.int8)
            belief = jnp.where(options.known_map, whole[None], belief)
        known = jax.vmap(nav.known_targets)(belief)
        ahead = code_ahead(observation)
        result = result_of(state, observation, known, ahead)
        awake = observation.agent_mask & ~observation.sleeping
        ended = awake & (result != int(Result.RUNNING))
        add = jax.vmap(lambda g, d, x, i, a: add_experience(g, d, x, i, state.time, active=a))
        graph = add(
            state.graph,
            state.decision,
            result,
            observation.inventory,
            ended & ~first & jnp.asarray(options.memory),
        )
        blocked = jax.vmap(
            lambda g: failures(
                g,
                int(Op.NAVIGATE),
                int(Result.BLOCKED),
                state.time - BLOCKED_FOR,
                nav.NUM_TARGETS,
            )
        )(graph)
        codes = jnp.arange(nav.NUM_TARGETS)
        knowledge = planner.Knowledge(
            agent=ids,
            time=jnp.broadcast_to(state.time, (n,)),
            inventory=observation.inventory,
            known=known,
            failed=(blocked > 0) & jnp.asarray(options.graph) & jnp.asarray(options.memory),
            in_view=jnp.any(seen_by.view[:, None] == codes[None, :, None, None], axis=(2, 3)),
            near=jnp.any(
                seen_by.view[:, None, 2:5, 3:6] == codes[None, :, None, None], axis=(2, 3)
            ),
            ahead=ahead,
            inbox=state.inbox,
        )
        state = state._replace(belief=belief, result=result, graph=graph, known=known)
        return state, knowledge, ended

    def commit(
        key: Key,
        state: TeamState,
        observation: CrafterObservation,
        knowledge: planner.Knowledge,
        decision: Decision,
        deciding: jax.Array,
        options: TeamOptions = own,
    ) -> tuple[TeamState, jax.Array]:
        post_key, walk_key = jax.random.split(key)
        decision = jax.tree.map(
            lambda new, old: jnp.where(deciding, new, old), decision, state.decision
        )
        kind = options.messages
        sent = Message(
            decision.long_term,
            decision.goal,
            jax.vmap(lambda know, goal: planner.announced(table, know, goal), (_KNOWLEDGE_AXES, 0))(
                knowledge, decision.goal
            ),
            observation.inventory,
            jnp.broadcast_to(state.time, (n,)),
        )
        inbox = post(post_key, state.inbox, sent, deciding, kind)
        history = (deciding & jnp.asarray(kind.history))[:, None, None]
        apart = jnp.abs(jnp.arange(size)[None, :, None] - observation.position[:, None, :])
        viewed = (apart[:, :, None, 0] <= VIEW[0] // 2) & (apart[:, None, :, 1] <= VIEW[1] // 2)
        published = state.published | (history & viewed)
        others = jnp.sum(published, axis=0)[None] - published > 0
        blocked = knowledge.failed[:, 0]
        mine = jnp.floor(sector * options.size).astype(jnp.int32)[None] == ids[:, None, None]
        mine &= ~others
        sought = (
            mine
            | blocked[:, None, None]
            | ~jnp.any(mine & (state.belief == 0), axis=(1, 2), keepdims=True)
        )
        step = jax.vmap(nav.navigate)(
            state.belief,
            decision.material,
            observation.position,
            observation.inventory,
            observation.view,
            sought,
        )
        draw = jax.vmap(lambda i: jax.random.uniform(jax.random.fold_in(walk_key, i), (2,)))(ids)
        action, stuck = action_of(state, observation, decision, step, knowledge.ahead, draw, n)
        result = jnp.where(stuck, int(Result.BLOCKED), int(Result.RUNNING)).astype(jnp.int32)
        state = state._replace(
            decision=decision,
            since=jnp.where(deciding, state.time, state.since),
            result=result,
            actions=jnp.concatenate([action[:, None], state.actions[:, :-1]], axis=1),
            position=observation.position,
            inventory=observation.inventory,
            inbox=inbox,
            published=published,
            bytes=state.bytes
            + bytes_sent(deciding, observation.agent_mask, state.graph.experiences, kind),
            decisions=state.decisions + jnp.sum(deciding),
            time=state.time + 1,
        )
        return state, jnp.where(observation.agent_mask, action, r.NOOP)

    def act(
        key: Key,
        state: TeamState,
        observation: CrafterObservation,
        seen: jax.Array | None = None,
        options: TeamOptions = own,
    ) -> tuple[TeamState, jax.Array]:
        checks.key(key)
        checks.instance("state", state, TeamState, "team.init()")
        if seen is None and not checks.is_traced(options.known_map) and bool(options.known_map):
            raise ValueError("seen: expected env.seen(world) where the map is known, got None")
        state, knowledge, deciding = perceive(state, observation, seen, options)
        decision = jax.vmap(chosen, (_KNOWLEDGE_AXES,))(knowledge)
        return commit(key, state, observation, knowledge, decision, deciding, options)

    return Team(own, init, act, perceive, commit, env)
