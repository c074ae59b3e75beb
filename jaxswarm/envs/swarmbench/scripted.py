"""Scripted baseline policies of SwarmBench, one per task, from local observations only.

Every policy keeps a map of the cells that its agent observed and follows shortest paths on it; with
messages it also sends the positions that it observes. They are baselines, not substitutes for
language models.

Carries are ``(known int32[N, H, W], ...)`` with agents first.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.policies import Policy
from jaxswarm.envs.swarmbench import navigation
from jaxswarm.envs.swarmbench.base import SwarmBench
from jaxswarm.envs.swarmbench.codes import (
    BOX,
    EMPTY,
    FOOD,
    NEST,
    OUTSIDE,
    PREY,
    SELF,
    STAY,
    STEPS,
    SWITCH,
    UNSEEN,
    WALL,
)
from jaxswarm.envs.swarmbench.flocking import Flocking
from jaxswarm.envs.swarmbench.foraging import Foraging, beside
from jaxswarm.envs.swarmbench.pursuit import Pursuit
from jaxswarm.envs.swarmbench.synchronization import Synchronization
from jaxswarm.envs.swarmbench.transport import GAP, NUM_BOXES, Transport
from jaxswarm.envs.swarmbench.types import SwarmBenchObservation

MEMORY = 6  # rounds for which the last known position of a prey is kept
STAGES = 6  # of a box: at its start, one cell aside, and up to four cells out


def scripted_policy(env: SwarmBench) -> Policy:
    """Scripted baseline policy for a SwarmBench task.

    Raises:
        ValueError: if ``env`` observes features, is not a SwarmBench task, or its vocabulary is too
            small to encode a cell.
    """
    makers: dict[type, Callable[[Any], Policy]] = {
        Pursuit: _pursuit,
        Synchronization: _synchronization,
        Foraging: _foraging,
        Flocking: _flocking,
        Transport: _transport,
    }
    if type(env) not in makers:
        raise ValueError(f"env: expected a SwarmBench task, got {checks.shown(env)}")
    if env.as_features:
        raise ValueError("env: expected observations of codes, got as_features=True")
    needed = max(env.shape[0] * env.shape[1], NUM_BOXES * STAGES) + 1
    if env.message_length and env.vocabulary < needed:
        raise ValueError(
            f"vocabulary: expected at least {needed} tokens to encode cells, got {env.vocabulary}"
        )
    return makers[type(env)](env)


def _with_message(env: SwarmBench, move: jax.Array, *tokens: jax.Array) -> jax.Array:
    """Append to the moves as many of the tokens ``[N]`` as messages are long."""
    if not env.message_length:
        return move
    message = jnp.zeros((len(move), env.message_length), jnp.int32)
    for place, token in enumerate(tokens[: env.message_length]):
        message = message.at[:, place].set(token)
    return jnp.concatenate([move[:, None], message], axis=1)


def _received(observation: SwarmBenchObservation, place: int) -> jax.Array:
    """The largest token received in a place of the messages, ``int32[N]``, 0 for none."""
    if observation.inbox.shape[2] <= place:
        return jnp.zeros(observation.inbox.shape[0], jnp.int32)
    return jnp.max(observation.inbox[:, :, place], axis=1)


def _find(known: jax.Array, code: int) -> jax.Array:
    """Token of the last cell with a code, ``1 +`` its flat index, ``int32[N]``, 0 for none."""
    flat = (known == code).reshape(len(known), -1)
    return jnp.max(jnp.where(flat, jnp.arange(flat.shape[1])[None, :] + 1, 0), axis=1)


def _cell(token: jax.Array, env: SwarmBench) -> jax.Array:
    """The cell ``[N, 2]`` that a token above 0 encodes."""
    number = jnp.maximum(token, 1) - 1
    return jnp.stack([number // env.shape[1], number % env.shape[1]], axis=1)


def _pursuit(env: Pursuit) -> Policy:
    """Go beside the prey's observed, received or last known position, else to random waypoints."""
    n, shape = env.num_agents, env.shape
    inside = jnp.zeros(shape, bool).at[1:-1, 1:-1].set(True)[None]

    def init(obs: SwarmBenchObservation) -> Any:
        return jnp.zeros(n, jnp.int32), jnp.zeros(n, jnp.int32), obs.position

    def act(key: jax.Array, params: Any, carry: Any, obs: SwarmBenchObservation) -> Any:
        estimate, age, waypoint = carry
        fresh = navigation.remember(navigation.blank(n, shape), obs.view, obs.position)
        sighted = _find(fresh, PREY)
        current = jnp.where(sighted > 0, sighted, _received(obs, 0))
        age = jnp.where(current > 0, 0, age + 1)
        estimate = jnp.where(current > 0, current, jnp.where(age > MEMORY, 0, estimate))
        walk_key, waypoint_key = jax.random.split(key)
        there = jnp.all(obs.position == waypoint, axis=1)
        ends = jnp.broadcast_to(jnp.array(shape) - 1, (n, 2))
        new = jax.random.randint(waypoint_key, (n, 2), 1, ends)
        waypoint = jnp.where((there | (estimate > 0))[:, None], new, waypoint)
        prey = navigation.at(_cell(estimate, env), shape)
        ring = jax.vmap(beside)(prey) & inside
        goals = jnp.where((estimate > 0)[:, None, None], ring, navigation.at(waypoint, shape))
        crowd = navigation.others(obs.view, obs.position, shape)
        walk = inside & ~(prey & (estimate > 0)[:, None, None])
        move = navigation.step_toward(walk_key, walk, goals, obs.position, crowd)
        return _with_message(env, move, sighted), (estimate, age, waypoint)

    return Policy(init, act)


