"""Closed-form fields of finite data sets: the oracle of losses, clusters and samplers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.models import flow

DATA = jax.random.normal(jax.random.key(0), (9, 2)) * 2
X = jax.random.normal(jax.random.key(1), (16, 2)) * 1.5
T = jnp.linspace(0.0, 0.95, 16)
PATHS = {"linear": flow.linear_path(), "cosine": flow.cosine_path()}
PARTITIONS = {
    "one cluster": np.zeros(9, int),
    "singletons": np.arange(9),
    "one and the rest": (np.arange(9) == 4).astype(int),
    "thirds": np.arange(9) % 3,
    "an empty cluster": np.array([0, 2] * 4 + [0]),
}


def slow_velocity(data, x, t, path, weights):
    """Posterior mean of the conditional velocities, by a loop in float64."""
    signal, noise = float(path.signal(t)), float(path.noise(t))
    rates = float(path.signal_rate(t)), float(path.noise_rate(t))
    logs = np.log(weights) - np.square(x - signal * data).sum(-1) / (2 * noise**2)
    chance = np.exp(logs - logs.max())
    chance /= chance.sum()
    each = rates[0] * data + rates[1] * (x - signal * data) / noise
    return chance @ each, chance


@pytest.mark.parametrize("name", PATHS)
def test_velocity_and_posterior_equal_a_slow_loop(name):
    path, weights = PATHS[name], np.arange(1.0, 10.0)
    velocity = flow.marginal_velocity(DATA, X, T, path=path, weights=weights)
    chance = flow.posterior(DATA, X, T, path=path, weights=weights)
    data = np.asarray(DATA, np.float64)
    for i in range(16):
        slow = slow_velocity(data, np.asarray(X[i], np.float64), T[i], path, weights)
        np.testing.assert_allclose(velocity[i], slow[0], rtol=2e-4, atol=2e-4)
        np.testing.assert_allclose(chance[i], slow[1], atol=2e-5)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("partition", PARTITIONS)
def test_fields_of_clusters_add_up_to_the_field_of_all_data(name, partition):
    """``Σ_k p(k | x, t) u_k = u``, for any partition."""
    labels, path = PARTITIONS[partition], PATHS[name]
    num_clusters = int(labels.max()) + 1
    weights = jnp.linspace(0.5, 1.5, 9)
    shares = flow.cluster_posterior(labels, num_clusters, DATA, X, T, path=path, weights=weights)
    np.testing.assert_allclose(shares.sum(-1), 1.0, atol=1e-6)
    whole = flow.marginal_velocity(DATA, X, T, path=path, weights=weights)
    total = jnp.zeros_like(whole)
    for k in range(num_clusters):
        own = weights * (labels == k)
        if own.any():
            field = flow.marginal_velocity(DATA, X, T, path=path, weights=own)
            total += shares[:, k : k + 1] * field
    scale = 1 + jnp.abs(whole)
    assert float(jnp.max(jnp.abs(total - whole) / scale)) < 1e-5


def test_one_data_point_gives_its_conditional_velocity():
    velocity = flow.marginal_velocity(DATA[:1], X, T)
    np.testing.assert_allclose(velocity, (DATA[:1] - X) / (1 - T)[:, None], rtol=2e-5)


def test_both_ends_are_finite_and_noise_leads_to_the_mean():
    start = flow.marginal_velocity(DATA, X, 0.0)
    np.testing.assert_allclose(start, DATA.mean(0)[None] - X, atol=1e-5)
    assert jnp.isfinite(flow.marginal_velocity(DATA, X, 1.0)).all()


def test_the_exact_field_carries_noise_to_the_data():
    x = flow.sample(
        jax.random.key(2), lambda x, t: flow.marginal_velocity(DATA, x, t), 50, (2,), num_steps=80
    )
    distances = jnp.linalg.norm(x[:, None] - DATA[None], axis=-1)
    assert float(distances.min(1).max()) < 1e-2
    assert len(set(distances.argmin(1).tolist())) > 4


@pytest.mark.parametrize("prediction", flow.PREDICTIONS)
def test_the_loss_is_least_at_the_closed_form(prediction):
    """No disturbance of the exact field lowers the expected loss of any prediction."""
    path = flow.linear_path()

    def apply(params, x, t, condition):
        velocity = flow.marginal_velocity(DATA, x, t)
        exact = flow.convert(velocity, x, t, source="velocity", target=prediction, path=path)
        return exact + params[0] + params[1] * x + params[2] * t[:, None]

    model = flow.from_functions(
        lambda key: jnp.zeros(3), apply, (2,), path=path, prediction=prediction
    )
    batch = jnp.tile(DATA, (300, 1))
    times = jax.random.permutation(jax.random.key(4), jnp.linspace(0.05, 0.9, len(batch)))
    state = flow.noised(jax.random.key(3), batch, path, times)

    @jax.jit
    def gradient(params):
        return jax.jacfwd(lambda p: flow.losses_at(model, p, state))(params)

    each = gradient(model.init(jax.random.key(0)))
    error = each.std(0) / np.sqrt(len(batch))
    assert (jnp.abs(each.mean(0)) < 4 * error + 1e-4).all(), each.mean(0) / error


def test_a_large_data_set_is_read_in_chunks():
    data = jnp.zeros((3000, 40, 40)).at[0].set(1.0)
    x = jax.random.normal(jax.random.key(0), (5, 40, 40))
    chance = jax.jit(flow.posterior)(data, x, 0.5)
    assert chance.shape == (5, 3000)
    np.testing.assert_allclose(chance.sum(1), 1.0, atol=1e-4)


def test_jit_equals_eager_and_rows_are_independent():
    eager = flow.marginal_velocity(DATA, X, T)
    np.testing.assert_allclose(jax.jit(flow.marginal_velocity)(DATA, X, T), eager, atol=1e-5)
    order = jax.random.permutation(jax.random.key(5), 16)
    np.testing.assert_allclose(
        flow.marginal_velocity(DATA, X[order], T[order]), eager[order], atol=1e-5
    )
    np.testing.assert_allclose(flow.marginal_velocity(DATA, X[3:4], T[3]), eager[3:4], atol=1e-5)
