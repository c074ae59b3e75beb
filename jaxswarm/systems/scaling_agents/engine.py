"""Engine of all architectures: subtasks in topological order, all costs paid from one budget.

A subtask is assigned to a worker, which reads its context (this grows with what the worker wrote
and received), works and answers. The answer may be checked: by the worker itself (which cannot
detect a share of its own errors), by peers, which vote by majority, and by an orchestrator. A
rejected answer is made again. Results are sent to the workers that need them as messages of bounded
length: the state that a subtask needs grows with the number of its ancestors, and what does not fit
is lost, unless it can be observed in the world. A message may be misread.

No step depends on the architecture's name. Calls are answered by an
:class:`~jaxswarm.coordination.AgentBackend`, with random numbers by task and subtask, or by a model
of your own.

Shapes: ``S`` subtask slots, ``A = members + 1`` agents at most, the last the orchestrator.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination import (
    AgentBackend,
    LoadModel,
    Request,
    TaskGraph,
    Workers,
    event_keys,
    stochastic_backend,
    success_probability,
)
from jaxswarm.coordination.backends import OK
from jaxswarm.systems.scaling_agents.architectures import Architecture
from jaxswarm.systems.scaling_agents.trace import Costs, Trace, check_numbers, num_ancestors
from jaxswarm.types import ArrayLike, Key

CHECKERS = 4  # peers whose votes are drawn one by one; more peers vote in proportion
ANSWERS = 8
NO_LOAD = LoadModel(per_call=0.0, slowdown=0.0, harm=0.0, jitter=0.0)
_ATTEMPTS = 2


class _Model(NamedTuple):
    """Constants of a run."""

    key: Key
    task: float | jax.Array
    arch: Architecture
    costs: Costs
    pool: Workers  # with the given ability
    backend: AgentBackend
    mask: jax.Array  # [S]
    parents: jax.Array  # [S, S]
    demand: jax.Array  # [S, K]
    truths: jax.Array  # [S]
    ancestors: jax.Array  # [S]
    uniform: jax.Array  # [S, ...] random numbers of each subtask
    budget: jax.Array
    tool_text: float | jax.Array  # tokens of the tools' descriptions in every context
    written: jax.Array  # tokens written by an answer
    observability: float | jax.Array

    @property
    def slots(self) -> int:
        return self.mask.shape[0]

    @property
    def size(self) -> int:
        return self.pool.num_workers

    @property
    def members(self) -> jax.Array:
        return jnp.asarray(self.arch.members, jnp.int32)

    @property
    def orchestrator(self) -> int:
        return self.size - 1

    def owners(self) -> jax.Array:
        """The worker of each subtask ``[S]``."""
        return jnp.arange(self.slots) % self.members


class _State(NamedTuple):
    used: jax.Array  # tokens
    context: jax.Array  # [A] tokens
    right: jax.Array  # [S]
    done: jax.Array  # [S]
    holds: jax.Array  # [A, S] received or made the value
    holds_right: jax.Array  # [A, S] and has it right
    turns: jax.Array
    messages: jax.Array


class _Subtask(NamedTuple):
    """Quantities of the subtask at work."""

    index: jax.Array
    worker: jax.Array
    uniform: jax.Array
    probability: jax.Array  # of a right answer
    pace: jax.Array  # budget up to and including this subtask


def run_task(
    key: Key,
    graph: TaskGraph,
    arch: Architecture,
    pool: Workers,
    ability: float | jax.Array,
    *,
    tools: float | jax.Array = 0.0,
    observability: float | jax.Array = 0.0,
    task: float | jax.Array = 0,
    costs: Costs = Costs(),  # noqa: B008
    backend: AgentBackend | None = None,
    truths: ArrayLike | None = None,
) -> Trace:
    """Run one task with one architecture; ``vmap`` it over any argument.

    Args:
        key: architectures that get the same key use the same random numbers.
        graph: the task.
        arch: the team.
        pool: of at least ``arch.members + 1`` workers, see :func:`team`.
        ability: probability in ``[0, 1]`` of a right answer on a whole skill.
        tools: calls per subtask, and descriptions in every context, at least 0.
        observability: probability in ``[0, 1]`` that what a message lost can be observed.
        task: ``int32[]``, id of the task, which the random numbers depend on.
        costs: tokens and error rates.
        backend: answers the subtasks in place of the pool's workers, such as
            ``coordination.host_backend`` of a language model. Its calls have ``entity = task`` and
            ``event = 2 · subtask + attempt``. Checks and messages remain those of ``ability``.
        truths: ``int32[S]``, right answers of the subtasks, with a backend.

    Raises:
        ValueError: a budget or number out of its range, a pool too small, or a backend without
            truths; traced numbers are not checked.

    Example:
        >>> import jax
        >>> from jaxswarm import coordination
        >>> from jaxswarm.systems import scaling_agents
        >>> chain = coordination.layered_task(depth=3, width=1, num_skills=1)
        >>> single = scaling_agents.architecture("single", 1)
        >>> run = jax.jit(lambda key: scaling_agents.run_task(
        ...     key, chain, single, scaling_agents.team(1), ability=1.0))
        >>> trace = run(jax.random.key(0))
        >>> float(trace.score), int(trace.turns)  # three answers and three checks
        (1.0, 6)
    """
    checks.key(key)
    checks.instance("graph", graph, TaskGraph, "coordination.layered_task(3, 2, 1)")
    checks.instance("pool", pool, Workers, "scaling_agents.team(2)")
    checks.wholes("task", task, shape=())
    if np.shape(graph.demand)[-1] != np.shape(pool.skill)[-1]:
        raise ValueError(
            f"pool: expected {np.shape(graph.demand)[-1]} skills like the graph's demand, got "
            f"{np.shape(pool.skill)[-1]}"
        )
    check_numbers(arch, pool.num_workers, ability, tools, observability, costs)
    model = _model(key, graph, arch, pool, ability, tools, observability, task, costs)
    if backend is not None or truths is not None:
        model = _answered_by(model, backend, truths)
    slots, size = model.slots, model.size
    state = _State(
        used=jnp.float32(0.0),
        context=jnp.zeros(size),
        right=jnp.zeros(slots, bool),
        done=jnp.zeros(slots, bool),
        holds=jnp.zeros((size, slots), bool),
        holds_right=jnp.zeros((size, slots), bool),
        turns=jnp.float32(0.0),
        messages=jnp.float32(0.0),
    )
    s, (own_error, lost, corrected) = jax.lax.scan(
        lambda s, i: _run_subtask(model, s, i), state, jnp.arange(slots)
    )
    last = model.mask & ~jnp.any(model.parents, axis=0)
    score = jnp.sum(s.right & last) / jnp.maximum(jnp.sum(last), 1)
    return Trace(
        right=s.right,
        done=s.done,
        own_error=own_error,
        lost=lost,
        corrected=corrected,
        tokens=s.used,
        turns=s.turns,
        messages=s.messages,
        holds=s.holds,
        score=score,
    )


def _answered_by(model: _Model, backend: AgentBackend | None, truths: ArrayLike | None) -> _Model:
    """The model with a backend of the user's own and the right answers of its subtasks."""
    checks.instance("backend", backend, AgentBackend, "coordination.host_backend(ask, 2, …)")
    right = checks.wholes("truths", truths, shape=(model.slots,))
    return model._replace(backend=backend, truths=jnp.asarray(right))


