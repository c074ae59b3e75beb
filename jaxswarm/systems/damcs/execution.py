"""Macro operations as primitive actions, and when they are done or interrupted.

Shapes: ``N`` agents; states of a team are :class:`jaxswarm.systems.damcs.TeamState`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.crafter import SHAREABLE, CrafterObservation
from jaxswarm.envs.crafter import rules as r
from jaxswarm.systems.damcs import navigation as nav
from jaxswarm.systems.damcs import planner, semantic
from jaxswarm.systems.damcs.records import Decision, Op, Result

SCOUTING = 12
"""Steps after which looking for unknown cells is decided anew."""

PATIENCE = 60
"""Steps after which an operation that is still running is interrupted."""

_SHARE_CODE = np.full(r.NUM_ITEMS, -1)
_SHARE_CODE[list(SHAREABLE)] = np.arange(len(SHAREABLE))


def code_ahead(observation: CrafterObservation) -> jax.Array:
    """Codes of the cells ahead of all agents, ``int32[N]``."""
    middle = jnp.array([[3, 4]]) + observation.facing
    return jax.vmap(lambda view, at: view[at[0], at[1]])(observation.view, middle)


def result_of(
    state: Any, observation: CrafterObservation, known: jax.Array, ahead: jax.Array
) -> jax.Array:
    """Tell whether the operations are running, done or interrupted, ``int32[N]``."""
    decision, op = state.decision, state.decision.op
    lasted = state.time - state.since
    gained = observation.inventory - state.inventory
    received = jnp.any(gained[:, 4:] > 0, axis=1)
    hurt = gained[:, 0] < 0
    low = jnp.any((gained[:, 1:3] < 0) & (observation.inventory[:, 1:3] <= planner.LOW), axis=1)
    news = jnp.any(known & ~state.known, axis=1)
    navigates, explores = op == int(Op.NAVIGATE), decision.material == 0
    arrived = navigates & ~explores & (ahead == decision.material)
    scouted = navigates & explores & (news | (lasted >= SCOUTING))
    single = (op == int(Op.DO)) | (op >= int(Op.MAKE_WOOD_PICKAXE))
    waited = (op == int(Op.NOOP)) & (lasted >= 5)
    slept = (op == int(Op.SLEEP)) & ~observation.sleeping
    placing = (op >= int(Op.PLACE_STONE)) & (op <= int(Op.PLACE_PLANT))
    placed = placing & jnp.any((gained < 0)[:, 4:], axis=1)
    done = arrived | scouted | single | waited | slept | placed
    interrupted = hurt | low
    interrupted |= (received & ~single & ~placing) | (lasted >= PATIENCE)
    interrupted |= placing & (lasted >= 8)
    result = jnp.where(interrupted, int(Result.INTERRUPTED), int(Result.RUNNING))
    result = jnp.where(state.result == int(Result.BLOCKED), int(Result.BLOCKED), result)
    result = jnp.where(done, int(Result.DONE), result)
    return jnp.where(state.since < 0, int(Result.DONE), result).astype(jnp.int32)


def action_of(
    state: Any,
    observation: CrafterObservation,
    decision: Decision,
    step: Any,
    ahead: jax.Array,
    draw: jax.Array,
    n: int,
) -> tuple[jax.Array, jax.Array]:
    """One primitive action of each agent, ``int32[N]``, and which found no way."""
    op, items = decision.op, observation.inventory
    heading = jnp.asarray(r.DIRECTIONS)[step.direction]
    faces = jnp.all(heading == observation.facing, axis=1)
    minable = (ahead == nav.TREE) | (
        ((ahead == nav.STONE) | (ahead == nav.COAL)) & (items[:, semantic.WOOD_PICKAXE] > 0)
    )
    minable |= (ahead == nav.IRON) & (items[:, semantic.STONE_PICKAXE] > 0)
    digs = faces & minable & (ahead != decision.material)
    random_move = r.MOVE + (4 * draw[:, 0]).astype(jnp.int32)
    navigates = op == int(Op.NAVIGATE)
    stands = jnp.all(observation.position == state.position, axis=1)
    stands &= state.actions[:, 0] == r.MOVE + step.direction
    walk = jnp.where(digs, r.DO, r.MOVE + step.direction)
    walk = jnp.where(stands & ~digs & (draw[:, 1] < 0.5), random_move, walk)
    walk = jnp.where(step.found, walk, random_move)
    ground = (ahead == nav.GRASS) | (ahead == nav.SAND) | (ahead == nav.PATH)
    places = (op >= int(Op.PLACE_STONE)) & (op <= int(Op.PLACE_PLANT))
    place = jnp.where(minable, r.DO, random_move)
    place = jnp.where(ground, r.PLACE + op - int(Op.PLACE_STONE), place)
    makes = (op >= int(Op.MAKE_WOOD_PICKAXE)) & (op <= int(Op.MAKE_IRON_SWORD))
    share = r.SHARE + jnp.asarray(_SHARE_CODE)[decision.item] * n + decision.receiver
    action = jnp.full(n, r.NOOP)
    for condition, value in (
        (op == int(Op.SLEEP), r.SLEEP),
        (navigates, walk),
        (op == int(Op.DO), r.DO),
        (places, place),
        (makes, r.MAKE + op - int(Op.MAKE_WOOD_PICKAXE)),
        (op == int(Op.SHARE), share),
    ):
        action = jnp.where(condition, value, action)
    # No step into lava, whatever led there.
    to = jnp.asarray(r.DIRECTIONS)[jnp.clip(action - r.MOVE, 0, 3)] + jnp.array([[3, 4]])
    burns = jax.vmap(lambda view, at: view[at[0], at[1]])(observation.view, to) == r.LAVA
    moves = (action >= r.MOVE) & (action < r.DO)
    action = jnp.where(moves & burns, r.NOOP, action)
    return action.astype(jnp.int32), navigates & ~step.found
