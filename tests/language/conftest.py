"""Fixtures of the tests of steps: parameters, sampled steps and a critic fitted to them."""

import jax
import optax
import pytest

from jaxswarm import language
from tests.language.step_world import MODEL, sample


@pytest.fixture(scope="module")
def params():
    return MODEL.init(jax.random.key(0))


@pytest.fixture(scope="module")
def rollouts(params):
    return sample(jax.random.key(1), params)


@pytest.fixture(scope="module")
def critic(params, rollouts):
    return language.fit_critic(
        jax.random.key(2), MODEL, params, rollouts, optax.adam(1e-2), num_updates=60, batch_size=4
    )
