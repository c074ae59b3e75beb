"""Programs kept on disk: a second process compiles nothing, and what the user set comes first."""

import os
import subprocess
import sys

import jax

from jaxswarm import _compiled

PROGRAM = """
import sys
import jax
from jaxswarm import _compiled
_compiled._SECONDS = 0.0
print(_compiled.keep_programs(sys.argv[1]))
jax.monitoring.register_event_listener(lambda event, **_: print(event))
jax.jit(lambda x: x @ x + 3)(jax.numpy.ones((7, 7)))
"""


def run(folder):
    unset = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env=unset | {"JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_a_second_process_takes_the_programs_of_the_first(tmp_path):
    first, second = (run(tmp_path / "compiled") for _ in range(2))
    assert first.startswith(f"compiled programs are kept in {tmp_path / 'compiled'} (delete it")
    assert "cache_misses" in first
    assert "cache_hits" not in first
    assert "cache_hits" in second
    assert "cache_misses" not in second


def test_what_the_user_set_stays(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    assert before  # tests/conftest.py sets one
    assert _compiled.keep_programs(tmp_path) is None
    assert jax.config.jax_compilation_cache_dir == before
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        assert _compiled.keep_programs(tmp_path) is None
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_enable_compilation_cache", True)
        jax.config.update("jax_compilation_cache_dir", before)
