"""Checkpoints of a simulation: atomic folders written by orbax, verified when they are read.

``PATH/round_0000000120/`` holds the state, the records so far and the key after 120 rounds, with a
fingerprint of the run. A folder gets its name only once it is complete, and older ones are deleted
only after that, so a run killed at any moment leaves its newest or its previous checkpoint intact.
Each array's CRC-32 is checked when it is read; nothing is unpickled.

What else is in ``PATH`` is the user's: only folders named ``round_<digits>`` (temporarily
``.writing_round_…`` and ``.deleted_round_…``) that hold the store's marker file or metadata are
read, replaced or deleted, also with ``overwrite``. Another folder of such a name is ignored; if it
takes the name of a checkpoint to be written, that one is named ``round_…_1``. The round stored
inside a checkpoint counts, not its folder's name, and folders set aside as ``damaged_…`` are never
deleted. One run at a time uses a folder: it holds a lock until it ends, however it ends.
"""

from jaxswarm.checkpoint._fingerprint import fingerprint as fingerprint
from jaxswarm.checkpoint._spec import (
    Checkpoint,
    CheckpointCorruptError,
    CheckpointError,
    CheckpointExistsError,
    CheckpointLockedError,
    CheckpointMismatchError,
    CheckpointWarning,
)
from jaxswarm.checkpoint._store import Store as Store

__all__ = [
    "Checkpoint",
    "CheckpointCorruptError",
    "CheckpointError",
    "CheckpointExistsError",
    "CheckpointLockedError",
    "CheckpointMismatchError",
    "CheckpointWarning",
]
