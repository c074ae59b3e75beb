"""The checkpoints in one folder, written and read for one run, by one process or several."""

import contextlib
import errno
import json
import os
import socket
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm._rollout import Records, is_key
from jaxswarm.checkpoint import _folders, _orbax
from jaxswarm.checkpoint._fingerprint import to_host
from jaxswarm.checkpoint._spec import (
    Checkpoint,
    CheckpointCorruptError,
    CheckpointError,
    CheckpointExistsError,
    CheckpointLockedError,
    CheckpointMismatchError,
    CheckpointWarning,
    local_path,
)
from jaxswarm.sharding import processes
from jaxswarm.sharding._mesh import place
from jaxswarm.types import PyTree

_SHOWN = 5
_SEEN_SECONDS = 5.0
"""Time for a new file to appear to the other processes of a shared file system."""


class Store:
    """The checkpoints at one path, written and read for one run; a context that holds the lock.

    Checkpoints hold whole arrays, so one written on a mesh (or by several processes) restores on
    any other. With ``shared``, all processes make every call: process 0 writes, all read, and an
    error of one is raised in all.
    """

    def __init__(self, spec: Checkpoint, entries: dict[str, Any], *, shared: bool = False) -> None:
        self.spec = spec
        self.path = local_path(spec.path)
        self._shared = shared
        self._writes = not shared or processes.is_primary()
        self._entries = entries
        self._saved_at = time.monotonic()
        self._failing = False
        self._lock: _folders.Lock | None = None
        self._unfinished: list[Path] = []
        self._failed: set[Path] = set()  # threads of orbax may create these anew

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        deadline = time.monotonic() + _SEEN_SECONDS
        while self._remove_unfinished() and time.monotonic() < deadline:
            time.sleep(0.05)  # threads of orbax may still be writing there
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def prepare(self, resume: bool) -> None:
        """Create and lock the folder; unless resuming, refuse existing checkpoints or delete them.

        Raises:
            CheckpointExistsError: naming the path.
            CheckpointLockedError: naming the run that uses the folder.
            CheckpointError: if the folder cannot be written or not all processes see it.
        """
        self._agreed(lambda: self._prepare(resume))
        if self._lock is not None and self._lock.problem:
            warnings.warn(
                f"{self.path} cannot be locked ({self._lock.problem}): two runs that use it "
                "at once would not notice each other",
                CheckpointWarning,
                stacklevel=3,
            )
        if self._shared:
            self._check_shared()

    def load(
        self, state: PyTree, record: PyTree, num_rounds: int
    ) -> tuple[PyTree, Records, int] | None:
        """The newest readable ``(state, records, rounds done)``; ``None`` if there is none at all.

        Args:
            state: a state like the one saved: gives structure and placement.
            record: shapes of one record, ``(info, evaluation)``.
            num_rounds: total number of rounds of the run.

        Raises:
            CheckpointMismatchError: if it belongs to another run, or is beyond ``num_rounds``.
            CheckpointCorruptError: if there are checkpoints and none can be read.
        """
        notes: list[str] = []
        read: list[tuple[int, _orbax.Arrays]] = []
        name = self._agreed(lambda: self._choose(num_rounds, notes, read))
        for note in notes:
            warnings.warn(note, CheckpointWarning, stacklevel=3)
        if not name:
            return None
        self._agreed(lambda: self._read(name, read), everywhere=True)
        done, arrays = read[0]
        return *self._unpack(arrays, state, record), done

    def save(self, done: int, state: PyTree, records: Records, last: bool = False) -> bool:
        """Write the checkpoint after ``done`` rounds, then delete all but the newest ``keep``.

        A failure (such as a full disk) is a :class:`CheckpointWarning`, given for the first of
        several failures in a row and for the ``last`` save; checkpoints saved before stay.

        Returns:
            Whether the checkpoint was written.
        """
        arrays = {"state": _numbered(state), "records": _numbered(records)}
        problem = self._agreed(lambda: self._try_to_write(done, arrays))
        self._saved_at = time.monotonic()
        if problem and self._writes and (last or not self._failing):
            after = "nothing more is saved" if last else "the run continues and tries again"
            warnings.warn(
                f"the checkpoint after {done} rounds could not be saved in {self.path} "
                f"({problem}); {after}",
                CheckpointWarning,
                stacklevel=3,
            )
        self._failing = bool(problem)
        return not problem

    def due(self, done: int) -> bool:
        """Whether it is time to save after ``done`` rounds."""
        by_round = self.spec.every_rounds is not None and done % self.spec.every_rounds == 0
        return by_round or time.monotonic() - self._saved_at >= self.spec.every_seconds

    def next_stop(self, done: int) -> int | None:
        """The next round count at which ``every_rounds`` requires a save."""
        every = self.spec.every_rounds
        return None if every is None else (done // every + 1) * every

    def _agreed(self, action: Callable[[], str | None], everywhere: bool = False) -> str:
        """Run an action in process 0, or in all; returns process 0's text in all processes.

        Raises:
            CheckpointError: the first one of any process; an ``OSError`` becomes one.
        """
        text, problem = "", None
        if self._writes or everywhere:
            try:
                text = action() or ""
            except CheckpointError as error:
                problem = error
            except OSError as error:
                problem = CheckpointError(
                    f"checkpoint: expected a folder that can be written and read, got {self.path} "
                    f"({type(error).__name__}: {error})"
                )
        if not self._shared:
            if problem is not None:
                raise problem
            return text
        mine = [type(problem).__name__ if problem else "", str(problem or text)[:1000]]
        answers = [json.loads(line) for line in processes.share(json.dumps(mine))]
        for kind, message in answers:
            if kind:
                raise _KINDS[kind](message)
        return answers[0][1]

    def _prepare(self, resume: bool) -> None:
        if os.path.lexists(self.path) and not self.path.is_dir():
            raise CheckpointError(f"checkpoint: expected a folder, got the file {self.path}")
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = _folders.Lock(self.path)
        except _folders.InUseError as holder:
            raise CheckpointLockedError(
                f"checkpoint: {self.path} is in use by {holder}; wait for that run or choose "
                "another folder"
            ) from None
        found = _folders.checkpoints(self.path)
        if found and not (resume or self.spec.overwrite):
            raise CheckpointExistsError(
                f"checkpoint: {self.path} already holds a run (round {found[-1][0]}); "
                "continue it with resume=True or delete it with Checkpoint(…, overwrite=True)"
            )
        _folders.remove_leftovers(self.path)
        for _, folder in [] if resume else found:
            _folders.delete(folder)

    def _check_shared(self) -> None:
        """Check that all processes see the file that process 0 writes into its folder."""
        token = _folders.temporary(self.path, "shared", "by")

        def write() -> str:
            token.touch()
            return token.name

        name = self._agreed(write)

        def look() -> None:
            deadline = time.monotonic() + _SEEN_SECONDS
            while not (self.path / name).exists():
                if time.monotonic() > deadline:
                    raise CheckpointError(
                        f"checkpoint: expected one folder that all processes share, but process "
                        f"{jax.process_index()} (on {socket.gethostname()}) does not find process "
                        f"0's files in {self.path}"
                    )
                time.sleep(0.05)

        try:
            self._agreed(look, everywhere=True)
        finally:
            if self._writes:
                token.unlink(missing_ok=True)

    def _choose(
        self, num_rounds: int, notes: list[str], read: list[tuple[int, _orbax.Arrays]]
    ) -> str | None:
        """Read the newest readable checkpoint into ``read``; returns its folder's name."""
        damaged: list[tuple[Path, str]] = []
        for done, folder in reversed(_folders.checkpoints(self.path)):
            try:
                meta = _orbax.read_meta(folder)
                arrays = None if self._differences(meta) else _orbax.read_arrays(folder, meta)
            except MemoryError:
                raise
            except Exception as error:  # orbax raises errors of many types on damaged files
                damaged.append((folder, f"{folder} ({_brief(error)})"))
                continue
            if arrays is None:
                raise CheckpointMismatchError(
                    f"checkpoint: {folder} belongs to another run; "
                    + "; ".join(self._differences(meta))
                )
            if done > num_rounds:
                raise CheckpointMismatchError(
                    f"checkpoint: {folder} is after {done} rounds, expected at most "
                    f"num_rounds={num_rounds}"
                )
            for bad, _ in damaged:
                os.replace(bad, self.path / f"damaged_{bad.name}_{time.time_ns()}")
            if damaged:
                listed = ", ".join(text for _, text in damaged)
                notes.append(f"unreadable: {listed}; continuing from {folder}")
            if _folders.named_round(folder) != done:
                notes.append(
                    f"{folder} was renamed: it holds round {done}, and the run continues from there"
                )
            read.append((done, arrays))
            return folder.name
        if damaged:
            raise CheckpointCorruptError(
                "checkpoint: expected a readable one, got only damaged ones: "
                + ", ".join(text for _, text in damaged)
            )
        return None

    def _read(self, name: str, read: list[tuple[int, _orbax.Arrays]]) -> None:
        """Read the checkpoint that process 0 chose, in the processes that have not read it."""
        if read:
            return
        folder = self.path / name
        try:
            meta = _orbax.read_meta(folder)
            read.append((meta["round"], _orbax.read_arrays(folder, meta)))
        except Exception as error:
            raise CheckpointCorruptError(
                f"checkpoint: process {jax.process_index()} cannot read {folder} ({_brief(error)})"
            ) from error

    def _try_to_write(self, done: int, arrays: _orbax.Arrays) -> str:
        """Write a checkpoint; returns what went wrong, empty if nothing did."""
        unfinished, problem = None, ""
        self._remove_unfinished()
        try:
            name = _folders.free_name(self.path, done)
            folder = self.path / name
            unfinished = _folders.make_temporary(self.path, name)
            _orbax.write(unfinished / name, done, arrays, self._entries)
            _folders.mark(unfinished / name)
            if folder.exists():  # a checkpoint of the same round
                _folders.delete(folder)
            os.replace(unfinished / name, folder)
        except Exception as error:  # orbax raises errors of many types
            problem = _brief(error)
        if unfinished is not None:
            self._unfinished.append(unfinished)
            if problem:
                self._failed.add(unfinished)
            self._remove_unfinished()
        if not problem:
            with contextlib.suppress(OSError):  # what cannot be deleted now is deleted later
                self._delete_old()
        return problem

    def _remove_unfinished(self) -> bool:
        """Delete the folders of this run's saves; returns whether some could not be deleted."""
        for folder in self._unfinished:
            _folders.discard(folder)
        self._unfinished = [x for x in self._unfinished if x in self._failed or x.exists()]
        return any(folder.exists() for folder in self._unfinished)

    def _delete_old(self) -> None:
        found = _folders.checkpoints(self.path)
        newest = sorted({done for done, _ in found})[-self.spec.keep :]
        for done, folder in found:
            if done not in newest:
                _folders.delete(folder)

    def _differences(self, meta: dict[str, Any]) -> list[str]:
        saved, lines = meta["fingerprint"], []
        for name in dict.fromkeys([*self._entries, *saved]):
            expected, found = self._entries.get(name, "nothing"), saved.get(name, "nothing")
            if expected != found:
                lines.append(f"{name}: expected {expected} (this run), found {found} (checkpoint)")
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        return lines[:_SHOWN] + more

    def _unpack(
        self, arrays: _orbax.Arrays, state: PyTree, record: PyTree
    ) -> tuple[PyTree, Records]:
        leaves, treedef = jax.tree.flatten(state)
        restored = [_like(arrays["state"].get(str(i)), x) for i, x in enumerate(leaves)]
        count = len(arrays["records"].get("0", ()))  # leaf 0 is Records.round
        structs, record_def = jax.tree.flatten(Records(jax.ShapeDtypeStruct((), np.int32), *record))
        rows = [
            arrays["records"].get(str(i), np.zeros((count, *x.shape), x.dtype))
            for i, x in enumerate(structs)
        ]
        return treedef.unflatten(restored), record_def.unflatten(rows)


_KINDS: dict[str, type[CheckpointError]] = {
    kind.__name__: kind
    for kind in (
        CheckpointError,
        CheckpointExistsError,
        CheckpointLockedError,
        CheckpointMismatchError,
        CheckpointCorruptError,
    )
}


def _numbered(tree: PyTree) -> dict[str, np.ndarray]:
    host = [to_host(x) for x in jax.tree.leaves(tree)]
    return {str(i): x for i, x in enumerate(host) if x.size}  # orbax refuses arrays of size 0


def _like(saved: np.ndarray | None, leaf: jax.Array) -> jax.Array:
    if saved is None:
        return leaf
    value = jnp.array(saved, copy=True)
    if is_key(leaf):
        value = jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf))
    single = isinstance(leaf.sharding, jax.sharding.SingleDeviceSharding)
    return value if single else place(value, leaf.sharding)


def _brief(error: Exception) -> str:
    """The kind of an error and its cause, or else the first line of its message."""
    for cause in map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)):
        if cause in str(error):  # orbax hides it in a long text
            return f"{type(error).__name__}: {cause}"
    line = (str(error).strip().splitlines() or ["no message"])[0][:200]
    return f"{type(error).__name__}: {line}"
