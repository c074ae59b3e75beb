"""Fingerprint of a run: the entries in which two runs must agree for one to resume the other."""

import dataclasses
import json
import os
import zlib
from typing import Any

import jax
import numpy as np

from jaxswarm._rollout import is_key, leaf_name
from jaxswarm.sharding import processes
from jaxswarm.types import PyTree

FORMAT = 2
FLAGS = (
    "jax_enable_x64",
    "jax_threefry_partitionable",
    "jax_default_prng_impl",
    "jax_default_matmul_precision",
)
"""Flags of jax that change a run's numbers."""


def fingerprint(
    *, state: PyTree, record: PyTree, inputs: PyTree, key: jax.Array, every: int, config: Any
) -> dict[str, Any]:
    """Flat JSON description of a run: shapes and dtypes, the inputs' values, key, flags, config.

    The values of every leaf of ``inputs`` enter by their CRC-32: they are read once, at about one
    gigabyte a second, and leaves split over several processes are gathered one at a time. Neither
    the number of rounds nor what ``step`` closes over is part of it.

    Raises:
        ValueError: if ``config`` is not a dict or dataclass of JSON values; the message names the
            entry.
    """
    entries: dict[str, Any] = {"format": FORMAT, "every": every}
    entries["key"] = f"{key.dtype} {np.asarray(jax.random.key_data(key)).tolist()}"
    for flag in FLAGS:
        value = getattr(jax.config, flag)
        entries[flag] = value if value is None or isinstance(value, bool) else str(value)
    info, evaluation = record
    trees = {"state": state, "info": info, "evaluation": evaluation, "inputs": inputs}
    for what, tree in trees.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
            entries[what + leaf_name(path)] = f"{leaf.dtype}{list(leaf.shape)}"
    for path, leaf in jax.tree_util.tree_leaves_with_path(inputs):
        entries["inputs" + leaf_name(path)] += f" of CRC-32 {crc32(to_host(leaf)):08x}"
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    if config is not None and not isinstance(config, dict):
        raise ValueError(f"config: expected a dict or a dataclass, got {type(config).__name__}")
    _flatten("config", config or {}, entries)
    return entries


def to_host(leaf: jax.Array) -> np.ndarray:
    """Copy a leaf to the host, typed keys as their data; all processes that hold it must call."""
    return processes.to_host(jax.random.key_data(leaf) if is_key(leaf) else leaf)


def crc32(array: np.ndarray) -> int:
    """CRC-32 of an array's bytes in row-major order."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


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
        # NaN as text: it would not even be equal to itself.
        into[name] = json.loads(json.dumps(value), parse_constant=str)
    except TypeError:
        raise ValueError(
            f"{name}: expected numbers, strings, lists or dicts of them, got {type(value).__name__}"
        ) from None
