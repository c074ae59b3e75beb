"""Experts that several test files share."""

import jax
import optax
import pytest

from jaxswarm import generative
from tests.generative.experts_world import MODEL, POINTS, ROUTER


@pytest.fixture(scope="module")
def ddm():
    """Eight experts on a small grid, with three classes."""
    return generative.experts(
        MODEL, POINTS.clusters, router=ROUTER, batch_size=4, optimizer=optax.adam(1e-2)
    )


@pytest.fixture(scope="module")
def start(ddm):
    """Initial state."""
    return jax.jit(ddm.init)(jax.random.key(0))
