"""The folder of one run: config, metrics, claims, versions and figure under ``runs/NAME/TIME``."""

import json
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass, replace
from importlib import metadata
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

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


def load_config(path: str | Path, default: Any) -> tuple[Any, str | None]:
    """Read the config that :func:`save_config` wrote.

    Args:
        path: the ``config.json`` of a run.
        default: a config of the system, for its class and for fields that the file lacks.

    Returns:
        The config, and the name of the scale that it came from, if the file says so.

    Raises:
        ValueError: naming the file and the field that the class lacks, or what is no config.
    """
    try:
        saved = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"config: expected the config.json of a run, got {path}: {error}"
        ) from None
    if not isinstance(saved, dict) or not isinstance(saved.get("config"), dict):
        raise ValueError(f"config: expected the config.json of a run, got {path} without 'config'")
    return _filled(default, saved["config"], str(path)), saved.get("scale")


def _filled(default: Any, values: dict[str, Any], path: str) -> Any:
    """A config like ``default`` with other values, of the types that its fields have."""
    types = get_type_hints(type(default))
    for name in values:
        if name not in types:
            raise ValueError(f"config: {path}: {type(default).__name__} has no field {name!r}")
    return replace(
        default,
        **{
            name: _typed(v, types[name], getattr(default, name), path) for name, v in values.items()
        },
    )


def _typed(value: Any, wanted: Any, default: Any, path: str) -> Any:
    """A value as JSON keeps it (lists, texts), as the type that a field has."""
    if is_dataclass(default) and isinstance(value, dict):
        return _filled(default, value, path)
    options = get_args(wanted) if get_origin(wanted) in (Union, UnionType) else (wanted,)
    if isinstance(value, list):
        inner = [get_args(option) for option in options if get_origin(option) is tuple]
        kinds = inner[0] if inner else ()
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            kinds = kinds[:1] * len(value)
        kinds = kinds if len(kinds) == len(value) else (Any,) * len(value)
        items = [_typed(x, kind, None, path) for x, kind in zip(value, kinds, strict=True)]
        return items if isinstance(default, list) else tuple(items)
    if isinstance(value, str) and str not in options and Path in options:
        return Path(value)
    return value


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
