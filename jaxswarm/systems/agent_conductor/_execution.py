"""Execution of role graphs on tasks: evidence, distraction, tokens and the verdict.

Agents answer in slot order through an :class:`~jaxswarm.coordination.AgentBackend`. A right reply
of an agent is an origin of evidence toward each skill. It reaches a reader along references and
loses a share at each; the best path counts, and evidence of different origins has diminishing
returns. Every reference of an agent lowers its own chance of a right reply and the share of
evidence that it takes from each (distraction), more so if it reads a wrong reply. So a
missing reference loses evidence, and one too many dilutes what the others bring.

Shapes: ``B`` tasks, ``N`` slots, ``K`` skills.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.coordination import AgentBackend, LoadModel, Request, stochastic_backend
from jaxswarm.coordination.backends import OK
from jaxswarm.systems.agent_conductor.graphs import (
    CODING,
    DEBUGGING,
    UNKNOWN,
    RoleGraph,
    edges,
    format_error,
    graph_size,
    occupied,
)
from jaxswarm.systems.agent_conductor.world import (
    FAILURE_OF_SKILL,
    NOT_EXECUTED,
    NUM_ANSWERS,
    SKILLS,
    CodeTasks,
    CodeWorld,
    check_tasks,
    check_world,
    role_workers,
)
from jaxswarm.types import ArrayLike, Key

NO_LOAD = LoadModel(per_call=0.0, slowdown=0.0, harm=0.0, jitter=0.0)


class Program(NamedTuple):
    """What an earlier turn left: evidence toward each skill ``float32[B, K]``, and whether."""

    evidence: jax.Array
    exists: jax.Array


class Outcome(NamedTuple):
    """Outcome of one execution of a graph for each task.

    Attributes:
        verdict: ``int32[B]``, index into ``VERDICTS``.
        passed: ``bool[B]``, all hidden tests.
        program: evidence of the terminal agent, which a later turn may build on.
        tokens: ``float32[B]``, read and written by all agents.
        right: ``bool[B, N]``, replies that were right; hidden.
        answered: ``bool[B, N]``, calls with a reply.
        error: ``int32[B]``, index into ``FORMAT_ERRORS``.
    """

    verdict: jax.Array
    passed: jax.Array
    program: Program
    tokens: jax.Array
    right: jax.Array
    answered: jax.Array
    error: jax.Array


class _Carry(NamedTuple):
    backend: Any
    reach: jax.Array  # [B, N, N + 1] best transmission from each origin; the last is the program
    origin: jax.Array  # [B, N, K] evidence of right replies
    wrong: jax.Array  # [B, N]
    written: jax.Array  # [B, N] tokens
    tokens: jax.Array  # [B]


def role_backend(reliability: ArrayLike = 0.93) -> AgentBackend:
    """Simulated agents for all roles: :func:`role_workers` without load.

    Raises:
        ValueError: as :func:`role_workers`.
    """
    return stochastic_backend(
        role_workers(reliability), num_answers=NUM_ANSWERS, load_model=NO_LOAD
    )


def no_program(count: int) -> Program:
    """The program before the first turn: none, for ``count`` tasks.

    Raises:
        ValueError: unless ``count`` is at least 1.
    """
    count = checks.whole("count", count, 1)
    return Program(jnp.zeros((count, len(SKILLS))), jnp.zeros(count, bool))


def execute(
    key: Key,
    world: CodeWorld,
    backend: AgentBackend,
    state: Any,
    tasks: CodeTasks,
    graph: RoleGraph,
    *,
    max_nodes: ArrayLike | None = None,
    program: Program | None = None,
    event: ArrayLike = 0,
    active: ArrayLike | None = None,
) -> tuple[Any, Outcome]:
    """Run one role graph on each task and judge the program of its terminal agent.

    The agent of role ``r`` is worker ``r`` of the backend, its calls have ``entity = task`` and
    ``event = event · N + slot``; a reply is right if its answer is the task's ``truth``. Agents
    that code or debug read an earlier program as one more reference. A call without a reply adds
    nothing and distracts nothing; without one from the terminal agent there is no program.

    Args:
        key: the same for arms that are compared: random numbers depend on tasks and events.
        world: constants.
        backend: of at least six workers.
        state: of the backend.
        tasks: ``B`` tasks.
        graph: leaves ``[B, N]``; invalid graphs are not executed and cost nothing.
        max_nodes: ``int32[B]``, largest valid number of agents; ``N`` by default.
        program: of an earlier turn.
        event: ``int32[]`` or ``int32[B]``, number of the execution of this task.
        active: ``bool[B]``, all by default; others are not executed either.

    Returns:
        The backend's state and the outcome.

    Raises:
        ValueError: for arguments of another kind, shape or range.

    Example:
        >>> import jax
        >>> from jaxswarm.systems import agent_conductor
        >>> backend = agent_conductor.role_backend()
        >>> tasks = agent_conductor.sample_tasks(jax.random.key(0), 2)
        >>> chain = agent_conductor.role_graph([[("planning", [])], [("coding", [0])]])
        >>> state, outcome = jax.jit(lambda key: agent_conductor.execute(
        ...     key, agent_conductor.CodeWorld(), backend, backend.init(), tasks,
        ...     agent_conductor.stacked([chain, chain])))(jax.random.key(1))
        >>> outcome.verdict.shape, bool((outcome.tokens > 900).all())
        ((2,), True)
    """
    checks.key(key)
    check_world(world)
    checks.instance("backend", backend, AgentBackend, "agent_conductor.role_backend()")
    tasks = check_tasks(tasks)
    checks.instance("graph", graph, RoleGraph, "agent_conductor.role_graph(…)")
    count = tasks.task.shape[0]
    role = jnp.asarray(checks.wholes("graph", graph.role, 0, UNKNOWN, shape=(count, None)))
    slots = role.shape[1]
    most = slots if max_nodes is None else max_nodes
    error = format_error(graph, most)
    runs = error == 0
    if active is not None:
        runs = runs & jnp.asarray(checks.mask("active", active, (count,)))
    event = jnp.asarray(checks.wholes("event", event))
    program = no_program(count) if program is None else program
    checks.instance("program", program, Program, "outcome.program")
    mask = occupied(graph) & runs[:, None]
    refs = edges(graph)
    hardness = jnp.asarray(world.clarity)[tasks.difficulty]
    focus, evidence = jnp.asarray(world.focus), jnp.asarray(world.evidence)

    def slot(carry: _Carry, i: jax.Array) -> tuple[_Carry, tuple[jax.Array, jax.Array]]:
        own, reads, calls = role[:, i], refs[:, i], mask[:, i]
        kind = jnp.where(calls, own, 0)
        reads_program = program.exists & ((own == CODING) | (own == DEBUGGING))
        number = jnp.sum(reads, axis=1) + reads_program
        misled = jnp.sum(reads & carry.wrong, axis=1)
        kept = (1.0 - world.distraction) ** number * (1.0 - world.misleading) ** misled
        context = world.statement + jnp.sum(jnp.where(reads, carry.written, 0.0), axis=1)
        context = context + reads_program * world.program
        request = Request(
            worker=kind.astype(jnp.int32),
            entity=tasks.task,
            event=(event * slots + i + jnp.zeros(count)).astype(jnp.int32),
            demand=(hardness * kept)[:, None] * focus[kind],
            context=jnp.asarray(context),
            truth=tasks.truth,
            active=calls,
        )
        backend_state, reply = backend.answer(key, carry.backend, request)
        answered = calls & (reply.status == OK)
        right = answered & (reply.answer == tasks.truth)
        taken = (world.transmission * kept)[:, None]
        best = jnp.max(jnp.where(reads[:, :, None], carry.reach, 0.0), axis=1) * taken
        direct = jnp.where(reads_program, taken[:, 0], 0.0)
        best = best.at[:, slots].max(direct).at[:, i].set(1.0)
        used = jnp.where(answered, reply.tokens_in + reply.tokens_out, 0.0)
        carry = _Carry(
            backend_state,
            carry.reach.at[:, i].set(jnp.where(answered[:, None], best, 0.0)),
            carry.origin.at[:, i].set(jnp.where(right[:, None], evidence[kind], 0.0)),
            carry.wrong.at[:, i].set(answered & ~right),
            carry.written.at[:, i].set(jnp.where(answered, reply.tokens_out, 0.0)),
            carry.tokens + used,
        )
        return carry, (right, answered)

    start = _Carry(
        state,
        jnp.zeros((count, slots, slots + 1)),
        jnp.zeros((count, slots, len(SKILLS))),
        jnp.zeros((count, slots), bool),
        jnp.zeros((count, slots)),
        jnp.zeros(count),
    )
    end, (right, answered) = jax.lax.scan(slot, start, jnp.arange(slots))
    last = jnp.maximum(graph_size(graph).nodes - 1, 0)
    reach = jnp.take_along_axis(end.reach, last[:, None, None], axis=1)[:, 0]
    origins = jnp.concatenate([end.origin, program.evidence[:, None]], axis=1)
    gathered = 1.0 - jnp.prod(1.0 - reach[:, :, None] * origins, axis=1)
    verdict = judge(tasks, gathered)
    verdict = jnp.where(runs, verdict, NOT_EXECUTED)
    ended = jnp.take_along_axis(answered.T, last[:, None], axis=1)[:, 0]
    return end.backend, Outcome(
        verdict=verdict.astype(jnp.int32),
        passed=verdict == 0,
        program=Program(gathered, runs & ended),
        tokens=end.tokens,
        right=right.T,
        answered=answered.T,
        error=error,
    )


def judge(tasks: CodeTasks, evidence: ArrayLike) -> jax.Array:
    """Verdict of programs: the most severe among the failed tests, 0 if all pass, ``int32[B]``.

    Args:
        tasks: ``B`` tasks.
        evidence: ``float32[B, K]`` of each program.

    Raises:
        ValueError: for what are no tasks, or another shape.
    """
    checks.instance("tasks", tasks, CodeTasks, "agent_conductor.sample_tasks(key, 8)")
    evidence = checks.numbers("evidence", evidence, (tasks.task.shape[0], len(SKILLS)))
    has = jnp.take_along_axis(evidence, tasks.skill, axis=1)
    failed = ~(has >= tasks.threshold)
    return jnp.max(jnp.where(failed, jnp.asarray(FAILURE_OF_SKILL)[tasks.skill], 0), axis=1)
