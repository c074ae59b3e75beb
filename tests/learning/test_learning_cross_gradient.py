"""Cross-gradient aggregation: the quadratic program, the step, its cost."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from jaxswarm import gossip, learning, topology
from jaxswarm.learning._cross_gradient import project_gradient

N, P = 5, 3
RING = topology.ring(N)
AGREE = jax.jit(lambda g, others: project_gradient(g, others, 3000))


def loss(params, batch):
    return 0.5 * jnp.sum(jnp.square(params - batch))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**16), st.booleans())
def test_the_projection_is_the_nearest_vector_without_conflicts(seed, opposed):
    rng = np.random.default_rng(seed)
    gradient, others = rng.normal(size=P), rng.normal(size=(2, P))
    if opposed:
        others[1] = -0.5 * gradient
    found = np.asarray(AGREE(jnp.asarray(gradient, jnp.float32), jnp.asarray(others, jnp.float32)))
    rows = np.concatenate([gradient[None], others])
    # min ‖g + Gᵀu‖ over u >= 0 is a non-negative least squares problem.
    u, _ = nnls(rows.T, -gradient)
    best = gradient + u @ rows
    scale = gradient @ gradient
    assert abs(found @ found - best @ best) < 1e-4 * scale
    # ‖·‖² is strongly convex: what is that near in value is near in place.
    np.testing.assert_allclose(found, best, atol=1e-2 * np.sqrt(scale))
    lengths = np.linalg.norm(rows, axis=1) * np.sqrt(scale)
    assert (rows @ found > -2e-2 * lengths).all()


def test_without_conflicts_it_is_the_own_gradient():
    gradient = jnp.array([1.0, 2.0, 0.0])
    others = jnp.array([[1.0, 0.0, 5.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(AGREE(gradient, others), gradient, atol=1e-6)


def test_a_step_is_the_numpy_recursion_and_costs_two_messages_an_edge(key):
    rng = np.random.default_rng(0)
    x, targets = rng.normal(size=(2, N, P)).astype(np.float32)
    learner = learning.cross_gradient(
        loss, RING, local=optax.sgd(0.1), weights="uniform", iterations=200
    )
    new, info = jax.jit(learner.step)(key, learner.init(jnp.asarray(x)), jnp.asarray(targets))
    pi = np.asarray(gossip.mixing(RING, "uniform").dense())
    wanted = pi @ x
    for i in range(N):
        neighbors = [i - 1, (i + 1) % N]
        rows = np.stack([x[i] - targets[j] for j in (i, *neighbors)]).astype(np.float64)
        u, _ = nnls(rows.T, -rows[0])
        wanted[i] -= 0.1 * (rows[0] + u @ rows)
    np.testing.assert_allclose(new.params, wanted, atol=1e-4)
    assert float(info.traffic.messages) == 4 * N
    assert float(info.traffic.bytes) == 4 * N * P * 4


def test_bad_input_is_refused():
    for graph, message in (
        (topology.directed_ring(N), "cross gradients"),
        (topology.stack([RING, RING]), "got a sequence"),
    ):
        with pytest.raises(ValueError, match=message):
            learning.cross_gradient(loss, graph, local=optax.sgd(0.1))
    with pytest.raises(ValueError, match="iterations"):
        learning.cross_gradient(loss, RING, local=optax.sgd(0.1), iterations=0)
