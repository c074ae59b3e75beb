"""Strict numerics for every test, eight forced host devices, a shared compilation cache."""

import functools
import gc
import itertools
import os
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiling is most of what the tests do: this way it takes a third of the time. (test_jaxlib.py
# compiles as users do. `make test-slow` optimizes: at level 0, jaxlib 0.10.1 gives NaN gradients in
# the long programs of networked SAC, which are finite at any other level and uncompiled.) XLA
# aborts at flags it does not know, hence only where they were tried.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + "".join(
    f" --{flag}={value}"
    for flag, value, known in (
        ("xla_force_host_platform_device_count", "8", True),
        ("xla_backend_optimization_level", "0", True),
        ("xla_cpu_use_fusion_emitters", "false", version("jaxlib").startswith("0.10.")),
        ("xla_cpu_parallel_codegen_split_count", "1", version("jaxlib").startswith("0.10.")),
    )
    if known and flag not in os.environ.get("XLA_FLAGS", "")
)
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads spin while they wait
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the cache loader is chatty

import hypothesis
import jax
import pytest
from jax._src.interpreters import mlir

_CACHE = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(
    Path(__file__).resolve().parent.parent / ".jax_cache"
)

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")
jax.config.update("jax_compilation_cache_dir", _CACHE)
# Writing and reading a smaller program takes as long as compiling it.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.03)
jax.config.update("jax_traceback_in_locations_limit", 0)  # a sixth of the time goes into them

if version("jax").startswith("0.10."):  # private, hence only where it was tried
    # A new MLIR context takes twice as long as lowering an ordinary function into it. They are
    # renewed now and then, because a context keeps the constants of all its programs.
    _make_context, _contexts = mlir.make_ir_context, itertools.count()
    _shared_context = functools.lru_cache(maxsize=1)(lambda _: _make_context())
    mlir.make_ir_context = lambda: _shared_context(next(_contexts) // 200)

    if "--xla_backend_optimization_level=0" in os.environ["XLA_FLAGS"]:  # not in make test-slow
        from tests import eager

        eager.install()

# The first example of a property compiles, which is no reason to fail it.
# The same examples every time; HYPOTHESIS_PROFILE=explore looks for new ones.
hypothesis.settings.register_profile("jax", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "jax"))


@pytest.fixture
def key() -> jax.Array:
    """A typed key; tests that need several split it."""
    return jax.random.key(0)


def pytest_collection_finish() -> None:
    """What is imported stays: the garbage collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _physical_bytes() -> float:
    """Memory of the machine; 0 where it is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return 0


_limit = [max(3.0 * 2**30, _physical_bytes() / 5)]


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Compiled programs are freed before they fill the memory; until then, modules share them."""
    yield
    if _resident_bytes() > _limit[0]:
        jax.clear_caches()
        gc.collect()
        _limit[0] = max(_limit[0], _resident_bytes() + 2**30)  # not all of it is given back


def _resident_bytes() -> float:
    """Memory of this process; infinite where it is not known."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return float("inf")
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
