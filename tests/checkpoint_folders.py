"""What the tests of checkpoint folders read: their rounds, hidden names and equal states."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np


def same(a, b):
    """Assert that two trees are equal to the bit, keys included."""

    def plain(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if is_key else x)

    for x, y in zip(*(jax.tree.leaves(jax.tree.map(plain, tree)) for tree in (a, b)), strict=True):
        np.testing.assert_array_equal(x, y)


def rounds(folder):
    return sorted(p.name for p in Path(folder).glob("round_*"))


def hidden(folder):
    return sorted(p.name for p in Path(folder).glob(".*"))