def _model(
    key: Key,
    graph: TaskGraph,
    arch: Architecture,
    pool: Workers,
    ability: float | jax.Array,
    tools: float | jax.Array,
    observability: float | jax.Array,
    task: float | jax.Array,
    costs: Costs,
) -> _Model:
    mask, parents = jnp.asarray(graph.mask), jnp.asarray(graph.parents)
    slots, size = mask.shape[0], pool.num_workers
    able = dataclasses.replace(pool, skill=jnp.broadcast_to(ability, jnp.shape(pool.skill)))
    truth_key, event_key = jax.random.split(jax.random.fold_in(key, task))
    count = 3 * (CHECKERS + 2) + size * 2 + slots
    keys = event_keys(event_key, jnp.arange(slots), jnp.int32(0))
    return _Model(
        key=key,
        task=task,
        arch=arch,
        costs=costs,
        pool=able,
        backend=stochastic_backend(able, num_answers=ANSWERS, load_model=NO_LOAD),
        mask=mask,
        parents=parents,
        demand=jnp.asarray(graph.demand),
        truths=jax.random.randint(truth_key, (slots,), 0, ANSWERS),
        ancestors=num_ancestors(parents),
        uniform=jax.vmap(lambda k: jax.random.uniform(k, (count,)))(keys),
        budget=(costs.budget + tools * costs.tool_call) * jnp.sum(mask),
        tool_text=costs.tool_text * tools,
        written=jnp.asarray(pool.tokens)[0] + tools * costs.tool_call,
        observability=observability,
    )


