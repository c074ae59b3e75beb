"""What several processes that run one program must do together.

Every process runs the same Python; whatever decides which device program runs next (how many
rounds, whether to save, whether Ctrl-C was pressed) must come out the same in all of them, or they
wait for each other forever.
"""

from typing import Any

import jax
import numpy as np


def is_primary() -> bool:
    """Whether this is process 0, the one that prints and writes."""
    return jax.process_index() == 0


def is_shared(sharding: Any) -> bool:
    """Whether arrays placed so live on devices of other processes too."""
    return not sharding.is_fully_addressable


def agree(number: int, wanted: bool, alarm: bool) -> tuple[int, bool, bool]:
    """Process 0's ``number`` and ``wanted``, and whether anybody raised an ``alarm``."""
    from jax.experimental import multihost_utils

    votes = np.asarray([number, wanted, alarm], np.int32)
    everyone = np.asarray(multihost_utils.process_allgather(votes)).reshape(-1, 3)
    return int(everyone[0, 0]), bool(everyone[0, 1]), bool(everyone[:, 2].any())


def wait_for_all(name: str) -> None:
    """Return once every process has come here.

    Args:
        name: of this place in the program, the same in all processes.
    """
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(name)


def to_host(leaf: Any) -> np.ndarray:
    """The whole array in every process's memory; all processes must ask."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
    return np.asarray(leaf)
