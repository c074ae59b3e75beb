"""One checkpoint's files: arrays written and read by orbax, metadata as JSON, both verified."""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxswarm.checkpoint._fingerprint import crc32

_LEFT_SECONDS = 5.0

Arrays = dict[str, dict[str, np.ndarray]]
"""``{"state" or "records": {position of the leaf: array}}``."""


def write(folder: Path, done: int, arrays: Arrays, entries: dict[str, Any]) -> None:
    """Write the arrays after ``done`` rounds and the run's fingerprint to a new folder."""
    import orbax.checkpoint as ocp

    meta = {
        "round": done,
        "fingerprint": entries,
        "crc32": {what: {k: crc32(x) for k, x in part.items()} for what, part in arrays.items()},
        "versions": {"jax": jax.__version__, "orbax": ocp.__version__},
    }
    others = set(threading.enumerate())
    with _without_log(), _checkpointer() as writer:
        try:
            writer.save(
                folder,
                ocp.args.Composite(
                    arrays=ocp.args.PyTreeSave({**arrays, "round": np.int64(done)}),
                    meta=ocp.args.JsonSave(meta),
                ),
            )
        except Exception:
            _wait_for_threads(others)
            raise


def read_meta(folder: Path) -> dict[str, Any]:
    """Read the metadata ``{"round", "fingerprint", "crc32", …}`` of a checkpoint.

    Raises:
        OSError: if the file is missing or unreadable.
        ValueError: if it is no metadata of a checkpoint.
    """
    meta = json.loads((folder / "meta" / "metadata").read_text())
    if not (
        isinstance(meta, dict)
        and isinstance(meta.get("fingerprint"), dict)
        and isinstance(meta.get("crc32"), dict)
        and isinstance(meta.get("round"), int)
        and "format" in meta["fingerprint"]
    ):
        raise ValueError("the metadata is incomplete")
    return meta


def read_arrays(folder: Path, meta: dict[str, Any]) -> Arrays:
    """Read the arrays that the metadata lists.

    Raises:
        Exception: of many types, if a file is damaged; a ``ValueError`` for a wrong checksum or a
            round other than the metadata's.
    """
    import orbax.checkpoint as ocp

    item = {**meta["crc32"], "round": 0}
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item)
    request = ocp.args.PyTreeRestore(item=item, restore_args=as_numpy)
    with _checkpointer() as reader:
        arrays = reader.restore(folder, ocp.args.Composite(arrays=request))["arrays"]
    for what, checksums in meta["crc32"].items():
        for name, expected in checksums.items():
            if crc32(arrays[what][name]) != expected:
                raise ValueError(f"wrong checksum of {what} leaf {name}")
    stored = int(np.asarray(arrays.pop("round")).item())
    if stored != meta["round"]:
        raise ValueError(f"the metadata names round {meta['round']}, the arrays are of {stored}")
    return arrays


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Keep orbax's tracebacks of failures out of the log: they are raised as well."""
    logger = logging.getLogger("absl")

    def is_other(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname

    logger.addFilter(is_other)
    try:
        yield
    finally:
        logger.removeFilter(is_other)


def _wait_for_threads(others: set[threading.Thread]) -> None:
    """Wait until the threads that orbax leaves behind when one of them fails have ended.

    They are its own and the workers of its event loops, which may create a deleted folder anew.
    ``others`` ran before.
    """
    for thread in set(threading.enumerate()) - others:
        if type(thread).__module__.startswith("orbax") or thread.name.startswith("asyncio_"):
            thread.join(_LEFT_SECONDS)


def _checkpointer() -> Any:
    """Orbax checkpointer of this process alone; the store coordinates the processes."""
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