def _run_subtask(
    m: _Model, s: _State, i: jax.Array
) -> tuple[_State, tuple[jax.Array, jax.Array, jax.Array]]:
    worker = i % m.members
    no_load = jnp.zeros(1)
    probability = success_probability(m.pool, worker[None], m.demand[i][None], no_load)[0]
    pace = m.budget * (i + 1) / jnp.maximum(jnp.sum(m.mask), 1)
    sub = _Subtask(i, worker, m.uniform[i], probability, pace)

    cost = m.written + m.costs.read * _context(m, s, worker)
    s, works = _pay(s, m.mask[i], cost, m.budget)
    fine = _answer(m, sub, 0, _context(m, s, worker), works)
    s = s._replace(context=s.context.at[worker].add(jnp.where(works, m.written, 0.0)))
    lost, informed = _inputs(m, s, sub, works)
    s, rejected, turns = _check_answer(m, s, sub, works, fine)
    turns = turns + works
    s, redoes, better = _answer_again(m, s, sub, rejected & works)
    corrected = redoes & ~fine & better
    fine = jnp.where(redoes, better, fine)
    right = fine & works & informed & ~lost
    s, relayed = _send_result(m, s, sub, works, right)
    turns = turns + redoes + relayed
    s = s._replace(
        right=s.right.at[i].set(right), done=s.done.at[i].set(works), turns=s.turns + turns
    )
    return s, (works & ~fine, lost, corrected)


def _context(m: _Model, s: _State, agent: int | jax.Array) -> jax.Array:
    """Tokens of context that an agent reads for a call."""
    return m.tool_text + s.context[agent]


def _pay(
    s: _State, wanted: jax.Array, cost: float | jax.Array, limit: float | jax.Array
) -> tuple[_State, jax.Array]:
    """Pay ``cost`` tokens if wanted and within ``limit``: the state, and whether it was paid."""
    can = wanted & (s.used + cost <= limit)
    return s._replace(used=s.used + jnp.where(can, cost, 0.0)), can


def _answer(
    m: _Model, sub: _Subtask, attempt: int, context: jax.Array, active: jax.Array
) -> jax.Array:
    """Whether the worker's answer is right, ``bool[]``."""
    i = sub.index
    request = Request(
        worker=sub.worker[None],
        entity=jnp.asarray(m.task, jnp.int32)[None],
        event=(i * _ATTEMPTS + attempt)[None],
        demand=m.demand[i][None],
        context=context[None],
        truth=m.truths[i][None],
        active=jnp.asarray(active)[None],
    )
    _, reply = m.backend.answer(m.key, m.backend.init(), request)
    return (reply.answer[0] == m.truths[i]) & (reply.status[0] == OK)


