"""Strict numerics for every test, eight forced host devices, a shared compilation cache."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = (
        os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    ).strip()
if "xla_backend_optimization_level" not in os.environ["XLA_FLAGS"]:
    # Compiling is most of what the tests do: two to three times faster this way.
    os.environ["XLA_FLAGS"] += " --xla_backend_optimization_level=0"
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the cache loader is chatty

import hypothesis
import jax
import pytest

_CACHE = Path(__file__).resolve().parent.parent / ".jax_cache"

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_legacy_prng_key", "error")
jax.config.update("jax_compilation_cache_dir", str(_CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)

# The first example of a property compiles, which is no reason to fail it.
# The same examples every time; HYPOTHESIS_PROFILE=explore looks for new ones.
hypothesis.settings.register_profile("jax", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "jax"))


@pytest.fixture
def key() -> jax.Array:
    """A typed key; tests that need several split it."""
    return jax.random.key(0)


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Compiled programs of a module are freed after it: a whole run holds gigabytes of them."""
    yield
    jax.clear_caches()