def _synchronization(env: Synchronization) -> Policy:
    """Send a count of the rounds; a light is on in odd counts. Without messages, use the majority.

    An agent that receives no message, not even its own, copies the majority of the lights in view,
    and switches at random where all of them agree. The policy has no memory.
    """

    def init(obs: SwarmBenchObservation) -> Any:
        return ()

    def act(key: jax.Array, params: Any, carry: Any, obs: SwarmBenchObservation) -> Any:
        light = obs.status[:, 0] > 0
        count = _received(obs, 0) + 1
        on = jnp.sum(obs.view == 3, axis=(1, 2)) + light
        off = jnp.sum(obs.view == 4, axis=(1, 2)) + ~light
        flip = jax.random.bernoulli(key, 0.5, light.shape)
        majority = jnp.where((on == 0) | (off == 0), light ^ flip, on > off)
        target = jnp.where(obs.num_messages > 0, count % 2 == 1, majority)
        move = jnp.where(target != light, SWITCH, STAY).astype(jnp.int32)
        return _with_message(env, move, jnp.minimum(count, env.vocabulary - 1)), carry

    return Policy(init, act)


def _foraging(env: Foraging) -> Policy:
    """Explore until food and nest are known, then go back and forth."""
    n, shape = env.num_agents, env.shape

    def init(obs: SwarmBenchObservation) -> Any:
        return navigation.blank(n, shape)

    def act(key: jax.Array, params: Any, carry: Any, obs: SwarmBenchObservation) -> Any:
        known = navigation.remember(carry, obs.view, obs.position)
        tokens = []
        for place, code in enumerate((FOOD, NEST)):
            tokens.append(_find(known, code))
            received = _received(obs, place)
            cell = navigation.at(_cell(received, env), shape) & (received > 0)[:, None, None]
            known = jnp.where(cell, code, known)
        carrying = obs.status[:, 0] > 0
        aim = jnp.where(carrying, NEST, FOOD)[:, None, None]
        walk = (known == EMPTY) | (known == UNSEEN)
        goals = jax.vmap(beside)(known == aim) & walk
        lost = ~jnp.any(goals, axis=(1, 2), keepdims=True)
        goals = jnp.where(lost, known == UNSEEN, goals)
        crowd = navigation.others(obs.view, obs.position, shape)
        move = navigation.step_toward(key, walk, goals, obs.position, crowd)
        return _with_message(env, move, *tokens), known

    return Policy(init, act)


def _flocking(env: Flocking) -> Policy:
    """Go to the nearest free place, as far as visible, of a formation in the middle of the map."""
    n, shape = env.num_agents, env.shape
    cells = env.formation + (np.array(shape) - env.formation.max(axis=0) - 1) // 2
    formation = jnp.zeros(shape, bool).at[cells[:, 0], cells[:, 1]].set(True)
    inside = jnp.zeros(shape, bool).at[1:-1, 1:-1].set(True)

    def init(obs: SwarmBenchObservation) -> Any:
        return ()

    def act(key: jax.Array, params: Any, carry: Any, obs: SwarmBenchObservation) -> Any:
        crowd = navigation.others(obs.view, obs.position, shape)
        goals = formation[None] & ~crowd
        walk = jnp.broadcast_to(inside, (n, *shape))
        move = navigation.step_toward(key, walk, goals, obs.position, crowd)
        return _with_message(env, move), carry

    return Policy(init, act)


