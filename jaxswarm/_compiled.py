"""Compiled programs that are kept on disk, so that a second run of a command does not compile."""

import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

_SECONDS = 0.2  # programs that compile faster are not kept
_DISABLE = "JAX_ENABLE_COMPILATION_CACHE=false"


def keep_programs(folder: str | os.PathLike[str]) -> str | None:
    """Keep the programs that jax compiles in ``folder`` and take them from there in later runs.

    Programs are kept apart for each kind of processor and version of jaxlib, since a program that
    was compiled for another processor may fail. What the user set comes first: nothing changes if
    jax already has a folder (``JAX_COMPILATION_CACHE_DIR``) or shall keep no programs.

    Args:
        folder: made if needed; it can be deleted at any time.

    Returns:
        A sentence that says where the programs are and how to turn this off; ``None`` if nothing
        changed.
    """
    import jax

    enabled, chosen = (
        getattr(jax.config, f"jax_{name}")
        for name in ("enable_compilation_cache", "compilation_cache_dir")
    )
    if not enabled or chosen:
        return None
    jax.config.update("jax_compilation_cache_dir", str(Path(folder) / _machine()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _SECONDS)
    return f"compiled programs are kept in {folder} (delete it at any time, or set {_DISABLE})"


def _machine() -> str:
    """A short name of the processor and the version of jaxlib."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        kind = "".join(sorted({x for x in lines if x.startswith(("model name", "flags", "Feat"))}))
    except OSError:
        kind = platform.processor()
    text = f"{platform.machine()} {kind} {version('jaxlib')}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]
