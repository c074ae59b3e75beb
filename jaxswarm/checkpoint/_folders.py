"""Ownership of the entries of a checkpoint folder: the store's marker, temporary names, the lock.

A run deletes and replaces nothing but folders that match one of the store's name patterns *and*
hold its marker file; everything else in the folder is the user's and stays untouched.
"""

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import time
from pathlib import Path

from jaxswarm.checkpoint import _orbax

MARKER = ".jaxswarm_checkpoint"
"""File that marks a folder as the store's; written first, deleted last."""
LOCK = ".jaxswarm_lock"
"""File in a checkpoint folder that is locked while a run writes there; removed at its end."""

_CHECKPOINT = re.compile(r"round_(\d+)(?:_\d+)?")
_TEMPORARY = re.compile(r"\.(?:writing|deleted)_round_\d+(?:_\d+)?_[0-9a-f]{8}")


class InUseError(Exception):
    """The lock of a folder is held by another run; the message describes that run."""


def mark(folder: Path) -> None:
    """Write the marker into a folder."""
    (folder / MARKER).write_text("This folder is written and deleted by jaxswarm.checkpoint.\n")


def is_marked(folder: Path) -> bool:
    """Return whether a path is a folder with the marker, and no symbolic link to one."""
    return not folder.is_symlink() and (folder / MARKER).is_file()


def temporary(parent: Path, kind: str, name: str) -> Path:
    """Return a new name such as ``.writing_round_0000000012_1f03b2c4``; creates nothing."""
    return parent / f".{kind}_{name}_{secrets.token_hex(4)}"


def make_temporary(parent: Path, name: str) -> Path:
    """Create a marked folder to write a checkpoint into; nothing is left if that fails."""
    folder = temporary(parent, "writing", name)
    folder.mkdir()
    try:
        mark(folder)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def remove(folder: Path) -> None:
    """Delete a marked folder; the marker goes last, so that an interrupted deletion can resume."""
    for entry in folder.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    (folder / MARKER).unlink(missing_ok=True)
    folder.rmdir()


def discard(folder: Path) -> None:
    """Delete a temporary folder that this process has made, as far as that is possible now.

    Threads of a failed save may write there for a moment, and create it anew without a marker.
    """
    try:
        remove(folder)
    except OSError:
        if not is_marked(folder):
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(parent: Path) -> None:
    """Delete marked temporary folders that a killed run has left."""
    for folder in parent.iterdir():
        if _TEMPORARY.fullmatch(folder.name) and is_marked(folder):
            with contextlib.suppress(OSError):
                remove(folder)


class Lock:
    """The lock of a folder, held by this object until :meth:`release` or the process's end.

    An advisory ``flock``: the operating system frees it however the process ends. Where there is
    none (Windows, some network file systems) nothing is locked and ``problem`` says why.

    Raises:
        InUseError: if another run, of this process too, holds it.
        OSError: if the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._descriptor: int | None = None
        self.problem = ""
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self.problem = _flock(descriptor)
                if self.problem or self._is_current(descriptor):
                    self._descriptor = descriptor
            finally:
                if self._descriptor is None:
                    os.close(descriptor)
        try:
            os.ftruncate(self._descriptor, 0)
            holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.ctime()}
            os.write(self._descriptor, json.dumps(holder).encode())
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Remove the file and free the lock; does nothing the second time."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            self._path.unlink()  # while locked: a run that has opened it sees that it is gone
        os.close(self._descriptor)
        self._descriptor = None

    def _is_current(self, descriptor: int) -> bool:
        """Whether the locked file still has its name; the run before may have removed it."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        mine = os.fstat(descriptor)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _flock(descriptor: int) -> str:
    """Lock an open file; returns why files cannot be locked here, empty if it is locked."""
    try:
        import fcntl
    except ImportError:  # Windows
        return "this system has no flock"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InUseError(_holder(descriptor)) from None
    except OSError as error:  # a file system without locks
        return str(error)
    return ""


def _holder(descriptor: int) -> str:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return f"process {found['pid']} on {found['host']} since {found['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


def checkpoints(parent: Path) -> list[tuple[int, Path]]:
    """Return ``(round stored inside, folder)`` of the store's checkpoints, oldest first."""
    entries = parent.iterdir() if parent.is_dir() else ()
    found = [(stored_round(folder), folder) for folder in entries if is_checkpoint(folder)]
    # Of two copies of one round, the one that was not renamed comes last.
    return sorted(found, key=lambda x: (x[0], named_round(x[1]) == x[0], x[1].name))


def is_checkpoint(folder: Path) -> bool:
    """Return whether a path is a checkpoint: its name, and its marker or its metadata."""
    if not _CHECKPOINT.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    if is_marked(folder):
        return True
    try:
        _orbax.read_meta(folder)
    except (OSError, ValueError):
        return False
    return True


def stored_round(folder: Path) -> int:
    """Return the round stored in a checkpoint; where that is unreadable, the one in its name."""
    try:
        return _orbax.read_meta(folder)["round"]
    except (OSError, ValueError):
        return named_round(folder)


def named_round(folder: Path) -> int:
    """Return the round in the name of a checkpoint's folder."""
    matched = _CHECKPOINT.fullmatch(folder.name)
    assert matched is not None
    return int(matched.group(1))


def free_name(parent: Path, done: int) -> str:
    """Return the name to save round ``done`` under: free, or of a checkpoint of that round."""
    name, copy = f"round_{done:010d}", 0
    while True:
        folder = parent / (f"{name}_{copy}" if copy else name)
        if not os.path.lexists(folder) or (is_checkpoint(folder) and stored_round(folder) == done):
            return folder.name
        copy += 1


def delete(checkpoint: Path) -> None:
    """Delete a checkpoint; it is renamed first, so that no reader finds a part of one."""
    if not is_marked(checkpoint):
        mark(checkpoint)
    renamed = temporary(checkpoint.parent, "deleted", checkpoint.name)
    os.replace(checkpoint, renamed)
    with contextlib.suppress(OSError):
        remove(renamed)