def _transport(env: Transport) -> Policy:
    """Infer the box's position from the view, line up behind it, push it out, and leave."""
    n, shape, k = env.num_agents, env.shape, env.view
    maps, direction, lanes = (jnp.asarray(table) for table in _plans(env))
    count = len(maps)
    margin = k // 2 + 1
    padded = jnp.pad(maps, ((0, 0), (margin, margin), (margin, margin)), constant_values=OUTSIDE)

    def expected(at: jax.Array) -> jax.Array:
        corner = at + margin - k // 2
        return jax.lax.dynamic_slice(padded, (0, corner[0], corner[1]), (count, k, k))

    def init(obs: SwarmBenchObservation) -> Any:
        return navigation.blank(n, shape), jnp.zeros(n, jnp.int32)

    def act(key: jax.Array, params: Any, carry: Any, obs: SwarmBenchObservation) -> Any:
        known, plan = carry
        known = navigation.remember(known, obs.view, obs.position)
        agents_here = (obs.view == SELF) | (obs.view == 3) | (obs.view == 4)
        view = jnp.where(agents_here, EMPTY, obs.view)
        rows = obs.position[:, 0, None, None] + jnp.arange(k)[None, :, None] - k // 2
        columns = obs.position[:, 1, None, None] + jnp.arange(k)[None, None, :] - k // 2
        border = (rows == 0) | (rows == shape[0] - 1) | (columns == 0) | (columns == shape[1] - 1)
        informative = jnp.any((view == BOX) | (border & (view == EMPTY)), axis=(1, 2))
        differs = (jax.vmap(expected)(obs.position) != view[:, None]) & (view != UNSEEN)[:, None]
        best = jnp.argmin(jnp.sum(differs, axis=(2, 3)), axis=1)
        sighted = jnp.where(informative, best + 1, 0)
        received = _received(obs, 0)
        plan = jnp.where(sighted > 0, sighted, jnp.where(received > 0, received, plan))
        current = jnp.maximum(plan, 1) - 1
        lane = lanes[current] & (plan > 0)[:, None, None]
        walk = jnp.where((plan > 0)[:, None, None], maps[current] == EMPTY, known != WALL)
        goals = jnp.where((plan > 0)[:, None, None], lane, known == UNSEEN)
        crowd = navigation.others(obs.view, obs.position, shape)
        free = goals & ~crowd
        goals = jnp.where(jnp.any(free, axis=(1, 2), keepdims=True), free, goals)
        move = navigation.step_toward(key, walk, goals, obs.position, crowd)
        in_lane = lane[jnp.arange(n), obs.position[:, 0], obs.position[:, 1]]
        move = jnp.where(in_lane, direction[current], move)
        return _with_message(env, move, sighted), (known, plan)

    return Policy(init, act)


def _plans(env: Transport) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each box and stage: the map, the direction to push, and the cells to push from.

    Returns:
        ``(maps int32[48, H, W], direction int32[48], lanes bool[48, H, W])``.
    """
    boxes, walls = env.layouts
    maps, directions, lanes = [], [], []
    for which, (across, up, left) in enumerate(np.ndindex(2, 2, 2)):
        aside, out = np.array([0, 1]), np.array([1, 0])  # of the box in the lower right
        if across:
            aside, out = aside[::-1], out[::-1]
        flip = np.array([-1 if up else 1, -1 if left else 1])
        aside, out = aside * flip, out * flip
        for stage in range(STAGES):
            shift = (aside if stage else 0 * aside) + max(stage - 1, 0) * out
            box = _shifted(boxes[which], shift)
            step = aside if stage == 0 else out
            grid = np.where(box, BOX, np.where(walls[which], WALL, EMPTY))
            directions.append(next(d for d in range(4) if (STEPS[d] == step).all()))
            maps.append(grid)
            lanes.append(_lane(grid, step, walls[which]))
    return np.stack(maps), np.array(directions, np.int32), np.stack(lanes)


def _shifted(mask: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The mask shifted, without the part that is no longer on the map."""
    padded = np.roll(np.pad(mask, GAP + 2), shift, axis=(0, 1))
    return padded[GAP + 2 : -GAP - 2, GAP + 2 : -GAP - 2]


def _lane(grid: np.ndarray, step: np.ndarray, walls: np.ndarray) -> np.ndarray:
    """Free cells in line behind the box or, without a box, in line with the gap."""
    lane = np.zeros(grid.shape, bool)
    if (grid == BOX).any():
        sources = [tuple(cell) for cell in np.argwhere(grid == BOX)]
    else:
        ring = np.ones(grid.shape, bool)
        ring[1:-1, 1:-1] = False
        gap = np.argwhere(ring & ~walls)
        lane[tuple(gap.T)] = True
        sources = [tuple(cell) for cell in gap]
    for row, column in sources:
        for depth in range(1, 4):
            cell = (row - depth * step[0], column - depth * step[1])
            inside = 0 <= cell[0] < grid.shape[0] and 0 <= cell[1] < grid.shape[1]
            if not inside or grid[cell] != EMPTY:
                break
            lane[cell] = True
    return lane
