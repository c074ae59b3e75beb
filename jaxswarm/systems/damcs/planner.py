"""The scripted goal planner: decisions of one agent from what it knows and what it received.

There is no central planner. Every agent runs the same rules on its own memory and on the messages
it received. The agent that lacks least for an iron pickaxe, as far as it is known, crafts; the
others make tools of stone, supply what the crafter lacks, and once it lacks no coal and no iron one
waits at a diamond for the pickaxe. Without messages every agent takes itself for the crafter. In
the reference agent 0 crafts and messages go along a chain.

Unbatched: one agent; ``jax.vmap`` for all. ``N`` agents, 14 codes of ``TARGETS``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.crafter import Rules
from jaxswarm.systems.damcs import navigation as nav
from jaxswarm.systems.damcs import semantic as sem
from jaxswarm.systems.damcs.messages import Message
from jaxswarm.systems.damcs.records import UNKNOWN, Decision, Goal, LongTermGoal, Op

FOOD, DRINK, ENERGY = 1, 2, 3
LOW, FULL = 3, 8
STALE = 60
"""Steps after which the last message of an agent does not count any more."""

WOOD_AT_START = 7


class Knowledge(NamedTuple):
    """What a decision is made from.

    Attributes:
        agent: ``int32[]``, the agent's id.
        time: ``int32[]``.
        inventory: ``int32[16]``.
        known: ``bool[14]``, materials on the believed map.
        failed: ``bool[14]``, materials to which the way was found blocked lately.
        in_view: ``bool[14]``, materials in the view.
        near: ``bool[14]``, materials among the 3 × 3 cells around.
        ahead: ``int32[]``, code of the cell ahead.
        inbox: last messages of all agents.
    """

    agent: jax.Array
    time: jax.Array
    inventory: jax.Array
    known: jax.Array
    failed: jax.Array
    in_view: jax.Array
    near: jax.Array
    ahead: jax.Array
    inbox: Message


class _Choices:
    """Rules in order: the first whose condition holds decides."""

    def __init__(self, long_term: jax.Array):
        self.long_term = long_term
        self.conditions: list[jax.Array] = []
        self.options: list[tuple[jax.Array | int, ...]] = []

    def choose(
        self,
        condition: jax.Array,
        goal: Goal,
        op: Op,
        material: int = 0,
        item: int = 0,
        receiver: int | jax.Array = 0,
        long_term: LongTermGoal | None = None,
    ) -> None:
        long = self.long_term if long_term is None else int(long_term)
        self.conditions.append(condition)
        self.options.append((long, int(goal), int(op), material, item, receiver))

    def made(self) -> Decision:
        """The option of the first condition that holds; the last must always hold."""
        first = jnp.argmax(jnp.stack(self.conditions))
        table = jnp.stack([jnp.asarray(row, jnp.int32) for row in zip(*self.options, strict=True)])
        return Decision(*table[:, first])

    def fetch(
        self,
        condition: jax.Array,
        goal: Goal,
        material: int,
        know: Knowledge,
        **names: LongTermGoal,
    ) -> None:
        """Go to a material that is available, then do what collects it."""
        available = know.known[material] & ~know.failed[material]
        self.choose(condition & (know.ahead == material), goal, Op.DO, material, **names)
        self.choose(condition & available, goal, Op.NAVIGATE, material, **names)


def crafter_of(know: Knowledge, table: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Id of the agent that crafts, as far as this one knows, and who is heard of, ``bool[N]``.

    Of the agents heard of lately and itself it is the one that lacks least; ties go to the first.
    """
    ids = jnp.arange(know.inbox.time.shape[0])
    recent = (know.inbox.time >= 0) & (know.time - know.inbox.time < STALE)
    mine = ids == know.agent
    heard = recent & ~mine
    have = jnp.where(mine[:, None], know.inventory[None], know.inbox.have)
    lacks = jnp.sum(sem.missing(table, jnp.int32(LongTermGoal.IRON_PICKAXE), have), axis=1)
    return jnp.argmin(jnp.where(heard | mine, lacks, 1_000)), heard


