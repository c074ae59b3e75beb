"""The folder of one run: config, metrics, claims, versions and figure under ``runs/NAME/TIME``."""

import json
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.claims import Claim
from experiments.harness.protocol import Results


def new_folder(root: str | Path, name: str) -> Path:
    """Create ``root/name/TIME``, unique even within a second."""
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S")
    for attempt in range(1, 1000):
        folder = Path(root) / name / (stamp if attempt == 1 else f"{stamp}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{Path(root) / name / stamp}: too many runs within one second")


def save_metrics(path: str | Path, results: Mapping[str, Any]) -> None:
    """Write nested dicts of arrays as one npz; nesting becomes ``outer/inner`` names.

    Raises:
        ValueError: if a name is no plain string or a value no array of numbers or strings.
    """
    np.savez_compressed(path, allow_pickle=False, **_flatten(results))


def load_metrics(path: str | Path) -> Results:
    """Read what :func:`save_metrics` wrote, nested as it was, as numpy arrays; never unpickles."""
    results: Results = {}
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            *parents, last = name.split("/")
            level = results
            for parent in parents:
                level = level.setdefault(parent, {})
            level[last] = archive[name]
    return results


def save_config(path: str | Path, config: Any, **extra: Any) -> None:
    """Write a frozen config dataclass, with what else identifies the run, as JSON."""
    write_json(path, {**extra, "config": asdict(config)})


def save_claims(path: str | Path, claims: Sequence[Claim], *, is_judged: bool = True) -> None:
    """Write every field of every claim; the verdict is "not judged" unless ``is_judged``."""
    write_json(path, [claim.as_json(is_judged=is_judged) for claim in claims])


def versions() -> dict[str, str | None]:
    """What the numbers were computed with: packages, Python, platform, device and commit if any."""
    import jax  # here, so that reading records needs no JAX

    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in ("jax", "jaxlib", "numpy", "flax", "optax", "scipy"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    found["platform"] = f"{platform.system()} {platform.machine()}"
    found["device"] = jax.devices()[0].device_kind
    found["commit"] = _commit()
    return found


def write_json(path: str | Path, value: Any) -> None:
    """Write JSON with parents made, replacing the file at once rather than half."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(json.dumps(value, indent=2, default=_plain) + "\n", encoding="utf-8")
    draft.replace(path)


def _flatten(results: Mapping[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    flat: dict[str, np.ndarray] = {}
    for name, value in results.items():
        if not isinstance(name, str) or not name or "/" in name:
            raise ValueError(f"results: expected names without '/', got {prefix}{name!r}")
        if hasattr(value, "_asdict"):
            value = value._asdict()
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{name}/")
            continue
        array = np.asarray(value)
        if array.dtype.kind == "V":  # bfloat16 and its kin: npz would keep raw bytes only
            array = array.astype(np.float32)
        if array.dtype.kind not in "biufcU":
            raise ValueError(
                f"results[{prefix + name!r}]: expected a dict or an array of numbers or strings, "
                f"got {type(value).__name__}"
            )
        flat[prefix + name] = array
    return flat


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        here = Path(__file__).resolve().parent
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None


def _plain(value: Any) -> Any:
    """Arrays (numpy's and JAX's) as lists, all else as text: for ``json.dumps``."""
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    return str(value)
