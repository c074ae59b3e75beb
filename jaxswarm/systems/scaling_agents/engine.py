"""One engine for all architectures: subtasks in topological order, everything paid from one budget.

A subtask is dealt to a worker, who reads its context (which grows with all it did and heard), works
and answers. Somebody may check the answer: the worker itself (who is blind to part of its errors),
peers by majority, an orchestrator. A rejected answer is made anew. Results travel to those who need
them as messages of bounded length: what a subtask needs of its ancestors grows with their number,
and what does not fit is lost, unless the world shows it. A message may be misread.

Nothing here depends on the architecture's name. Calls are answered by an
:class:`~jaxswarm.coordination.AgentBackend`, with dice thrown by task and subtask.

Shapes: ``S`` subtask slots, ``A = members + 1`` agents at most, the last the orchestrator.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxswarm.coordination._workers import LoadLaw, Workers, success_chance, workers
from jaxswarm.coordination.backends import OK, Request, stochastic
from jaxswarm.coordination.draws import event_keys
from jaxswarm.coordination.tasks import TaskGraph
from jaxswarm.systems.scaling_agents.architectures import Architecture

JUDGES = 4  # peers whose votes are drawn one by one; more peers vote in proportion
ANSWERS = 8
STEADY = LoadLaw(per_call=0.0, slowdown=0.0, harm=0.0, jitter=0.0)
_TRIES = 2


class Costs(NamedTuple):
    """Tokens and the worker's weaknesses, the same for all architectures; may be traced.

    Attributes:
        budget: tokens per subtask, and what its tools write comes on top; the team shares the sum.
        read: cost of a token of context that is read again, relative to one that is written.
        tool_call: tokens of one.
        tool_text: tokens of a tool's description in every context.
        check: tokens of a check.
        message: tokens of a message, at most.
        state: tokens of state that each ancestor of a subtask leaves to be known.
        blind: share of its own errors that a worker cannot see.
        misread: chance of a worker without any ability to misread a message.
        alarm: chance of such a worker to reject what is right.
    """

    budget: Any = 1400.0
    read: Any = 0.25
    tool_call: Any = 150.0
    tool_text: Any = 30.0
    check: Any = 120.0
    message: Any = 100.0
    state: Any = 60.0
    blind: Any = 0.7
    misread: Any = 0.2
    alarm: Any = 0.1


class Trace(NamedTuple):
    """What happened; ``[S]`` unless said.

    Attributes:
        right: subtasks whose value is right at the end.
        done: that were worked on at all.
        slipped: whose answer was wrong by the worker's own error, at the end.
        lost: that lacked what another agent knew.
        caught: errors of their own that a check found and a second answer mended.
        tokens: ``[]``, spent.
        turns: ``[]``, calls: answers and checks.
        messages: ``[]``, between agents.
        knows: ``bool[A, S]``, whose context holds which value.
        score: ``[]``, share of the task's last subtasks that are right.
    """

    right: jax.Array
    done: jax.Array
    slipped: jax.Array
    lost: jax.Array
    caught: jax.Array
    tokens: jax.Array
    turns: jax.Array
    messages: jax.Array
    knows: jax.Array
    score: jax.Array


class _State(NamedTuple):
    used: jax.Array
    context: jax.Array  # [A]
    right: jax.Array  # [S]
    done: jax.Array
    has: jax.Array  # [A, S] was told or made it
    true: jax.Array  # [A, S] and holds it right
    turns: jax.Array
    messages: jax.Array


def team(
    size: int, num_skills: int = 1, *, window: float = 4096.0, tokens: float = 200.0
) -> Workers:
    """``size`` alike workers, whose ability :func:`play` is told, and an orchestrator like them.

    Raises:
        ValueError: sizes below 1, a window or tokens that are not positive.
    """
    for name, value in (("size", size), ("num_skills", num_skills)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    skill = np.full((size + 1, num_skills), 0.5)
    return workers(skill, window=window, tokens=tokens)


def play(
    key: jax.Array,
    graph: TaskGraph,
    arch: Architecture,
    pool: Workers,
    ability: Any,
    *,
    tools: Any = 0.0,
    observability: Any = 0.0,
    task: Any = 0,
    costs: Costs = Costs(),  # noqa: B008
) -> Trace:
    """Run one task; ``vmap`` it over anything.

    Args:
        key: of the dice; architectures that get the same key throw the same dice.
        graph: the task.
        arch: the team.
        pool: of at least ``arch.members + 1`` workers, see :func:`team`.
        ability: chance in ``[0, 1]`` of a right answer on a whole skill.
        tools: calls per subtask, and descriptions in every context.
        observability: chance in ``[0, 1]`` that what a message lost can be seen in the world.
        task: number of the task, which the dice depend on.
        costs: tokens and weaknesses.

    Raises:
        ValueError: a budget or number out of its range, or a pool too small; traced numbers pass.
    """
    size = pool.num_workers
    _check(arch, size, ability, tools, observability, costs)
    mask, parents = jnp.asarray(graph.mask), jnp.asarray(graph.parents)
    demand = jnp.asarray(graph.demand)
    slots = mask.shape[0]
    able = dataclasses.replace(pool, skill=jnp.broadcast_to(ability, jnp.shape(pool.skill)))
    backend = stochastic(able, num_answers=ANSWERS, law=STEADY)
    members = jnp.asarray(arch.members, jnp.int32)
    boss = size - 1
    agents = jnp.arange(size)
    budget = (costs.budget + tools * costs.tool_call) * jnp.sum(mask)
    ancestors = _ancestors(parents)
    truth_key, dice_key = jax.random.split(jax.random.fold_in(key, task))
    truths = jax.random.randint(truth_key, (slots,), 0, ANSWERS)
    dice = jax.vmap(lambda k: jax.random.uniform(k, (3 * (JUDGES + 2) + size * 2 + slots,)))(
        event_keys(dice_key, jnp.arange(slots), jnp.int32(0))
    )
    text = costs.tool_text * tools

    def ask(i: jax.Array, attempt: int, who: jax.Array, context: jax.Array, active: Any) -> Any:
        one = Request(
            who[None], jnp.asarray(task, jnp.int32)[None], (i * _TRIES + attempt)[None],
            demand[i][None], context[None], truths[i][None], jnp.asarray(active)[None],
        )  # fmt: skip
        _, reply = backend.answer(key, backend.init(), one)
        fine = (reply.answer[0] == truths[i]) & (reply.status[0] == OK)
        return fine, reply.tokens_out[0]

    def subtask(s: _State, i: jax.Array) -> tuple[_State, tuple[jax.Array, ...]]:
        who = i % members
        luck = dice[i]
        chance = success_chance(able, who[None], demand[i][None], jnp.zeros(1))[0]
        pace = budget * (i + 1) / jnp.maximum(jnp.sum(mask), 1)

        def context_of(s: _State, agent: Any) -> jax.Array:
            return text + s.context[agent]

        def pay(s: _State, wanted: Any, cost: Any, limit: Any) -> tuple[_State, jax.Array]:
            can = wanted & (s.used + cost <= limit)
            return s._replace(used=s.used + jnp.where(can, cost, 0.0)), can

        # 1. work
        wrote = jnp.asarray(pool.tokens)[0] + tools * costs.tool_call
        s, works = pay(s, mask[i], wrote + costs.read * context_of(s, who), budget)
        fine, _ = ask(i, 0, who, context_of(s, who), works)
        s = s._replace(context=s.context.at[who].add(jnp.where(works, wrote, 0.0)))
        turns = works.astype(jnp.float32)
        # what it knows of the subtask's parents
        shown = luck[-slots:] < observability
        own = jnp.arange(slots) % members == who
        heard = jnp.where(own, s.right, s.true[who] | (shown & s.right))
        known = own | s.has[who]
        lost = works & jnp.any(parents[i] & ~known & ~shown)
        informed = jnp.all(heard | ~parents[i])

        # 2. checks; paid if the task is on its pace
        def check(s: _State, checker: Any, wanted: Any, times: Any = 1.0) -> Any:
            cost = times * (costs.check + costs.read * context_of(s, checker))
            s, can = pay(s, works & wanted, cost, pace)
            grown = jnp.where(can & (checker != who), costs.message, 0.0)
            return s._replace(context=s.context.at[checker].add(grown)), can

        def objects(can: jax.Array, sees: Any, at: int) -> jax.Array:
            wrong = luck[3 * at] < chance * sees
            alarm = luck[3 * at + 1] < costs.alarm * (1.0 - chance)
            return can & jnp.where(fine, alarm, wrong)

        s, looked = check(s, who, jnp.asarray(arch.self_check))
        rejected = objects(looked, 1.0 - costs.blind, 0)
        turns += looked
        votes, judges = jnp.float32(0.0), jnp.float32(0.0)
        per_judge = jnp.maximum(jnp.ceil(jnp.asarray(arch.peer_checks) / JUDGES), 1.0)
        for j in range(JUDGES):
            peer = (who + 1 + j) % members
            s, judged = check(s, peer, j * per_judge < arch.peer_checks, per_judge)
            votes += objects(judged, 1.0, 1 + j)
            judges += judged
            turns += judged * per_judge
        rejected |= 2.0 * votes > jnp.maximum(judges, 1.0)
        s, seen = check(s, boss, jnp.asarray(arch.boss))
        rejected |= objects(seen, 1.0, 1 + JUDGES)
        turns += seen

        # 3. once more
        again = wrote + costs.read * context_of(s, who)
        s, redoes = pay(s, rejected & works, again, jnp.minimum(pace + wrote, budget))
        better, _ = ask(i, 1, who, context_of(s, who), redoes)
        caught = redoes & ~fine & better
        fine = jnp.where(redoes, better, fine)
        s = s._replace(context=s.context.at[who].add(jnp.where(redoes, wrote, 0.0)))
        turns += redoes

        # 4. tell those who need it
        needs = jnp.zeros(size, bool).at[jnp.arange(slots) % members].max(parents[:, i])
        workers_ = agents < members
        to = jnp.where(jnp.asarray(arch.broadcast), workers_, needs) & (agents != who)
        through = to & jnp.asarray(arch.boss)
        straight = to & (jnp.asarray(arch.broadcast) | jnp.asarray(arch.direct))
        count = jnp.sum(through) + jnp.sum(straight) + jnp.asarray(arch.boss)
        relay = jnp.where(jnp.asarray(arch.boss), costs.read * context_of(s, boss), 0.0)
        s, told = pay(s, works & (count > 0), costs.message * count + relay, budget)
        count = jnp.where(told, count, 0).astype(jnp.float32)
        turns += told & jnp.asarray(arch.boss)
        room = costs.message / jnp.maximum(costs.state * ancestors[i], 1.0)
        dropped = 1.0 - jnp.minimum(room, 1.0)
        base = 3 * (JUDGES + 2)
        misread = costs.misread * (1.0 - chance)
        kept_a = (luck[base : base + size] >= misread + (1.0 - misread) * dropped) & through
        kept_b = luck[base + size : base + 2 * size] >= misread + (1.0 - misread) * dropped
        arrives = told & (through | straight)
        right = fine & works & informed & ~lost
        whole = (kept_a | (kept_b & straight)) & arrives & right
        s = s._replace(
            context=s.context
            + jnp.where(told & (to | (arch.boss & (agents == boss))), 1.0, 0.0) * costs.message,
            right=s.right.at[i].set(right),
            done=s.done.at[i].set(works),
            has=s.has.at[:, i].set(arrives | ((agents == who) & works)),
            true=s.true.at[:, i].set(whole | ((agents == who) & right)),
            turns=s.turns + turns,
            messages=s.messages + count,
        )
        return s, (works & ~fine, lost, caught)

    begun = _State(
        jnp.float32(0.0), jnp.zeros(size), jnp.zeros(slots, bool), jnp.zeros(slots, bool),
        jnp.zeros((size, slots), bool), jnp.zeros((size, slots), bool), jnp.float32(0.0),
        jnp.float32(0.0),
    )  # fmt: skip
    s, (slipped, lost, caught) = jax.lax.scan(subtask, begun, jnp.arange(slots))
    last = mask & ~jnp.any(parents, axis=0)
    score = jnp.sum(s.right & last) / jnp.maximum(jnp.sum(last), 1)
    return Trace(s.right, s.done, slipped, lost, caught, s.used, s.turns, s.messages, s.has, score)


def _ancestors(parents: jax.Array) -> jax.Array:
    """``float32[S]``: subtasks on whose values one depends, itself among them."""
    size = parents.shape[0]

    def grow(i: Any, reach: jax.Array) -> jax.Array:
        mine = jnp.any(reach & parents[i][:, None], axis=0) | parents[i]
        return reach.at[i].set(mine)

    reach = jax.lax.fori_loop(0, size, grow, jnp.zeros((size, size), bool))
    return 1.0 + jnp.sum(reach, axis=1)


def _check(
    arch: Architecture, size: int, ability: Any, tools: Any, observability: Any, costs: Costs
) -> None:
    ranges = {
        "members": (arch.members, 1, size - 1),
        "ability": (ability, 0.0, 1.0),
        "tools": (tools, 0.0, np.inf),
        "observability": (observability, 0.0, 1.0),
        "budget": (costs.budget, np.finfo(np.float32).tiny, np.inf),
        "read": (costs.read, 0.0, np.inf),
        "blind": (costs.blind, 0.0, 1.0),
        "misread": (costs.misread, 0.0, 1.0),
        "alarm": (costs.alarm, 0.0, 1.0),
    }
    for name, (value, low, high) in ranges.items():
        if isinstance(value, Tracer):
            continue
        if not np.all((np.asarray(value) >= low) & (np.asarray(value) <= high)):
            raise ValueError(f"{name}: expected within [{low:g}, {high:g}], got {value}")
