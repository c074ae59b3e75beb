"""Grid tasks of the DQC experiment as tables, and their data sets of open-loop skills.

Four tasks, each with five starts and goals:

* **sticky corridor**: the corridor maze with short rows, so that every few moves there is a turn,
  and sticky actions: open-loop chunks lose their way at turns.
* **long corridor**: the corridor maze with long rows, deterministic: values have to travel far.
* **detours**: a ring with a short and a long way between start and goal. Most data on the short way
  make detours (back and forth), so that what the data do next misrepresents it; a few go straight.
* **direct data**: the same ring with straight data, where n-step returns are not misled.

Data are open-loop skills: towards a random target cell for ``SKILL`` moves, planned without
feedback, with noise and detours that the plan knows; then a new plan from the current cell. Moves
are vectors in ``[-1, 1]²``, of which the environment takes the nearest of four directions.

Shapes: ``S`` cells (padded to the largest task), ``E`` episodes of ``L`` steps, ``F`` features.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxswarm import envs
from jaxswarm.envs.corridor_maze import MOVES

SKILL = 16  # moves of an open-loop skill of the data
SHORT_SKILL = 4  # the same in the sticky corridor, where longer ones lead nowhere
NOISE = 0.05  # probability that a move of a plan is random
SLIP = 0.3  # probability that a step repeats the previous move, sticky corridor
DETOUR = 0.7  # probability of a detour per move on the short way
STRAIGHT = 0.15  # share of skills without detours
ALLOWED = 2.0  # steps of an evaluation episode per step of the shortest path
RING = 9  # side of the ring, in cells
TURNS = 8  # period of the turns of the sticky corridor and of the ring, in cells
SHORT = 10  # moves of the short way; the long way has 32 - 10 = 22
NUM_FEATURES = 13


class GridTask(NamedTuple):
    """A task as arrays; those of several tasks have equal shapes.

    Attributes:
        after: ``int32[S, 4]``, the cell after a move.
        features: ``float32[S, F]``, observation of a cell.
        cells: ``int32[S, 2]``, row and column; -1 for padding.
        hop: ``int32[S, S]``, first move of a shortest path to a goal.
        distance: ``int32[S, S]``, its length.
        detour: ``float[S]``, probability of a detour in the data.
        slip: probability that a step repeats the previous move.
        skill: moves of an open-loop skill of the data.
        pairs: ``int32[5, 2]``, evaluation starts and goals.
        size: number of cells.
    """

    after: np.ndarray
    features: np.ndarray
    cells: np.ndarray
    hop: np.ndarray
    distance: np.ndarray
    detour: np.ndarray
    slip: float
    skill: int
    pairs: np.ndarray
    size: int


def grid_tasks() -> list[GridTask]:
    """The four tasks, in the order of ``TASKS``."""
    sticky, long = envs.CorridorMaze(rows=6, columns=3), envs.CorridorMaze(rows=1, columns=60)
    ring = np.zeros((RING, RING), bool)
    ring[[0, -1]], ring[:, [0, -1]] = True, True
    size = max(int(floor.sum()) for floor in (sticky.floor, long.floor, ring))
    ends = _ends(int(sticky.floor.sum()))
    around = _around(ring)
    count = len(around)
    # The short way leads from `around[0]` to `around[SHORT]`; its inner cells have detours.
    detour = np.zeros(count)
    detour[1:SHORT] = DETOUR
    pairs = [(0, SHORT), (SHORT, 0), (count - 1, SHORT - 1), (SHORT + 1, 1), (1, SHORT)]
    return [
        _task(_snake(sticky.floor), size, ends, slip=SLIP, skill=SHORT_SKILL),
        _task(_snake(long.floor), size, _ends(int(long.floor.sum()))),
        _task(around, size, pairs, detour=detour),
        _task(around, size, pairs, detour=np.zeros(count)),
    ]


def data_set(
    rng: np.random.Generator,
    task: GridTask,
    episodes: int,
    length: int,
    *,
    leads: tuple[int, int] | None = None,
) -> dict[str, np.ndarray]:
    """Draw episodes of open-loop skills.

    Args:
        rng: generator of the data.
        task: the task.
        episodes: ``E``.
        length: ``L``.
        leads: range ``[low, high)`` of the cells that skills lead to; all if omitted.

    Returns:
        ``cell int32[E, L + 1]`` and ``move int32[E, L]``.
    """
    low, high = (0, task.size) if leads is None else leads
    real = rng.integers(task.size, size=episodes)
    planned, target = real.copy(), rng.integers(low, high, size=episodes)
    last = rng.integers(4, size=episodes)
    back = np.full(episodes, -1)  # the move that ends a detour, if one is under way
    phase = rng.integers(task.skill, size=episodes)
    straight = rng.uniform(size=episodes) < STRAIGHT
    cells, moves = [real], []
    for step in range(length):
        anew = (step + phase) % task.skill == 0
        planned = np.where(anew, real, planned)
        back = np.where(anew, -1, back)
        straight = np.where(anew, rng.uniform(size=episodes) < STRAIGHT, straight)
        arrived = planned == target
        target = np.where(arrived, rng.integers(low, high, size=episodes), target)
        forward = task.hop[planned, target]
        draws = rng.uniform(size=(2, episodes))
        other = rng.integers(4, size=episodes)
        backward = forward ^ 1
        begins = (back < 0) & ~straight & (draws[0] < task.detour[planned])
        move = np.where(draws[1] < NOISE, other, forward)
        move = np.where(begins, backward, move)
        move = np.where(back >= 0, back, move)
        moved = task.after[planned, move]
        back = np.where(begins & (moved != planned), move ^ 1, -1)
        planned = moved
        done = np.where(rng.uniform(size=episodes) < task.slip, last, move)
        real, last = task.after[real, done], done
        cells.append(real)
        moves.append(move)
    return {"cell": np.stack(cells, 1), "move": np.stack(moves, 1)}


def flat_rows(
    task: GridTask, data: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations, actions and ends of episodes, as the library's ``trajectories`` takes them."""
    cell, move = data["cell"], data["move"]
    vectors = np.concatenate([MOVES[move], np.zeros((len(move), 1, 2), int)], 1)
    ends = np.zeros(cell.shape, bool)
    ends[:, -1] = True
    observation = task.features[cell.reshape(-1)]
    return observation, vectors.reshape(-1, 2).astype(np.float32), ends.reshape(-1)


