"""Codes of cells, their symbols in text, and the actions of SwarmBench."""

import numpy as np

EMPTY, WALL, OUTSIDE, AGENT, DIM_AGENT, BOX, PREY, FOOD, NEST, SELF, UNSEEN = range(11)
NUM_CODES = 11
SYMBOLS = ".W*A$BPFNY?"
"""Symbol of each code; other agents are shown by their id, with ``$`` before it if their light is
off or they carry nothing."""

MOVES = ("UP", "DOWN", "LEFT", "RIGHT", "STAY")
SWITCH = len(MOVES)
"""The action that only the synchronization task has."""

STEPS = np.array([[-1, 0], [1, 0], [0, -1], [0, 1], [0, 0], [0, 0]], np.int32)
"""Displacement of each action, as (row, column)."""

STAY = 4
MASS, FORCE, BOX_MASS = 1, 2, 5
