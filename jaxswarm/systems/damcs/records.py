"""The typed record of a decision: goals, macro operation and its arguments as enumerations.

A decision of an agent is finite, so that it can be made by a script, by a network or by a language
model that answers with a number: :func:`decision_of` and :func:`describe` translate.

Shapes: leaves of a :class:`Decision` are ``int32[...]``; ``N`` agents.

References:
    H. Yang et al., LLM-powered decentralized generative agents with adaptive hierarchical
    knowledge graph for cooperative planning, 2025 (typed records, macro operations).
"""

from enum import IntEnum
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs import crafter

UNKNOWN = 0
"""Material argument of ``NAVIGATE`` that means the nearest cell that was not seen yet."""

TARGETS = ("unknown", *crafter.MATERIALS[1:], "cow")
"""Names of the material arguments by code."""


class LongTermGoal(IntEnum):
    """What an agent works towards."""

    WOOD_PICKAXE = 0
    STONE_PICKAXE = 1
    FURNACE = 2
    IRON_PICKAXE = 3
    DIAMOND = 4
    HELP = 5
    SURVIVE = 6


class Goal(IntEnum):
    """What an agent does next."""

    COLLECT_WOOD = 0
    COLLECT_STONE = 1
    COLLECT_COAL = 2
    COLLECT_IRON = 3
    COLLECT_DIAMOND = 4
    BUILD = 5
    MAKE_PICKAXE = 6
    SHARE = 7
    WAIT = 8
    EXPLORE = 9
    REPLENISH = 10


class Op(IntEnum):
    """Macro operations; ``NAVIGATE`` takes a material, ``SHARE`` an item and a receiver."""

    NOOP = 0
    SLEEP = 1
    NAVIGATE = 2
    DO = 3
    PLACE_STONE = 4
    PLACE_TABLE = 5
    PLACE_FURNACE = 6
    PLACE_PLANT = 7
    MAKE_WOOD_PICKAXE = 8
    MAKE_STONE_PICKAXE = 9
    MAKE_IRON_PICKAXE = 10
    MAKE_WOOD_SWORD = 11
    MAKE_STONE_SWORD = 12
    MAKE_IRON_SWORD = 13
    SHARE = 14


class Result(IntEnum):
    """State of the last operation; ``BLOCKED`` is interrupted since no way was found."""

    RUNNING = 0
    DONE = 1
    INTERRUPTED = 2
    BLOCKED = 3


_GOAL_OF = np.full(len(Op), int(Goal.BUILD), np.int32)
_GOAL_OF[[Op.NOOP, Op.SLEEP, Op.NAVIGATE, Op.DO, Op.SHARE]] = [
    Goal.WAIT,
    Goal.REPLENISH,
    Goal.EXPLORE,
    Goal.COLLECT_WOOD,
    Goal.SHARE,
]
_GOAL_OF[Op.MAKE_WOOD_PICKAXE :] = Goal.MAKE_PICKAXE
_GOAL_OF[Op.SHARE] = Goal.SHARE


class Decision(NamedTuple):
    """A decision.

    Attributes:
        long_term: :class:`LongTermGoal`.
        goal: :class:`Goal`.
        op: :class:`Op`.
        material: code of ``TARGETS`` for ``NAVIGATE``, else 0.
        item: column of an inventory for ``SHARE``, else 0.
        receiver: agent for ``SHARE``, else 0.
    """

    long_term: jax.Array
    goal: jax.Array
    op: jax.Array
    material: jax.Array
    item: jax.Array
    receiver: jax.Array


def no_decision(num_agents: int) -> Decision:
    """Decisions to do nothing, ``int32[N]``.

    Raises:
        ValueError: if ``num_agents < 1``.
    """
    zero = jnp.zeros(checks.whole("num_agents", num_agents, 1), jnp.int32)
    return Decision(zero, zero, zero, zero, zero, zero)


def num_decisions(num_agents: int) -> int:
    """Number of operations with their arguments: the answers a language model chooses from.

    Raises:
        ValueError: if ``num_agents < 1``.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    return len(Op) - 2 + len(TARGETS) + len(crafter.SHAREABLE) * num_agents


def decision_of(answer: jax.Array | int, num_agents: int) -> Decision:
    """The decision of a number: operations without arguments, then materials, then shares.

    Args:
        answer: ``int32[...]`` in ``[0, num_decisions(N))``.
        num_agents: ``N``.

    Returns:
        The decision, with a goal that fits the operation and ``HELP`` as the long-term goal.

    Raises:
        ValueError: for a known answer out of range.

    Example:
        >>> from jaxswarm.systems import damcs
        >>> damcs.describe(9, num_agents=2), damcs.describe(13 + 6, num_agents=2)
        ('make iron pickaxe', 'navigate to tree')
    """
    total = num_decisions(num_agents)
    answer = jnp.asarray(checks.wholes("answer", answer, 0, total - 1))
    plain = np.array([op for op in Op if op not in (Op.NAVIGATE, Op.SHARE)], np.int32)
    navigates = (answer >= len(plain)) & (answer < len(plain) + len(TARGETS))
    shares = answer >= len(plain) + len(TARGETS)
    share = jnp.where(shares, answer - len(plain) - len(TARGETS), 0)
    op = jnp.asarray(plain)[jnp.clip(answer, 0, len(plain) - 1)]
    op = jnp.where(navigates, int(Op.NAVIGATE), jnp.where(shares, int(Op.SHARE), op))
    item = jnp.asarray(np.array(crafter.SHAREABLE, np.int32))[share // num_agents]
    return Decision(
        long_term=jnp.full_like(op, int(LongTermGoal.HELP)),
        goal=jnp.asarray(_GOAL_OF)[op],
        op=op,
        material=jnp.where(navigates, answer - len(plain), 0).astype(jnp.int32),
        item=jnp.where(shares, item, 0),
        receiver=(share % num_agents).astype(jnp.int32),
    )


def describe(answer: int, num_agents: int) -> str:
    """What an answer stands for, in words.

    Raises:
        ValueError: for an answer out of range.
    """
    made = jax.tree.map(int, decision_of(answer, num_agents))
    op = Op(made.op)
    if op == Op.NAVIGATE:
        return f"navigate to {TARGETS[made.material]}"
    if op == Op.SHARE:
        return f"share {crafter.ITEMS[made.item]} with agent {made.receiver}"
    return op.name.lower().replace("_", " ")
