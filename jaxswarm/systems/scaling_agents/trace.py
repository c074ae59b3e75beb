"""Token costs, workers and traces of the scaling engine.

Shapes: ``S`` subtask slots, ``A = members + 1`` agents at most, the last the orchestrator.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination import Workers, workers
from jaxswarm.systems.scaling_agents.architectures import MOST_ROUNDS, Architecture


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
    size = checks.whole("size", size, 1)
    num_skills = checks.whole("num_skills", num_skills, 1)
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
    checks.instance("arch", arch, Architecture, "scaling_agents.architecture('single', 1)")
    checks.instance("costs", costs, Costs, "Costs()")
    checks.wholes("members", arch.members, 1, size - 1, shape=())
    checks.wholes("peer_checks", arch.peer_checks, 0, size - 1, shape=())
    checks.wholes("rounds", arch.rounds, 1, MOST_ROUNDS, shape=())
    for name in ("self_check", "orchestrator", "broadcast", "direct"):
        checks.mask(name, getattr(arch, name), ())
    checks.probability("ability", ability)
    checks.real("tools", tools, 0.0)
    checks.probability("observability", observability)
    checks.real("budget", costs.budget, above=0.0)
    for name in ("read", "tool_call", "tool_text", "check", "message", "state"):
        checks.real(name, getattr(costs, name), 0.0)
    for name in ("blind", "misread", "false_alarm"):
        checks.probability(name, getattr(costs, name))


def num_ancestors(parents: jax.Array) -> jax.Array:
    """Number of subtasks on whose values each depends, itself included, ``float32[S]``."""
    size = parents.shape[0]

    def grow(i: jax.Array, reach: jax.Array) -> jax.Array:
        mine = jnp.any(reach & parents[i][:, None], axis=0) | parents[i]
        return reach.at[i].set(mine)

    reach = jax.lax.fori_loop(0, size, grow, jnp.zeros((size, size), bool))
    return 1.0 + jnp.sum(reach, axis=1)
