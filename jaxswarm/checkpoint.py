"""Checkpoints of a simulation: atomic folders written by orbax, verified when they are read.

``PATH/round_0000000120/`` holds the state, the records so far and the key after 120 rounds, with a
fingerprint of the run. A folder gets its name only once it is complete, and older ones are deleted
only after that, so a run killed at any moment leaves its newest or its previous checkpoint intact.
Each array's CRC-32 is checked when it is read; nothing is unpickled.
"""

import dataclasses
import json
import os
import re
import shutil
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm._rollout import Records, is_key, leaf_name
from jaxswarm.sharding import processes
from jaxswarm.sharding._mesh import place
from jaxswarm.types import PyTree

_FORMAT = 1
_FOLDER = re.compile(r"round_(\d+)")
_SHOWN = 5


class CheckpointError(ValueError):
    """Base class: a checkpoint prevents the run from starting."""


class CheckpointExistsError(CheckpointError):
    """A checkpoint exists already, and neither ``resume`` nor ``overwrite`` was given."""


class CheckpointMismatchError(CheckpointError):
    """The checkpoint belongs to another run; the message lists the entries that differ."""


class CheckpointCorruptError(CheckpointError):
    """No checkpoint is readable; the message names the folders and the errors."""


class CheckpointWarning(UserWarning):
    """Warning that a damaged checkpoint was set aside and an older one used."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Location and frequency of the checkpoints of a simulation.

    Args:
        path: a folder on a local or shared file system; created if it does not exist.
        every_seconds: save when this time has passed since the last save, at least 0.
        every_rounds: save also after every this many rounds, at least 1.
        keep: number of the newest checkpoints to keep, at least 1; 2 leaves one to fall back on.
        overwrite: delete the checkpoints found at ``path`` when a run starts without ``resume``.

    Raises:
        ValueError: for a value out of its range.

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
        if not self.every_seconds >= 0:
            raise ValueError(f"every_seconds: expected at least 0, got {self.every_seconds}")
        if self.every_rounds is not None and self.every_rounds < 1:
            raise ValueError(f"every_rounds: expected at least 1, got {self.every_rounds}")
        if self.keep < 1:
            raise ValueError(f"keep: expected at least 1, got {self.keep}")


def fingerprint(
    *, state: PyTree, record: PyTree, inputs: PyTree, key: jax.Array, every: int, config: Any
) -> dict[str, Any]:
    """Flat JSON description of a run; two runs must agree in it for one to resume the other.

    The number of rounds is not part of it.

    Raises:
        ValueError: if ``config`` is not a dict or dataclass of JSON values; the message names the
            entry.
    """
    entries: dict[str, Any] = {"format": _FORMAT, "every": every}
    entries["key"] = f"{key.dtype} {np.asarray(jax.random.key_data(key)).tolist()}"
    info, evaluation = record
    trees = {"state": state, "info": info, "evaluation": evaluation, "inputs": inputs}
    for what, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            entries[what + leaf_name(path)] = f"{leaf.dtype}{list(leaf.shape)}"
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    if config is not None and not isinstance(config, dict):
        raise ValueError(f"config: expected a dict or a dataclass, got {type(config).__name__}")
    _flatten("config", config or {}, entries)
    return entries


class Store:
    """The checkpoints at one path, written and read for one run.

    Checkpoints hold whole arrays, so one written on a mesh (or by several processes) restores on
    any other. With ``shared``, all processes make every call: process 0 writes, all read.
    """

    def __init__(self, spec: Checkpoint, entries: dict[str, Any], *, shared: bool = False) -> None:
        self.spec = spec
        self._shared = shared
        self._writes = not shared or processes.is_primary()
        self.path = Path(spec.path).absolute()
        self._entries = entries
        self._saved_at = time.monotonic()
        if self.path.exists() and not self.path.is_dir():
            raise CheckpointError(f"checkpoint: expected a folder, got the file {self.path}")

    def prepare(self, resume: bool) -> None:
        """Create the folder; unless resuming, refuse existing checkpoints or ``overwrite`` them.

        Raises:
            CheckpointExistsError: naming the path.
        """
        found = self._rounds()
        if found and not resume:
            if not self.spec.overwrite:
                raise CheckpointExistsError(
                    f"checkpoint: {self.path} already holds a run (round {max(found)}); "
                    "continue it with resume=True or delete it with Checkpoint(…, overwrite=True)"
                )
        self._together("jaxswarm checkpoint found")
        if self._writes:
            for done in [] if resume else found:
                self._delete(self._folder(done))
            self.path.mkdir(parents=True, exist_ok=True)
            for leftover in self.path.glob(".*round_*"):
                shutil.rmtree(leftover, ignore_errors=True)
        self._together("jaxswarm checkpoint prepared")

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
        damaged: list[str] = []
        found = sorted(self._rounds(), reverse=True)
        for done in found:
            folder = self._folder(done)
            try:
                meta = self._read_meta(folder)
                arrays = None if self._differences(meta) else self._read_arrays(folder, meta)
            except Exception as error:  # orbax raises errors of many types on damaged files
                damaged.append(f"{folder} ({type(error).__name__}: {_first_line(error)})")
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
            self._together("jaxswarm checkpoint read")
            if damaged and self._writes:
                for bad in found[: found.index(done)]:
                    os.replace(
                        self._folder(bad), self.path / f"damaged_{bad:010d}_{time.time_ns()}"
                    )
                warnings.warn(
                    f"unreadable: {', '.join(damaged)}; continuing from {folder}",
                    CheckpointWarning,
                    stacklevel=3,
                )
            return *self._unpack(arrays, state, record), done
        if damaged:
            raise CheckpointCorruptError(
                f"checkpoint: expected a readable one, got only damaged ones: {', '.join(damaged)}"
            )
        return None

    def save(self, done: int, state: PyTree, records: Records) -> None:
        """Write the checkpoint after ``done`` rounds, then delete all but the newest ``keep``."""
        arrays = {"state": _numbered(state), "records": _numbered(records)}
        if self._writes:
            self._write(done, arrays)
        self._together("jaxswarm checkpoint saved")
        self._saved_at = time.monotonic()

    def _write(self, done: int, arrays: dict[str, dict[str, np.ndarray]]) -> None:
        import orbax.checkpoint as ocp

        meta = {
            "round": done,
            "fingerprint": self._entries,
            "crc32": {what: {k: _crc(x) for k, x in part.items()} for what, part in arrays.items()},
            "versions": {"jax": jax.__version__, "orbax": ocp.__version__},
        }
        unfinished = self.path / f".writing_round_{done:010d}"
        shutil.rmtree(unfinished, ignore_errors=True)
        with _checkpointer() as writer:
            writer.save(
                unfinished,
                ocp.args.Composite(
                    arrays=ocp.args.PyTreeSave({**arrays, "round": np.int64(done)}),
                    meta=ocp.args.JsonSave(meta),
                ),
            )
        folder = self._folder(done)
        if folder.exists():
            self._delete(folder)
        os.replace(unfinished, folder)
        for old in sorted(self._rounds())[: -self.spec.keep]:
            self._delete(self._folder(old))

    def due(self, done: int) -> bool:
        """Whether it is time to save after ``done`` rounds."""
        by_round = self.spec.every_rounds is not None and done % self.spec.every_rounds == 0
        return by_round or time.monotonic() - self._saved_at >= self.spec.every_seconds

    def next_stop(self, done: int) -> int | None:
        """The next round count at which ``every_rounds`` requires a save."""
        every = self.spec.every_rounds
        return None if every is None else (done // every + 1) * every

    def _together(self, place: str) -> None:
        if self._shared:
            processes.wait_for_all(place)

    def _rounds(self) -> list[int]:
        names = self.path.iterdir() if self.path.is_dir() else ()
        return [int(m.group(1)) for p in names if (m := _FOLDER.fullmatch(p.name)) and p.is_dir()]

    def _folder(self, done: int) -> Path:
        return self.path / f"round_{done:010d}"

    def _delete(self, folder: Path) -> None:
        # Renamed first, so that no reader finds a partly deleted checkpoint.
        renamed = self.path / f".deleted_{folder.name}"
        shutil.rmtree(renamed, ignore_errors=True)
        os.replace(folder, renamed)
        shutil.rmtree(renamed, ignore_errors=True)

    def _read_meta(self, folder: Path) -> dict[str, Any]:
        import orbax.checkpoint as ocp

        with _checkpointer() as reader:
            meta = reader.restore(folder, ocp.args.Composite(meta=ocp.args.JsonRestore()))["meta"]
        if not (isinstance(meta.get("fingerprint"), dict) and isinstance(meta.get("crc32"), dict)):
            raise ValueError("the metadata is incomplete")
        return meta

    def _read_arrays(self, folder: Path, meta: dict[str, Any]) -> dict[str, Any]:
        import orbax.checkpoint as ocp

        item = {**meta["crc32"], "round": 0}
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item)
        request = ocp.args.PyTreeRestore(item=item, restore_args=as_numpy)
        with _checkpointer() as reader:
            arrays = reader.restore(folder, ocp.args.Composite(arrays=request))["arrays"]
        for what, checksums in meta["crc32"].items():
            for name, expected in checksums.items():
                if _crc(arrays[what][name]) != expected:
                    raise ValueError(f"wrong checksum of {what} leaf {name}")
        return arrays

    def _differences(self, meta: dict[str, Any]) -> list[str]:
        saved, lines = meta["fingerprint"], []
        for name in dict.fromkeys([*self._entries, *saved]):
            expected, found = self._entries.get(name, "nothing"), saved.get(name, "nothing")
            if expected != found:
                lines.append(f"{name}: expected {expected} (this run), found {found} (checkpoint)")
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        return lines[:_SHOWN] + more

    def _unpack(self, arrays: Any, state: PyTree, record: PyTree) -> tuple[PyTree, Records]:
        leaves, treedef = jax.tree.flatten(state)
        restored = [_like(arrays["state"].get(str(i)), x) for i, x in enumerate(leaves)]
        count = len(arrays["records"].get("0", ()))  # leaf 0 is Records.round
        structs, record_def = jax.tree.flatten(Records(jax.ShapeDtypeStruct((), np.int32), *record))
        rows = [
            arrays["records"].get(str(i), np.zeros((count, *x.shape), x.dtype))
            for i, x in enumerate(structs)
        ]
        return treedef.unflatten(restored), record_def.unflatten(rows)


def _checkpointer() -> Any:
    """Orbax checkpointer of this process alone; :class:`Store` coordinates the processes."""
    import orbax.checkpoint as ocp

    alone = {}
    if jax.process_count() > 1:
        me = jax.process_index()
        alone["multiprocessing_options"] = ocp.options.MultiprocessingOptions(
            primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process_{me}"
        )
    composite = ocp.CompositeOptions(**alone) if alone else ocp.CompositeOptions()
    handler = ocp.CompositeCheckpointHandler(
        composite_options=composite,
        arrays=ocp.PyTreeCheckpointHandler(**alone),
        meta=ocp.JsonCheckpointHandler(**alone),
    )
    return ocp.Checkpointer(handler, **alone)


def _numbered(tree: PyTree) -> dict[str, np.ndarray]:
    leaves = [jax.random.key_data(x) if is_key(x) else x for x in jax.tree.leaves(tree)]
    host = [processes.to_host(x) for x in leaves]
    return {str(i): x for i, x in enumerate(host) if x.size}  # orbax refuses arrays of size 0


def _like(saved: np.ndarray | None, leaf: jax.Array) -> jax.Array:
    if saved is None:
        return leaf
    value = jnp.array(saved, copy=True)
    if is_key(leaf):
        value = jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf))
    single = isinstance(leaf.sharding, jax.sharding.SingleDeviceSharding)
    return value if single else place(value, leaf.sharding)


def _crc(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0][:200]


def _flatten(name: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for inner, entry in value.items():
            _flatten(f"{name}.{inner}", entry, into)
        return
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, np.ndarray | np.generic | jax.Array):
        value = np.asarray(value).tolist()
    try:
        into[name] = json.loads(json.dumps(value))
    except TypeError:
        raise ValueError(
            f"{name}: expected numbers, strings, lists or dicts of them, got {type(value).__name__}"
        ) from None
