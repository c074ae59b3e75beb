"""Token costs, workers and traces of the scaling engine.

Shapes: ``S`` subtask slots, ``A = members + 1`` agents at most, the last the orchestrator.
"""

from typing import NamedTuple

import jax
import numpy as np

from jaxswarm.checks import is_traced
from jaxswarm.coordination import Workers, workers
from jaxswarm.systems.scaling_agents.architectures import Architecture


class Costs(NamedTuple):
    """Token costs and error rates, the same for all architectures; may be traced.

    Attributes:
        budget: tokens per subtask; what its tools write is added. The team shares the sum.
        read: cost of a token of context that is read again, relative to one that is written.
        tool_call: tokens of one tool call.
        tool_text: tokens of a tool's description in every context.
        check: tokens of a check.
        message: tokens of a message, at most.
        state: tokens of state that each ancestor of a subtask adds to what must be sent.
        blind: share of its own errors that a worker cannot detect, in ``[0, 1]``.
        misread: probability that a worker without any ability misreads a message.
        false_alarm: probability that such a worker rejects a right answer.
    """

    budget: float | jax.Array = 1400.0
    read: float | jax.Array = 0.25
    tool_call: float | jax.Array = 150.0
    tool_text: float | jax.Array = 30.0
    check: float | jax.Array = 120.0
    message: float | jax.Array = 100.0
    state: float | jax.Array = 60.0
    blind: float | jax.Array = 0.7
    misread: float | jax.Array = 0.2
    false_alarm: float | jax.Array = 0.1


class Trace(NamedTuple):
    """Record of one task; ``[S]`` unless stated.

    Attributes:
        right: subtasks whose value is right at the end.
        done: subtasks that were worked on.
        own_error: subtasks whose final answer is wrong by the worker's own error.
        lost: subtasks whose worker lacked a value that another agent had.
        corrected: own errors that a check found and a second answer corrected.
        tokens: ``float32[]``, spent.
        turns: ``float32[]``, calls: answers and checks.
        messages: ``float32[]``, between agents.
        holds: ``bool[A, S]``, whose context contains which value.
        score: ``float32[]``, share of the task's last subtasks that are right.
    """

    right: jax.Array
    done: jax.Array
    own_error: jax.Array
    lost: jax.Array
    corrected: jax.Array
    tokens: jax.Array
    turns: jax.Array
    messages: jax.Array
    holds: jax.Array
    score: jax.Array


def team(
    size: int, num_skills: int = 1, *, window: float = 4096.0, tokens: float = 200.0
) -> Workers:
    """Make ``size`` equal workers and an orchestrator like them.

    Args:
        size: workers, at least 1; their ability is an argument of :func:`run_task`.
        num_skills: at least 1.
        window: tokens of context that are read, positive.
        tokens: mean number written per call, positive.

    Raises:
        ValueError: sizes below 1, a window or tokens that are not positive.
    """
    for name, value in (("size", size), ("num_skills", num_skills)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    skill = np.full((size + 1, num_skills), 0.5)
    return workers(skill, window=window, tokens=tokens)


def check_numbers(
    arch: Architecture,
    size: int,
    ability: float | jax.Array,
    tools: float | jax.Array,
    observability: float | jax.Array,
    costs: Costs,
) -> None:
    """Refuse numbers out of their range; traced ones are not checked.

    Args:
        arch: the team.
        size: workers of the pool, the orchestrator included.
        ability: probability of a right answer.
        tools: calls per subtask.
        observability: probability that lost state can be observed.
        costs: tokens and error rates.

    Raises:
        ValueError: naming the number.
    """
    ranges = {
        "members": (arch.members, 1, size - 1),
        "ability": (ability, 0.0, 1.0),
        "tools": (tools, 0.0, np.inf),
        "observability": (observability, 0.0, 1.0),
        "budget": (costs.budget, np.finfo(np.float32).tiny, np.inf),
        "read": (costs.read, 0.0, np.inf),
        "blind": (costs.blind, 0.0, 1.0),
        "misread": (costs.misread, 0.0, 1.0),
        "false_alarm": (costs.false_alarm, 0.0, 1.0),
    }
    for name, (value, low, high) in ranges.items():
        if is_traced(value):
            continue
        if not np.all((np.asarray(value) >= low) & (np.asarray(value) <= high)):
            raise ValueError(f"{name}: expected within [{low:g}, {high:g}], got {value}")
