"""Watch for a jaxlib that miscomputes: why pyproject.toml leaves some versions out."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import jax, jax.numpy as jnp, numpy as np
generator = np.random.default_rng(0)
matrix = generator.standard_normal((3, 3)).astype(np.float32)
rows = generator.standard_normal((NUM_AGENTS, 3)).astype(np.float32)
a = jnp.asarray(matrix)
result = jax.jit(jax.vmap(lambda r: jnp.sum((a @ r) ** 2)))(rows)
expected = np.square(rows.astype(np.float64) @ matrix.T.astype(np.float64)).sum(1)
np.testing.assert_allclose(result, expected, rtol=1e-4)
"""


@pytest.mark.parametrize("num_agents", [32_768, 40_000])
def test_jit_agrees_with_numpy_beyond_32768_agents(num_agents):
    """jaxlib 0.10.2 gets thousands of these rows wrong on CPU, silently.

    In a process of its own, compiled as a user's programs are.
    """
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    program = PROGRAM.replace("NUM_AGENTS", str(num_agents))
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
