"""Engine of all architectures: subtasks in topological order, all costs paid from one budget.

A subtask is assigned to a worker, which reads its context (this grows with what the worker wrote
and received), works and answers. The answer may be checked: by the worker itself (which cannot
detect a share of its own errors), by peers, which vote by majority, and by an orchestrator. A
rejected answer is made again, and checked again for as many rounds as the team has. Results are
sent to the workers that need them as messages of bounded length: the state that a subtask needs
grows with the number of its ancestors, and what does not fit is lost, unless it can be observed in
the world. A message may be misread.

No step depends on the architecture's name. Calls are answered by an
:class:`~jaxswarm.coordination.AgentBackend`, with random numbers by task and subtask, or by a model
of your own.

Shapes: ``S`` subtask slots, ``A = members + 1`` agents at most, the last the orchestrator.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination import (
    AgentBackend,
    Request,
    TaskGraph,
    Workers,
    success_probability,
)
from jaxswarm.coordination.backends import OK
from jaxswarm.systems.scaling_agents.architectures import MOST_ROUNDS, Architecture
from jaxswarm.systems.scaling_agents.model import (
    ATTEMPTS,
    CHECKERS,
    DRAWS,
    Model,
    answered_by,
    make_model,
)
from jaxswarm.systems.scaling_agents.trace import Costs, Trace, check_numbers
from jaxswarm.types import ArrayLike, Key


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
            ``event = 4 · subtask + answer``, with up to four answers. Checks and messages remain
            those of ``ability``.
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
    model = make_model(key, graph, arch, pool, ability, tools, observability, task, costs)
    if backend is not None or truths is not None:
        model = answered_by(model, backend, truths)
    return play(model)


def play(model: Model) -> Trace:
    """Run the task of a model, subtask by subtask."""
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


def _run_subtask(
    m: Model, s: _State, i: jax.Array
) -> tuple[_State, tuple[jax.Array, jax.Array, jax.Array]]:
    worker = m.owners()[i]
    no_load = jnp.zeros(1)
    probability = success_probability(m.pool, worker[None], m.demand[i][None], no_load)[0]
    pace = m.budget * (i + 1) / jnp.maximum(jnp.sum(m.mask), 1)
    sub = _Subtask(i, worker, m.uniform[i], probability, pace)

    cost = m.written + m.costs.read * _context(m, s, worker)
    s, works = _pay(s, m.mask[i], cost, m.budget)
    fine = _answer(m, sub, 0, _context(m, s, worker), works)
    s = s._replace(context=s.context.at[worker].add(jnp.where(works, m.written, 0.0)))
    lost, informed = _inputs(m, s, sub, works)
    first = fine
    s, fine, turns = _review(m, s, sub, works, fine)
    corrected = works & ~first & fine
    right = fine & works & informed & ~lost
    s, relayed = _send_result(m, s, sub, works, right)
    turns = turns + works + relayed
    s = s._replace(
        right=s.right.at[i].set(right), done=s.done.at[i].set(works), turns=s.turns + turns
    )
    return s, (works & ~fine, lost, corrected)


def _context(m: Model, s: _State, agent: int | jax.Array) -> jax.Array:
    """Tokens of context that an agent reads for a call."""
    return m.tool_text + s.context[agent]


def _pay(
    s: _State, wanted: jax.Array, cost: float | jax.Array, limit: float | jax.Array
) -> tuple[_State, jax.Array]:
    """Pay ``cost`` tokens if wanted and within ``limit``: the state, and whether it was paid."""
    can = wanted & (s.used + cost <= limit)
    return s._replace(used=s.used + jnp.where(can, cost, 0.0)), can


def _answer(
    m: Model, sub: _Subtask, attempt: int | jax.Array, context: jax.Array, active: jax.Array
) -> jax.Array:
    """Whether the worker's answer is right, ``bool[]``."""
    i = sub.index
    request = Request(
        worker=sub.worker[None],
        entity=jnp.asarray(m.task, jnp.int32)[None],
        event=((m.whole * m.slots + i) * ATTEMPTS + attempt)[None],
        demand=m.demand[i][None],
        context=context[None],
        truth=m.truths[i][None],
        active=jnp.asarray(active)[None],
    )
    _, reply = m.backend.answer(m.key, m.backend.init(), request)
    return (reply.answer[0] == m.truths[i]) & (reply.status[0] == OK)


def _inputs(m: Model, s: _State, sub: _Subtask, works: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Whether the worker lacks a parent's value, and whether it has all of them right."""
    worker, parents = sub.worker, m.parents[sub.index]
    observed = sub.uniform[-m.slots :] < m.observability
    own = m.owners() == worker
    has_right = jnp.where(own, s.right, s.holds_right[worker] | (observed & s.right))
    has = own | s.holds[worker]
    lost = works & jnp.any(parents & ~has & ~observed)
    return lost, jnp.all(has_right | ~parents)


def _review(
    m: Model, s: _State, sub: _Subtask, works: jax.Array, fine: jax.Array
) -> tuple[_State, jax.Array, jax.Array]:
    """Rounds of checks and second answers: the state, whether the last is right, and turns."""

    def review(
        carry: tuple[_State, jax.Array, jax.Array, jax.Array], number: jax.Array
    ) -> tuple[tuple[_State, jax.Array, jax.Array, jax.Array], None]:
        s, fine, unsettled, turns = carry
        unsettled &= number < jnp.asarray(m.arch.rounds)
        dice = jax.lax.dynamic_slice(sub.uniform, (number * DRAWS,), (DRAWS,))
        s, rejected, checked = _check_answer(m, s, sub, dice, unsettled, fine)
        s, redoes, better = _answer_again(m, s, sub, number + 1, rejected & unsettled)
        return (s, jnp.where(redoes, better, fine), redoes, turns + checked + redoes), None

    carry = (s, fine, works, jnp.float32(0.0))
    (s, fine, _, turns), _ = jax.lax.scan(review, carry, jnp.arange(MOST_ROUNDS))
    return s, fine, turns


def _check_answer(
    m: Model, s: _State, sub: _Subtask, dice: jax.Array, works: jax.Array, fine: jax.Array
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
        detected = dice[3 * position] < sub.probability * detects
        false = costs.false_alarm * (1.0 - sub.probability)
        alarm = dice[3 * position + 1] < false
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
    m: Model, s: _State, sub: _Subtask, attempt: jax.Array, wanted: jax.Array
) -> tuple[_State, jax.Array, jax.Array]:
    """Another answer: the state, whether it was made, and whether it is right."""
    worker = sub.worker
    cost = m.written + m.costs.read * _context(m, s, worker)
    s, redoes = _pay(s, wanted, cost, jnp.minimum(sub.pace + m.written, m.budget))
    better = _answer(m, sub, attempt, _context(m, s, worker), redoes)
    context = s.context.at[worker].add(jnp.where(redoes, m.written, 0.0))
    return s._replace(context=context), redoes, better


def _send_result(
    m: Model, s: _State, sub: _Subtask, works: jax.Array, right: jax.Array
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
    first = MOST_ROUNDS * DRAWS
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
