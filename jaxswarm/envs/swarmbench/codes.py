"""What cells hold, how they are drawn as text, and what agents may do."""

import numpy as np

EMPTY, WALL, OUTSIDE, AGENT, DIM_AGENT, BOX, PREY, FOOD, NEST, SELF, UNSEEN = range(11)
NUM_CODES = 11
SYMBOLS = ".W*A$BPFNY?"
"""By code; other agents are shown by their number, with ``$`` before it if their light is off or
they carry nothing."""

MOVES = ("UP", "DOWN", "LEFT", "RIGHT", "STAY")
SWITCH = len(MOVES)
"""The action that only synchronisation has."""

STEPS = np.array([[-1, 0], [1, 0], [0, -1], [0, 1], [0, 0], [0, 0]], np.int32)
"""Where an action leads, as (row, column)."""

STAY = 4
MASS, FORCE, BOX_MASS = 1, 2, 5
