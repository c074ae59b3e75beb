"""Absent and NaN agents on eight devices: a sharded operator selects as the whole one does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import gossip, sharding, topology

N = 16
OPERATORS = {
    "circulant": lambda: gossip.mixing(topology.ring(N), layout="circulant"),
    "gather": lambda: gossip.mixing(topology.ring(N), layout="gather"),
    "buckets": lambda: gossip.mixing(topology.star(N), layout="gather"),
    "segment": lambda: gossip.mixing(topology.ring(N), layout="segment"),
    "dense": lambda: gossip.mixing(topology.ring(N), layout="dense"),
    "mean": lambda: gossip.complete_mean(N),
}
X = jax.random.normal(jax.random.key(0), (N, 3)).at[5].set(jnp.nan)
THERE = jnp.arange(N) != 5


@pytest.mark.parametrize("name", OPERATORS)
def test_a_sharded_operator_treats_nan_and_absence_like_the_whole_one(name):
    W, mesh = OPERATORS[name](), sharding.mesh()
    whole = gossip.averaging(W)
    split = gossip.averaging(sharding.shard(W, mesh))
    x = sharding.shard(X, mesh)
    for exchange in (
        gossip.Exchange(0),
        gossip.Exchange(0, alive=THERE),
        gossip.Exchange(0, participates=THERE),
    ):
        wanted = whole.mix(jax.random.key(1), X, (), exchange)[0]
        found = jax.jit(split.mix)(jax.random.key(1), x, (), exchange)[0]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        if exchange.alive is not None:
            np.testing.assert_array_equal(np.isfinite(found).all(axis=1), THERE)