def oracle_success(
    rng: np.random.Generator, task: GridTask, repeats: int, *, executed: int
) -> float:
    """Success of a planner that knows the maze and executes ``executed`` moves blindly."""
    wins = []
    for start, goal in task.pairs:
        real, last = np.full(repeats, start), np.full(repeats, 3)
        planned, done = real.copy(), np.zeros(repeats, bool)
        for step in range(allowed_steps(task, start, goal)):
            planned = real.copy() if step % executed == 0 else planned
            move = task.hop[planned, goal]
            planned = task.after[planned, move]
            move = np.where(rng.uniform(size=repeats) < task.slip, last, move)
            real, last = np.where(done, real, task.after[real, move]), move
            done |= real == goal
        wins.append(done.mean())
    return float(np.mean(wins))


def covered_pairs(task: GridTask, data: dict[str, np.ndarray]) -> float:
    """Share of the evaluation's pairs whose shortest way is in the data, move by move."""
    shown = np.zeros(task.after.shape, bool)
    shown[data["cell"][:, :-1], data["move"]] = True
    covered = []
    for start, goal in task.pairs:
        cell, known = start, True
        while cell != goal:
            move = task.hop[cell, goal]
            known, cell = known and shown[cell, move], task.after[cell, move]
        covered.append(known)
    return float(np.mean(covered))


def allowed_steps(task: GridTask, start: int, goal: int) -> int:
    """Steps of an evaluation episode."""
    return int(np.ceil(ALLOWED * task.distance[start, goal]))


def _ends(count: int) -> list[tuple[int, int]]:
    """Five starts and goals in a corridor whose cells are numbered along it."""
    last, third = count - 1, count // 3
    return [(0, last), (last, 0), (0, 2 * third), (last, third), (third, last)]


def _snake(floor: np.ndarray) -> list[tuple[int, int]]:
    """Cells of a corridor maze in the order of its path."""
    path = []
    for row in range(len(floor)):
        columns = np.flatnonzero(floor[row])
        path += [(row, c) for c in (columns if row % 4 == 0 else columns[::-1])]
    return path


def _around(ring: np.ndarray) -> list[tuple[int, int]]:
    """Cells of the ring in order, from its upper left corner clockwise."""
    end = len(ring) - 1
    top = [(0, c) for c in range(end)]
    right = [(r, end) for r in range(end)]
    bottom = [(end, c) for c in range(end, 0, -1)]
    return top + right + bottom + [(r, 0) for r in range(end, 0, -1)]


def _task(
    path: list[tuple[int, int]],
    size: int,
    pairs: Sequence[tuple[int, int]],
    *,
    slip: float = 0.0,
    skill: int = SKILL,
    detour: np.ndarray | None = None,
) -> GridTask:
    count = len(path)
    number = {cell: k for k, cell in enumerate(path)}
    after = np.tile(np.arange(size)[:, None], (1, 4))
    for k, (row, column) in enumerate(path):
        for m, (down, right) in enumerate(MOVES):
            after[k, m] = number.get((row + down, column + right), k)
    distance = np.where(np.eye(size, dtype=bool), 0, 10**6)
    for _ in range(count):  # Bellman–Ford on the table
        distance = np.minimum(distance, 1 + distance[after].min(1))
    hop = distance[after].argmin(1)
    cells = np.full((size, 2), -1)
    cells[:count] = path
    return GridTask(
        after=after.astype(np.int32),
        features=_features(np.array(path), size, closed=detour is not None),
        cells=cells.astype(np.int32),
        hop=hop.astype(np.int32),
        distance=distance.astype(np.int32),
        detour=np.pad(np.zeros(count) if detour is None else detour, (0, size - count)),
        slip=slip,
        skill=skill,
        pairs=np.array(pairs, np.int32),
        size=count,
    )


def _features(path: np.ndarray, size: int, *, closed: bool) -> np.ndarray:
    """What is observed in a cell, ``[S, F]``.

    Row and column in ``[-1, 1]``; the position along the path and its waves, also of the period of
    the path's turns; and the moves to the next and to the previous cell.
    """
    count = len(path)
    unit = 2.0 * path / np.maximum(path.max(0), 1) - 1.0
    number = np.arange(count)[:, None]
    along = 2.0 * number / (count - 1) - 1.0
    angles = np.concatenate([np.pi * along, 2 * np.pi * number / TURNS * [1, 2]], 1)
    ahead = np.roll(path, -1, axis=0) - path
    if not closed:
        ahead[-1] = 0
    behind = -np.roll(ahead, 1, axis=0)
    parts = (unit, along, np.cos(angles), np.sin(angles), ahead, behind)
    features = np.concatenate(parts, axis=1).astype(np.float32)
    return np.pad(features, ((0, size - count), (0, 0)))
