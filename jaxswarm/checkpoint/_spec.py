"""Where a simulation saves its checkpoints and how often; the errors and warnings about them."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from jaxswarm import checks

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


class CheckpointError(ValueError):
    """Base class: a checkpoint prevents the run from starting."""


class CheckpointExistsError(CheckpointError):
    """A checkpoint exists already, and neither ``resume`` nor ``overwrite`` was given."""


class CheckpointLockedError(CheckpointError):
    """Another run is using the folder; the message says which process on which host."""


class CheckpointMismatchError(CheckpointError):
    """The checkpoint belongs to another run; the message lists the entries that differ."""


class CheckpointCorruptError(CheckpointError):
    """No checkpoint is readable; the message names the folders and the errors."""


class CheckpointWarning(UserWarning):
    """Warning that a checkpoint was damaged or renamed, or that one could not be saved."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Location and frequency of the checkpoints of a simulation.

    Args:
        path: a folder on a local or shared file system; created if it does not exist. ``~`` stands
            for the home directory.
        every_seconds: save when this time has passed since the last save, at least 0.
        every_rounds: save also after every this many rounds, at least 1.
        keep: number of the newest checkpoints to keep, at least 1; 2 leaves one to fall back on.
        overwrite: delete the checkpoints found at ``path`` when a run starts without ``resume``.

    Raises:
        ValueError: for a value out of its range.
        CheckpointError: a ``ValueError``, for an empty path or a URL such as ``gs://…``.

    Example:
        >>> import tempfile, jax, jaxswarm as js
        >>> folder = tempfile.TemporaryDirectory()
        >>> saved = js.Checkpoint(folder.name, every_rounds=2)
        >>> def step(key, state, inputs):
        ...     return state + 1, state
        >>> options = dict(key=jax.random.key(0), checkpoint=saved, progress=False)
        >>> state, records = js.simulate(step, 0, 4, **options)
        >>> state, records = js.simulate(step, 0, 6, resume=True, **options)  # rounds 4 and 5
        >>> int(state), records.info.tolist()
        (6, [0, 1, 2, 3, 4, 5])
        >>> folder.cleanup()
    """

    path: str | os.PathLike[str]
    every_seconds: float = 30.0
    every_rounds: int | None = None
    keep: int = 2
    overwrite: bool = False

    def __post_init__(self) -> None:
        local_path(self.path)
        checks.real("every_seconds", self.every_seconds, 0.0, infinite=True)
        if self.every_rounds is not None:
            checks.whole("every_rounds", self.every_rounds, 1)
        checks.whole("keep", self.keep, 1)
        checks.mask("overwrite", self.overwrite, ())


def local_path(path: Any) -> Path:
    """Return the absolute path of a checkpoint folder, with ``~`` expanded.

    Raises:
        CheckpointError: for an empty path, a URL, or what is no path.
    """
    wanted = "checkpoint path: expected a folder on a local or shared file system"
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise CheckpointError(f"{wanted}, got {checks.shown(path)}")
    if _URL.match(text):
        raise CheckpointError(f"{wanted}, got {text!r}; URLs and object stores are not supported")
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise CheckpointError(f"{wanted}, got {text!r}: {error}") from None
