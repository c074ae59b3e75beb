"""Fine-tuned base models kept in a folder, each under a hash of everything it depends on."""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import Checkpoint, checks
from jaxswarm._rollout import Records
from jaxswarm.checkpoint import (
    CheckpointCorruptError,
    CheckpointLockedError,
    CheckpointWarning,
    Store,
    fingerprint,
)
from jaxswarm.types import Key, Params, PyTree

_ADDRESS = re.compile(r"0x[0-9a-f]+")


class BaseModels:
    """One fine-tuning in a cache: its folder, and whether its result is there.

    Results are checkpoints of :mod:`jaxswarm.checkpoint`: written under another name first, arrays
    with checksums, nothing is unpickled.

    Args:
        folder: of the cache; created if it does not exist.
        key: of the fine-tuning.
        inputs: parameters and data, whose values enter the hash.
        config: sizes, targets and the hash of the program.

    Raises:
        ValueError: if ``folder`` is no folder.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, key: Key, inputs: PyTree, config: dict[str, Any]
    ) -> None:
        checks.instance("cache", folder, (str, os.PathLike), "'base_models'")
        if os.path.lexists(folder) and not os.path.isdir(folder):
            raise ValueError(f"cache: expected a folder, got the file {os.fspath(folder)}")
        self._entries = fingerprint(
            state=inputs[0],
            record=(None, None),
            inputs=inputs,
            key=key,
            every=1,
            config=config | {"jax": jax.__version__},
        )
        text = json.dumps(self._entries, sort_keys=True)
        self.name = f"sft_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self.path = os.path.join(os.fspath(folder), self.name)

    def load(self, params: Params) -> tuple[Params, np.ndarray, int, bool] | None:
        """``(params, pass rates, steps, reached)``; ``None`` if it is not there or damaged."""
        if not os.path.isdir(self.path):
            return None
        try:
            with Store(Checkpoint(self.path), self._entries) as store:
                store.prepare(resume=True)
                found = store.load(_state(params, 0, False), _RECORD, 1)
        except CheckpointLockedError:
            return None
        except CheckpointCorruptError as error:
            warnings.warn(f"the base model is built anew: {error}", CheckpointWarning, stacklevel=3)
            return None
        if found is None:
            return None
        state, records, _ = found
        rates = np.asarray(records.evaluation, np.float64)
        return state["params"], rates, int(state["num_steps"]), bool(state["reached"])

    def save(self, params: Params, rates: np.ndarray, num_steps: int, reached: bool) -> None:
        """Keep a result in place of what is there, unless another process is doing so."""
        records = Records(np.arange(len(rates), dtype=np.int32), None, np.asarray(rates))
        try:
            with Store(Checkpoint(self.path, overwrite=True), self._entries) as store:
                store.prepare(resume=False)
                store.save(1, _state(params, num_steps, reached), records, last=True)
        except CheckpointLockedError:
            return


_RECORD = (None, jax.ShapeDtypeStruct((), np.float64))


def _state(params: Params, num_steps: int, reached: bool) -> dict[str, Any]:
    counted = {"num_steps": jnp.int32(num_steps), "reached": jnp.asarray(reached)}
    return {"params": params, **counted}


def program_hash(function: Callable[..., Any], *args: Any) -> str:
    """Hash of a function's traced program: its operations, numbers and the arrays it closes over.

    Two functions of equal source that close over different step sizes or parameters have different
    programs, so that a cache needs no description of models and optimizers.

    Args:
        function: what ``jax.make_jaxpr`` can trace.
        *args: arguments, of which shapes and dtypes count.
    """
    closed = jax.make_jaxpr(function)(*args)
    digest = hashlib.sha256(_ADDRESS.sub("", str(closed)).encode())
    for constant in _constants(closed):
        typed = jnp.issubdtype(getattr(constant, "dtype", float), jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(constant) if typed else constant)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _constants(value: Any) -> Iterator[Any]:
    """Arrays that a program and the programs inside it close over."""
    yield from getattr(value, "consts", ())
    inner = getattr(value, "jaxpr", value)
    for equation in getattr(inner, "eqns", ()):
        for param in equation.params.values():
            for each in param if isinstance(param, list | tuple) else (param,):
                if hasattr(each, "eqns") or hasattr(each, "jaxpr"):
                    yield from _constants(each)
