"""Wave function collapse: grids whose every 3 × 3 window occurs in a small template.

The overlapping model: each window of the grid starts with all patterns of the template possible;
the window with the fewest is set to one of them at random, by how often it occurs, and neighbouring
windows lose the patterns that no longer agree with it, until all are set. Sets of patterns are the
bits of Python's integers.

References:
    M. Gumin, WaveFunctionCollapse, 2016.
"""

from collections.abc import Sequence

import numpy as np

SIDE = 3
"""Side of the windows."""

TEMPLATES: dict[str, tuple[str, ...]] = {
    "caves": (
        "##############",
        "####..##..####",
        "###....#...###",
        "##..........##",
        "##...##....###",
        "###..###..####",
        "###..####..###",
        "##...###....##",
        "##.........###",
        "###...##..####",
        "####.####.####",
        "###...##...###",
        "####..##..####",
        "##############",
    ),
    "rooms": (
        "#############",
        "#.....#.....#",
        "#.....#.....#",
        "#...........#",
        "#.....#.....#",
        "#.....#.....#",
        "###.#####.###",
        "#.....#.....#",
        "#.....#.....#",
        "#...........#",
        "#.....#.....#",
        "#.....#.....#",
        "#############",
    ),
    "paths": (
        "############",
        "#....#.....#",
        "#.##.#.###.#",
        "#.#..#.#...#",
        "#.#.##.#.###",
        "#.#......#.#",
        "#.######.#.#",
        "#......#...#",
        "######.#.#.#",
        "#......#.#.#",
        "#.######.#.#",
        "#..........#",
        "############",
    ),
    "obstacles": (
        "............",
        "..##........",
        "..##...#....",
        ".......##...",
        "............",
        "...#......#.",
        "..###.......",
        "...#....##..",
        "........##..",
        ".#..........",
        "......#.....",
        "............",
    ),
}
"""Templates of walls (``#``) and floor (``.``), by the name of the family."""


class Patterns:
    """Windows of a template with their rotations and reflections, and which of them agree.

    Attributes:
        windows: ``bool[P, 3, 3]``, walls of each pattern.
        weights: ``[P]``, how often each occurs.
        everything: the set of all patterns.
    """

    def __init__(self, template: Sequence[str]):
        grid = np.array([[cell == "#" for cell in row] for row in template])
        rows, columns = (extent - SIDE + 1 for extent in grid.shape)
        found: dict[bytes, float] = {}
        for row, column in np.ndindex(rows, columns):
            window = grid[row : row + SIDE, column : column + SIDE]
            for turn in range(4):
                for view in (np.rot90(window, turn), np.rot90(window, turn).T):
                    key = np.ascontiguousarray(view).tobytes()
                    found[key] = found.get(key, 0.0) + 1.0
        keys = sorted(found)
        self.windows = np.array([np.frombuffer(k, bool).reshape(SIDE, SIDE) for k in keys])
        self.weights = np.array([found[k] for k in keys])
        self.everything = (1 << len(keys)) - 1
        # Right, down, left, up: what must agree where a pattern's neighbour is shifted by one.
        w = self.windows
        halves = [
            (w[:, :, 1:], w[:, :, :-1]),
            (w[:, 1:], w[:, :-1]),
            (w[:, :, :-1], w[:, :, 1:]),
            (w[:, :-1], w[:, 1:]),
        ]
        self._tables = [
            _tables([_bits((theirs == own[None]).all(axis=(1, 2))) for own in mine])
            for mine, theirs in halves
        ]
        self._bytes = -(-len(keys) // 8)

    def allowed(self, direction: int, patterns: int) -> int:
        """The patterns that agree with at least one of a set, in a neighbour's window."""
        union = 0
        members = patterns.to_bytes(self._bytes, "little")
        for byte, table in zip(members, self._tables[direction], strict=True):
            union |= table[byte]
        return union


def collapse(
    rng: np.random.Generator, patterns: Patterns, shape: tuple[int, int], attempts: int = 50
) -> np.ndarray:
    """Draw walls ``bool[H, W]`` of which every 3 × 3 window is a pattern.

    Args:
        rng: random numbers.
        patterns: of a template.
        shape: ``(H, W)``, at least 3 each.
        attempts: number of restarts after a contradiction.

    Raises:
        ValueError: if every attempt ends in a contradiction: the template's patterns do not fit
            together.
    """
    for _ in range(attempts):
        walls = _attempt(rng, patterns, shape)
        if walls is not None:
            return walls
    raise ValueError(
        f"template: expected patterns that fit together, got contradictions in {attempts} attempts"
    )


def _attempt(
    rng: np.random.Generator, patterns: Patterns, shape: tuple[int, int]
) -> np.ndarray | None:
    height, width = shape[0] - SIDE + 1, shape[1] - SIDE + 1
    options = [patterns.everything] * (height * width)
    count = np.full(height * width, float(patterns.everything.bit_count()))
    count += rng.uniform(0.0, 0.5, count.shape)  # breaks ties
    if patterns.everything.bit_count() == 1:
        count[:] = np.inf
    while np.isfinite(lowest := count.min()):
        del lowest
        at = int(count.argmin())
        members = _members(options[at])
        weight = patterns.weights[members]
        chosen = members[int(np.searchsorted(np.cumsum(weight), rng.uniform(0.0, weight.sum())))]
        options[at], count[at] = 1 << chosen, np.inf
        changed = [at]
        while changed:
            here = changed.pop()
            row, column = divmod(here, width)
            for direction, (dr, dc) in enumerate(((0, 1), (1, 0), (0, -1), (-1, 0))):
                if not (0 <= row + dr < height and 0 <= column + dc < width):
                    continue
                there = here + dr * width + dc
                left = options[there] & patterns.allowed(direction, options[here])
                if left == options[there]:
                    continue
                if not left:
                    return None
                options[there] = left
                number = left.bit_count()
                count[there] = number + count[there] % 0.5 if number > 1 else np.inf
                changed.append(there)
    walls = np.zeros(shape, bool)
    for at, option in enumerate(options):
        row, column = divmod(at, width)
        walls[row : row + SIDE, column : column + SIDE] = patterns.windows[option.bit_length() - 1]
    return walls


def _tables(agree: list[int]) -> list[list[int]]:
    """For every eight patterns the unions of what agrees with each of their 256 subsets."""
    tables = []
    for first in range(0, len(agree), 8):
        table = [0] * 256
        for subset in range(1, 256):
            low = subset & -subset
            index = first + low.bit_length() - 1
            table[subset] = table[subset ^ low] | (agree[index] if index < len(agree) else 0)
        tables.append(table)
    return tables


def _bits(mask: np.ndarray) -> int:
    """A set as the bits of an integer."""
    return sum(1 << int(index) for index in np.flatnonzero(mask))


def _members(patterns: int) -> list[int]:
    """The members of a set, increasing."""
    members = []
    while patterns:
        low = patterns & -patterns
        members.append(low.bit_length() - 1)
        patterns ^= low
    return members
