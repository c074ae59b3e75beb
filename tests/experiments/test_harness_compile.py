"""``jit_fast_compile``: what jit computes, at the level that was asked for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.harness.compile import LEVEL, jit_fast_compile


@pytest.mark.parametrize("flags", ["", "--xla_backend_optimization_level=0"])
def test_it_is_jit_and_a_level_given_stands(flags, monkeypatch):
    asked = []
    jit = jax.jit
    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setattr(
        jax, "jit", lambda fn, **options: asked.append(options) or jit(fn, **options)
    )
    compiled = jit_fast_compile(lambda x: jnp.sum(jnp.square(x)))
    np.testing.assert_allclose(compiled(jnp.arange(4.0)), 14.0)
    assert asked == [{} if flags else {"compiler_options": {LEVEL: 2}}]
