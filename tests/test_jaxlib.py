"""Watch for a jaxlib that miscomputes: why pyproject.toml leaves some versions out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.mark.parametrize("num_agents", [32_768, 40_000])
def test_jit_agrees_with_numpy_beyond_32768_agents(num_agents):
    """jaxlib 0.10.2 gets thousands of these rows wrong on CPU, silently."""
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((3, 3)).astype(np.float32)
    rows = generator.standard_normal((num_agents, 3)).astype(np.float32)
    a = jnp.asarray(matrix)
    result = jax.jit(jax.vmap(lambda r: jnp.sum((a @ r) ** 2)))(rows)
    expected = np.square(rows.astype(np.float64) @ matrix.T.astype(np.float64)).sum(1)
    np.testing.assert_allclose(result, expected, rtol=1e-4)
