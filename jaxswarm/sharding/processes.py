"""Coordination of several processes that run one program: agree, wait, gather to the host.

Every process runs the same Python; all decisions about which device program runs next (how many
rounds, whether to save, whether Ctrl-C was pressed) must be the same in all of them, or they wait
for each other forever.
"""

from typing import Any

import jax
import numpy as np

_TEXT_BYTES = 8192


def is_primary() -> bool:
    """Return whether this is process 0, the one that prints and writes."""
    return jax.process_index() == 0


def is_shared(sharding: Any) -> bool:
    """Return whether a sharding includes devices of other processes."""
    return not sharding.is_fully_addressable


def agree(number: int, wanted: bool, *alarms: bool) -> tuple[Any, ...]:
    """Return process 0's ``number`` and ``wanted``, and of each alarm whether any raised it."""
    from jax.experimental import multihost_utils

    votes = np.asarray([number, wanted, *alarms], np.int32)
    gathered = np.asarray(multihost_utils.process_allgather(votes)).reshape(-1, len(votes))
    raised = (bool(flag) for flag in np.any(gathered[:, 2:], axis=0).tolist())
    return int(gathered[0, 0]), bool(gathered[0, 1]), *raised


def wait_for_all(name: str) -> None:
    """Wait until every process has called this.

    Args:
        name: of this point in the program, the same in all processes.
    """
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(name)


def to_host(leaf: Any) -> np.ndarray:
    """Copy the whole array to every process's memory; all processes must call this."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
    return np.asarray(leaf)


def share(text: str) -> list[str]:
    """Return the texts of all processes, in their order; all processes must call this.

    Args:
        text: at most 8192 bytes of UTF-8; what is longer is cut off.
    """
    from jax.experimental import multihost_utils

    line = np.zeros(_TEXT_BYTES, np.uint8)
    data = text.encode()[:_TEXT_BYTES]
    line[: len(data)] = np.frombuffer(data, np.uint8)
    lines = np.asarray(multihost_utils.process_allgather(line)).reshape(-1, _TEXT_BYTES)
    return [bytes(line).rstrip(b"\0").decode(errors="ignore") for line in lines]
