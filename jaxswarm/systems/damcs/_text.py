"""Decisions by a function on the host: a language model of the user's own plays as the team.

Memory, navigation and messages stay; only what the planner decides is asked for, as the number of
one of the decisions listed in the prompt. Slow: one call per decision, outside of ``jit``.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks, coordination
from jaxswarm.coordination import Recording, Request
from jaxswarm.envs.crafter import ITEMS
from jaxswarm.systems.damcs._team import Team
from jaxswarm.systems.damcs.planner import Knowledge
from jaxswarm.systems.damcs.records import (
    TARGETS,
    Decision,
    Goal,
    decision_of,
    describe,
    num_decisions,
)
from jaxswarm.types import Key


class TextPlay(NamedTuple):
    """An episode played by a text policy.

    Attributes:
        steps: steps played.
        diamond: whether the team got a diamond.
        calls: calls made.
        retried: calls made again since the reply was no decision.
        invalid: decisions replaced by doing nothing since no valid reply came.
        decisions: how often each decision was made, in words.
    """

    steps: int
    diamond: bool
    calls: int
    retried: int
    invalid: int
    decisions: dict[str, int]


def prompt_of(knowledge: Knowledge, num_agents: int) -> str:
    """What one agent knows and may decide, as text.

    Args:
        knowledge: of one agent, arrays on the host.
        num_agents: ``N``.

    Raises:
        ValueError: if this is no knowledge.
    """
    checks.instance("knowledge", knowledge, Knowledge)
    know = jax.tree.map(np.asarray, knowledge)
    held = ", ".join(
        f"{name} {amount}" for name, amount in zip(ITEMS, know.inventory, strict=True) if amount
    )
    known = [name for name, flag in zip(TARGETS, know.known, strict=True) if flag]
    lines = [
        f"You are agent {int(know.agent)} of {num_agents} in Crafter, at step {int(know.time)}. "
        "The team's goal is one diamond.",
        f"You hold: {held}.",
        f"Ahead of you: {TARGETS[int(know.ahead)] if know.ahead < len(TARGETS) else 'an agent'}.",
        f"On your map: {', '.join(known)}.",
    ]
    inbox = know.inbox
    for sender in np.flatnonzero(inbox.time >= 0):
        if sender == know.agent:
            continue
        lacks = [
            f"{ITEMS[i]} {inbox.missing[sender, i]}" for i in np.flatnonzero(inbox.missing[sender])
        ]
        goal = inbox.goal[sender]
        doing = Goal(int(goal)).name.lower().replace("_", " ") if goal >= 0 else "unknown"
        lines.append(f"Agent {sender}: goal {doing}; lacks {', '.join(lacks) or 'nothing'}.")
    choices = (f"{a}: {describe(a, num_agents)}" for a in range(num_decisions(num_agents)))
    return "\n".join([*lines, "Answer with the number of one decision.", *choices])


def play_text(
    key: Key,
    team: Team,
    ask: Callable[[dict[str, Any]], dict[str, Any]] | None,
    *,
    steps: int | None = None,
    retries: int = 1,
    recording: Recording | None = None,
) -> TextPlay:
    """Play one episode with decisions from a function on the host.

    Args:
        key: a random key.
        team: memory, messages and navigation.
        ask: as in :func:`jaxswarm.coordination.host_worker`: gets a call with ``worker`` (the
            agent), ``entity`` (the agent), ``event`` (the time and the attempt) and also
            ``prompt``; returns ``{"answer": number}``. ``language.worker_calls(endpoint,
            lambda call: call["prompt"], read)`` makes one of a language model.
        steps: most steps, the environment's time limit unless given.
        retries: how often an invalid reply is asked for again, before the agent does nothing.
        recording: records the replies, or is replayed with ``ask=None``.

    Raises:
        ValueError: for what is no team or function, or sizes out of range.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> from jaxswarm.systems import damcs
        >>> env = envs.MultiAgentCrafter(num_agents=2, size=16, chunk=8)
        >>> outcome = damcs.play_text(
        ...     jax.random.key(0), damcs.team(env), lambda call: {"answer": 999}, steps=1)
        >>> outcome.calls, outcome.retried, outcome.invalid  # no such decision: both do nothing
        (4, 2, 2)
    """
    checks.instance("team", team, Team, "damcs.team(env)")
    env, n = team.env, team.env.num_agents
    steps = env.time_limit if steps is None else checks.whole("steps", steps, 1)
    retries = checks.whole("retries", retries)
    if ask is not None:
        checks.function("ask", ask)
    prompts: dict[int, str] = {}

    def with_prompt(call: dict[str, Any]) -> dict[str, Any]:
        assert ask is not None
        return ask(call | {"prompt": prompts[call["worker"]]})

    worker = coordination.host_worker(
        None if ask is None else with_prompt, num_answers=num_decisions(n), recording=recording
    )
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    perceive, commit = jax.jit(team.perceive), jax.jit(team.commit)
    state, timestep = reset(key)
    memory, ids = team.init(), np.arange(n, dtype=np.int32)
    counts: Counter[str] = Counter()
    calls = retried = invalid = 0
    diamond, time = False, 0
    for time in range(1, steps + 1):
        seen = env.seen(state.world)
        memory, knowledge, deciding = perceive(memory, timestep.observation, seen)
        host, open_ = jax.tree.map(np.asarray, knowledge), np.asarray(deciding)
        answers = np.zeros(n, np.int32)
        for agent in np.flatnonzero(open_):
            own = jax.tree.map(lambda x, agent=agent: x[agent], host._replace(inbox=None))
            prompts[int(agent)] = prompt_of(own._replace(inbox=host.inbox), n)
        for attempt in range(retries + 1):
            if not open_.any():
                break
            event = np.full(n, (time - 1) * (retries + 1) + attempt, np.int32)
            none = np.zeros(n, np.float32)
            # fmt: off
            reply = worker(Request(ids, ids, event, none[:, None], none, ids, open_))  # pyright: ignore
            # fmt: on
            calls += int(open_.sum())
            good = np.asarray(reply.status) == coordination.STATUSES.index("ok")
            answers = np.where(open_ & good, np.asarray(reply.answer), answers)
            open_ = open_ & ~good
            retried += int(open_.sum()) if attempt < retries else 0
        invalid += int(open_.sum())
        for agent in np.flatnonzero(np.asarray(deciding)):
            counts[describe(int(answers[agent]), n)] += 1
        decision: Decision = decision_of(jnp.asarray(answers), n)
        memory, action = commit(
            jax.random.fold_in(key, time), memory, timestep.observation, knowledge, decision,
            deciding,
        )  # fmt: skip
        state, timestep = step(state, action)
        diamond = bool(timestep.extras["diamond"])
        if bool(timestep.last()):
            break
    return TextPlay(time, diamond, calls, retried, invalid, dict(counts))