def _inputs(m: _Model, s: _State, sub: _Subtask, works: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether the worker lacks a parent's value, and whether it has all of them right."""
    worker, parents = sub.worker, m.parents[sub.index]
    observed = sub.uniform[-m.slots :] < m.observability
    own = m.owners() == worker
    has_right = jnp.where(own, s.right, s.holds_right[worker] | (observed & s.right))
    has = own | s.holds[worker]
    lost = works & jnp.any(parents & ~has & ~observed)
    return lost, jnp.all(has_right | ~parents)


def _check_answer(
    m: _Model, s: _State, sub: _Subtask, works: jax.Array, fine: jax.Array
) -> tuple[_State, jax.Array, jax.Array]:
    """Checks by the worker, peers and orchestrator: the state, whether rejected, and turns.

    Checks are paid only within the pace of the task.
    """
    worker, costs, arch = sub.worker, m.costs, m.arch

    def check(
        s: _State, checker: int | jax.Array, wanted: jax.Array, times: float | jax.Array = 1.0
    ) -> tuple[_State, jax.Array]:
        cost = times * (costs.check + costs.read * _context(m, s, checker))
        s, can = _pay(s, works & wanted, cost, sub.pace)
        grown = jnp.where(can & (checker != worker), costs.message, 0.0)
        return s._replace(context=s.context.at[checker].add(grown)), can

    def rejects(can: jax.Array, detects: float | jax.Array, position: int) -> jax.Array:
        detected = sub.uniform[3 * position] < sub.probability * detects
        false = costs.false_alarm * (1.0 - sub.probability)
        alarm = sub.uniform[3 * position + 1] < false
        return can & jnp.where(fine, alarm, detected)

    s, self_checked = check(s, worker, jnp.asarray(arch.self_check))
    rejected = rejects(self_checked, 1.0 - costs.blind, 0)
    turns = self_checked.astype(jnp.float32)
    votes, voters = jnp.float32(0.0), jnp.float32(0.0)
    peers_per_vote = jnp.maximum(jnp.ceil(jnp.asarray(arch.peer_checks) / CHECKERS), 1.0)
    for j in range(CHECKERS):
        peer = (worker + 1 + j) % m.members
        s, voted = check(s, peer, j * peers_per_vote < arch.peer_checks, peers_per_vote)
        votes += rejects(voted, 1.0, 1 + j)
        voters += voted
        turns += voted * peers_per_vote
    rejected |= 2.0 * votes > jnp.maximum(voters, 1.0)
    s, supervised = check(s, m.orchestrator, jnp.asarray(arch.orchestrator))
    rejected |= rejects(supervised, 1.0, 1 + CHECKERS)
    return s, rejected, turns + supervised


def _answer_again(
    m: _Model, s: _State, sub: _Subtask, wanted: jax.Array
) -> tuple[_State, jax.Array, jax.Array]:
    """A second answer: the state, whether it was made, and whether it is right."""
    worker = sub.worker
    cost = m.written + m.costs.read * _context(m, s, worker)
    s, redoes = _pay(s, wanted, cost, jnp.minimum(sub.pace + m.written, m.budget))
    better = _answer(m, sub, 1, _context(m, s, worker), redoes)
    context = s.context.at[worker].add(jnp.where(redoes, m.written, 0.0))
    return s._replace(context=context), redoes, better


def _send_result(
    m: _Model, s: _State, sub: _Subtask, works: jax.Array, right: jax.Array
) -> tuple[_State, jax.Array]:
    """Send the result to the workers that need it: the state, and whether it was relayed."""
    i, worker, costs, arch = sub.index, sub.worker, m.costs, m.arch
    agents = jnp.arange(m.size)
    needs = jnp.zeros(m.size, bool).at[m.owners()].max(m.parents[:, i])
    to = jnp.where(jnp.asarray(arch.broadcast), agents < m.members, needs) & (agents != worker)
    relayed_to = to & jnp.asarray(arch.orchestrator)
    direct_to = to & (jnp.asarray(arch.broadcast) | jnp.asarray(arch.direct))
    count = jnp.sum(relayed_to) + jnp.sum(direct_to) + jnp.asarray(arch.orchestrator)
    reading = costs.read * _context(m, s, m.orchestrator)
    relay = jnp.where(jnp.asarray(arch.orchestrator), reading, 0.0)
    s, sent = _pay(s, works & (count > 0), costs.message * count + relay, m.budget)
    count = jnp.where(sent, count, 0).astype(jnp.float32)

    fits = costs.message / jnp.maximum(costs.state * m.ancestors[i], 1.0)
    dropped = 1.0 - jnp.minimum(fits, 1.0)
    misread = costs.misread * (1.0 - sub.probability)
    failure = misread + (1.0 - misread) * dropped
    first = 3 * (CHECKERS + 2)
    intact_relayed = (sub.uniform[first : first + m.size] >= failure) & relayed_to
    intact_direct = sub.uniform[first + m.size : first + 2 * m.size] >= failure
    arrives = sent & (relayed_to | direct_to)
    intact = (intact_relayed | (intact_direct & direct_to)) & arrives & right
    is_worker = agents == worker
    receives = to | (arch.orchestrator & (agents == m.orchestrator))
    s = s._replace(
        context=s.context + jnp.where(sent & receives, 1.0, 0.0) * costs.message,
        holds=s.holds.at[:, i].set(arrives | (is_worker & works)),
        holds_right=s.holds_right.at[:, i].set(intact | (is_worker & right)),
        messages=s.messages + count,
    )
    return s, sent & jnp.asarray(arch.orchestrator)