def long_term_goal(inventory: jax.Array, crafts: jax.Array, furnace: jax.Array) -> jax.Array:
    """The next long-term goal of an agent, index of :class:`LongTermGoal`.

    Args:
        inventory: ``int32[16]``.
        crafts: ``bool[]``, whether it crafts tools of iron.
        furnace: ``bool[]``, whether it knows of a furnace or holds the stones for one.
    """
    goal = jnp.where(furnace, int(LongTermGoal.IRON_PICKAXE), int(LongTermGoal.FURNACE))
    goal = jnp.where(crafts, goal, int(LongTermGoal.HELP))
    goal = jnp.where(inventory[sem.IRON_PICKAXE] > 0, int(LongTermGoal.DIAMOND), goal)
    no_stone = inventory[sem.STONE_PICKAXE] == 0
    goal = jnp.where(no_stone, int(LongTermGoal.STONE_PICKAXE), goal)
    no_wood = no_stone & (inventory[sem.WOOD_PICKAXE] == 0)
    return jnp.where(no_wood, int(LongTermGoal.WOOD_PICKAXE), goal).astype(jnp.int32)


def announced(table: np.ndarray, know: Knowledge, goal: jax.Array) -> jax.Array:
    """Amounts that an agent lacks for an iron pickaxe or, if it waits, the pickaxe itself.

    Args:
        table: from :func:`jaxswarm.systems.damcs.requirements`.
        know: what it knows.
        goal: its goal, index of :class:`Goal`.
    """
    done = (know.inventory[sem.IRON_PICKAXE] > 0) | (goal == int(Goal.WAIT))
    long_term = jnp.where(done, int(LongTermGoal.DIAMOND), int(LongTermGoal.IRON_PICKAXE))
    lacks = sem.missing(table, long_term, know.inventory)
    furnace = know.near[nav.FURNACE]
    return lacks.at[sem.STONE].set(jnp.where(furnace, 0, lacks[sem.STONE]))


