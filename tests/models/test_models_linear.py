"""The dense layers' product equals the plain one, with all its derivatives, vmapped or not."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import models
from jaxswarm.models import linear


def plain(x, w):
    return jnp.matmul(x, w)


@pytest.fixture
def operands(key):
    a, b, c, d = jax.random.split(key, 4)
    x, dx = jax.random.normal(a, (5, 3)), jax.random.normal(b, (5, 3))
    w, dw = jax.random.normal(c, (3, 4)), jax.random.normal(d, (3, 4))
    return (x, w), (dx, dw)


def test_value_and_derivatives_in_both_modes(operands):
    primals, tangents = operands
    chex.assert_trees_all_close(
        jax.jvp(linear.matmul, primals, tangents), jax.jvp(plain, primals, tangents), atol=1e-6
    )
    for function in (
        lambda f: jax.grad(lambda x, w: jnp.sum(jnp.tanh(f(x, w))), argnums=(0, 1)),
        lambda f: jax.hessian(lambda x, w: jnp.sum(jnp.tanh(f(x, w))), argnums=1),
    ):
        custom, plain_result = function(linear.matmul)(*primals), function(plain)(*primals)
        chex.assert_trees_all_close(custom, plain_result, atol=1e-5)


def test_vmapped_over_agents(operands):
    primals, _ = operands
    stacked = jax.tree.map(lambda v: jnp.stack([v, 2 * v, -v]), primals)
    gradient = jax.jit(jax.vmap(jax.grad(lambda x, w: jnp.sum(linear.matmul(x, w) ** 2), 1)))
    wanted = jax.vmap(jax.grad(lambda x, w: jnp.sum(plain(x, w) ** 2), 1))
    np.testing.assert_allclose(gradient(*stacked), wanted(*stacked), atol=1e-4)


def test_the_layers_use_it_and_the_transposition_survives_compilation():
    model = models.functional(models.mlp(8, 4), jnp.zeros((1, 6)))
    params = jax.jit(model.init)(jax.random.key(0))

    def loss(params, x):
        return jnp.sum(model.apply(params, x) ** 2)

    jaxpr = str(jax.make_jaxpr(jax.grad(loss))(params, jnp.ones((5, 6))))
    assert "optimization_barrier" in jaxpr


def test_other_products_fall_back(key):
    x = jax.random.normal(key, (2, 5, 3))
    w = jnp.ones((3, 4))
    out = linear.dot_general(x, w, (((2,), (0,)), ((), ())))
    np.testing.assert_allclose(out, jnp.einsum("abi,io->abo", x, w), atol=1e-6)