def decide(know: Knowledge, rules: Rules) -> Decision:
    """Decide on the next operation.

    Args:
        know: of one agent.
        rules: recipes of the environment.
    """
    items = know.inventory
    wood, stone, coal, iron = (items[i] for i in (sem.WOOD, sem.STONE, sem.COAL, sem.IRON))
    has_wood, has_stone, has_iron = (
        items[i] > 0 for i in (sem.WOOD_PICKAXE, sem.STONE_PICKAXE, sem.IRON_PICKAXE)
    )
    inbox = know.inbox
    crafter, heard = crafter_of(know, sem.requirements(rules))
    equipped = jnp.any(heard & (inbox.have[:, sem.IRON_PICKAXE] > 0))
    crafts = (crafter == know.agent) | (has_stone & (wood > 0) & (coal > 0) & (iron > 0))
    crafts &= ~equipped  # one iron pickaxe is enough
    lacks = inbox.missing[crafter]
    furnace_price = int(rules.place_uses[2, sem.STONE])
    table_price = int(rules.place_uses[1, sem.WOOD])
    rule = _Choices(
        long_term_goal(items, crafts, know.near[nav.FURNACE] | (stone >= furnace_price))
    )
    survive = {"long_term": LongTermGoal.SURVIVE}

    # Survive: drink and eat when low, and go on while at it; sleep when it has become dangerous.
    thirsty = (items[DRINK] <= LOW) | ((know.ahead == nav.WATER) & (items[DRINK] < FULL))
    rule.fetch(thirsty, Goal.REPLENISH, nav.WATER, know, **survive)
    hungry = (items[FOOD] <= LOW) | ((know.ahead == nav.COW) & (items[FOOD] <= 5))
    rule.fetch(hungry, Goal.REPLENISH, nav.COW, know, **survive)
    rule.choose((items[ENERGY] == 0) & (items[0] <= 4), Goal.REPLENISH, Op.SLEEP, **survive)

    # A waiting agent gets the iron pickaxe from one that knows no diamond.
    diamond = know.known[nav.DIAMOND] & ~know.failed[nav.DIAMOND]
    waits = heard & (inbox.goal == int(Goal.WAIT)) & (inbox.missing[:, sem.IRON_PICKAXE] > 0)
    waiter = jnp.argmax(waits)
    gives = has_iron & jnp.any(waits) & ~know.in_view[nav.DIAMOND]
    rule.choose(gives, Goal.SHARE, Op.SHARE, 0, sem.IRON_PICKAXE, waiter)
    rule.fetch(has_iron, Goal.COLLECT_DIAMOND, nav.DIAMOND, know)
    rule.choose(has_iron, Goal.EXPLORE, Op.NAVIGATE, UNKNOWN)

    # Hand to the crafter what it lacks.
    for item, spare in (
        (sem.IRON, iron),
        (sem.COAL, coal),
        (sem.STONE, stone),
        (sem.WOOD, wood - 2),
    ):
        wanted = ~crafts & ~equipped & has_stone & (lacks[item] > 0) & (spare > 0)
        rule.choose(wanted, Goal.SHARE, Op.SHARE, 0, item, crafter)

    # Tools of wood, then of stone, at a table.
    table, seen_table = know.near[nav.TABLE], know.in_view[nav.TABLE] & ~know.failed[nav.TABLE]
    price = jnp.where(know.in_view[nav.TABLE], 0, table_price)
    first = ~has_wood
    target = jnp.where(know.in_view[nav.TABLE], WOOD_AT_START - table_price, WOOD_AT_START)
    rule.fetch(first & (wood < target), Goal.COLLECT_WOOD, nav.TREE, know)
    early = first & (wood >= price + 1)
    rule.choose(early & table, Goal.MAKE_PICKAXE, Op.MAKE_WOOD_PICKAXE)
    rule.choose(early & seen_table, Goal.MAKE_PICKAXE, Op.NAVIGATE, nav.TABLE)
    rule.choose(early, Goal.BUILD, Op.PLACE_TABLE)
    rule.choose(first, Goal.EXPLORE, Op.NAVIGATE, UNKNOWN)
    second = ~has_stone
    rule.fetch(second & (stone < 1), Goal.COLLECT_STONE, nav.STONE, know)
    rule.choose(second & (stone < 1), Goal.EXPLORE, Op.NAVIGATE, UNKNOWN)
    ready = second & (wood >= 1)
    rule.choose(ready & table, Goal.MAKE_PICKAXE, Op.MAKE_STONE_PICKAXE)
    rule.choose(ready & seen_table, Goal.MAKE_PICKAXE, Op.NAVIGATE, nav.TABLE)
    rule.choose(ready & (wood >= table_price + 1), Goal.BUILD, Op.PLACE_TABLE)
    rule.fetch(ready, Goal.MAKE_PICKAXE, nav.TABLE, know)
    rule.fetch(second, Goal.COLLECT_WOOD, nav.TREE, know)
    rule.choose(second, Goal.EXPLORE, Op.NAVIGATE, UNKNOWN)

    # The crafter: an iron pickaxe at a furnace.
    has_all = crafts & (wood > 0) & (coal > 0) & (iron > 0)
    rule.choose(has_all & know.near[nav.FURNACE], Goal.MAKE_PICKAXE, Op.MAKE_IRON_PICKAXE)
    rule.choose(has_all & (stone >= furnace_price), Goal.BUILD, Op.PLACE_FURNACE)
    scarce = crafts & (stone < furnace_price) & (has_all | know.in_view[nav.STONE])
    rule.fetch(scarce, Goal.COLLECT_STONE, nav.STONE, know)
    rule.fetch(crafts & (iron < 1), Goal.COLLECT_IRON, nav.IRON, know)
    rule.fetch(crafts & (coal < 1), Goal.COLLECT_COAL, nav.COAL, know)
    rule.fetch(crafts & (wood < 1), Goal.COLLECT_WOOD, nav.TREE, know)
    rule.choose(crafts, Goal.EXPLORE, Op.NAVIGATE, UNKNOWN)

    # Helpers: fetch what the crafter lacks, or wait at a diamond.
    rule.fetch(~equipped & (lacks[sem.IRON] > 0), Goal.COLLECT_IRON, nav.IRON, know)
    rule.fetch(~equipped & (lacks[sem.COAL] > 0), Goal.COLLECT_COAL, nav.COAL, know)
    earlier = jnp.arange(heard.shape[0]) < know.agent
    # The pickaxe is handed over at any distance: go there once it is there or only to be made.
    soon = equipped | ((lacks[sem.IRON] == 0) & (lacks[sem.COAL] == 0))
    waits_here = diamond & soon & ~jnp.any(waits & earlier)
    rule.choose(waits_here & (know.ahead == nav.DIAMOND), Goal.WAIT, Op.NOOP)
    rule.choose(waits_here, Goal.WAIT, Op.NAVIGATE, nav.DIAMOND)
    rule.choose(jnp.ones((), bool), Goal.EXPLORE, Op.NAVIGATE, UNKNOWN)
    return rule.made()
