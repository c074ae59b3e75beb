"""Laws of isolated experts under a router: identity, isolation, cost, modes, lost experts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, generative
from jaxswarm.generative._dispatch import dispatch
from jaxswarm.models import flow
from tests.generative.experts_world import ROUTER, K


@pytest.fixture(scope="module")
def trained(ddm, start):
    """Ensemble of initial parameters that differ by expert."""
    return ddm.ensemble(start)


@functools.partial(jax.jit, static_argnums=(0, 1))
def state_points(count=24, seed=3):
    key, other = jax.random.split(jax.random.key(seed))
    return jax.random.normal(key, (count, 2)), jax.random.uniform(other, (count,))


# -- the identity of the marginal field ---------------------------------------------------------


def exact(points, labels, num_experts):
    """Ensemble of the closed-form fields of the clusters under their exact posterior."""
    points = jnp.asarray(points)

    def velocity(weights, x, t, condition):
        return flow.marginal_velocity(points, x, t, weights=weights)

    model = flow.from_functions(lambda key: jnp.ones(len(points)), velocity, (2,))

    def logits(params, x, t, condition=None):
        return jnp.log(flow.cluster_posterior(labels, num_experts, points, x, t))

    router = generative.Router(lambda key: jnp.zeros(()), logits, num_experts, (2,), None)
    weights = [jnp.asarray(labels == k, jnp.float32) for k in range(num_experts)]
    return generative.ensemble(model, weights, router, jnp.zeros(())), points


PARTITIONS = {
    "one cluster": np.zeros(12, int),
    "a singleton": np.array([0] * 11 + [1]),
    "three clusters": np.arange(12) % 3,
    "all singletons": np.arange(12),
}


@pytest.mark.parametrize("name", PARTITIONS)
def test_full_ensemble_of_exact_fields_is_the_field_of_all_data(name):
    labels = PARTITIONS[name]
    points = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    ddm, points = exact(points, labels, labels.max() + 1)
    x, t = state_points()
    t = 0.95 * t
    whole = jax.jit(flow.marginal_velocity)(points, x, t)
    np.testing.assert_allclose(jax.jit(ddm.field())(x, t), whole, atol=1e-5, rtol=1e-5)


def test_unconditional_top_1_starts_all_samples_with_the_largest_cluster():
    labels = np.array([0] * 4 + [1] * 5 + [2] * 3)
    points = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    ddm, _ = exact(points, labels, 3)
    x = jax.random.normal(jax.random.key(0), (50, 2))
    weights = ddm.weights(x, jnp.zeros(50), mode="top_k")
    np.testing.assert_array_equal(weights, np.tile([0.0, 1.0, 0.0], (50, 1)))


@pytest.mark.slow
def test_once_reproduces_the_shares_of_the_clusters_and_top_1_does_not():
    centers = np.array([[-3.0, 0.0], [3.0, 0.0]], np.float32)
    labels = np.array([0] * 6 + [1] * 4)
    ddm, _ = exact(centers[labels], labels, 2)
    draw = functools.partial(ddm.sample, jax.random.key(0), 400, num_steps=20)
    share = {mode: float(jnp.mean(draw(mode=mode)[:, 0] < 0)) for mode in ("once", "full", "top_k")}
    assert abs(share["once"] - 0.6) < 0.07
    assert abs(share["full"] - 0.6) < 0.07
    assert share["top_k"] > 0.75


# -- one expert per sample ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "experts"),
    [(None, "mixed"), (3, "all of one"), (64, "mixed"), (1, "fewer than experts")],
)
def test_dispatch_is_the_loop_over_samples(block, experts):
    count = 2 if experts == "fewer than experts" else 37
    owner = np.random.default_rng(1).integers(0, 5, count)
    owner = np.full(count, 4) if experts == "all of one" else owner
    params = {"w": jax.random.normal(jax.random.key(0), (5, 3, 2))}
    x = jax.random.normal(jax.random.key(1), (count, 3))

    def function(params, x):
        return x @ params["w"]

    found = dispatch(function, params, jnp.asarray(owner), x, block=block)
    rows, weights = np.asarray(x), np.asarray(params["w"])
    expected = [rows[i] @ weights[k] for i, k in enumerate(owner)]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 2, K])
def test_top_k_is_the_weighted_mean_of_the_chosen_velocities(trained, k):
    x, t = state_points()
    condition = jnp.arange(24) % 3
    weights = trained.weights(x, t, condition, mode="top_k", k=k)
    assert int((weights > 0).sum(1).max()) == k
    expected = jnp.einsum("bk,kbd->bd", weights, trained.velocities(x, t, condition))
    field = jax.jit(trained.field(condition, mode="top_k", k=k))
    np.testing.assert_allclose(field(x, t), expected, atol=1e-5)


def flops(trained, count=256, **options):
    def velocity(trained, x, t, condition):
        return trained.field(condition, **options)(x, t)

    arguments = trained, jnp.zeros((count, 2)), jnp.zeros(count), jnp.zeros(count, jnp.int32)
    return jax.jit(velocity).lower(*arguments).compile().cost_analysis()["flops"]


@pytest.mark.slow
def test_top_1_takes_at_most_a_quarter_of_the_flops_of_all_experts():
    model = flow.from_network(flow.MLP(width=32, depth=2, num_classes=3), (2,), num_classes=3)
    params = [model.init(jax.random.key(k)) for k in range(K)]
    ddm = generative.ensemble(model, params, ROUTER, ROUTER.init(jax.random.key(0)))
    full = flops(ddm)
    assert flops(ddm, mode="top_k") <= full / 4  # router and padding included
    assert flops(ddm, mode="threshold") >= full  # evaluates all: a control of the count


# -- modes --------------------------------------------------------------------------------------

LOGITS = jnp.log(jnp.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mode": "full"}, [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]),
        ({"mode": "top_k", "k": 1}, [[1, 0, 0], [0, 0, 1]]),
        ({"mode": "top_k", "k": 2}, [[0.625, 0.375, 0], [1 / 9, 0, 8 / 9]]),
        ({"mode": "top_k", "k": 3}, [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]),
        ({"mode": "threshold", "threshold": 0.6}, [[0.625, 0.375, 0], [0, 0, 1]]),
        ({"mode": "threshold", "threshold": 1e-6}, [[1, 0, 0], [0, 0, 1]]),
        ({"mode": "threshold", "threshold": 1.0}, [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]),
    ],
)
def test_weights(options, expected):
    found = generative.expert_weights(LOGITS, **options)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    traced = jax.jit(lambda logits: generative.expert_weights(logits, **options))(LOGITS)
    np.testing.assert_allclose(traced, expected, atol=1e-6)


def test_sampled_experts_have_the_router_probabilities():
    logits = jnp.broadcast_to(LOGITS[:1], (4000, 3))
    drawn = generative.expert_weights(logits, "sampled", key=jax.random.key(0))
    np.testing.assert_array_equal(drawn.sum(1), 1.0)
    np.testing.assert_allclose(drawn.mean(0), [0.5, 0.3, 0.2], atol=0.03)


@pytest.mark.slow
def test_sampled_field_is_a_function_of_key_point_and_time(trained):
    x, _ = state_points()
    field = trained.field(0, mode="sampled", key=jax.random.key(5))
    other = trained.field(0, mode="sampled", key=jax.random.key(6))
    t = jnp.full(24, 0.25)
    np.testing.assert_array_equal(field(x, t), field(x, t))
    assert not np.array_equal(field(x, t), other(x, t))
    every = trained.velocities(x, t, 0)
    distance = jnp.abs(every - field(x, t)[None]).max(-1)  # from every expert
    assert bool((distance.min(0) < 1e-6).all())


@pytest.mark.parametrize("mode", ["full", "top_k", "threshold", "sampled", "once"])
def test_a_lost_expert_has_no_influence_even_if_it_is_nan(trained, mode):
    available = jnp.arange(K) % 2 == 0
    poison = jax.tree.map(
        lambda leaf: jnp.where(agents.expand(available, leaf), leaf, jnp.nan), trained.params
    )
    broken = generative.Ensemble(poison, trained.router_params, trained.models, trained.router)
    options = {"mode": mode, "k": 2, "available": available, "num_steps": 3}
    draw = jax.jit(lambda ensemble: ensemble.sample(jax.random.key(0), 16, 1, **options))
    whole, lost = draw(trained), draw(broken)
    assert bool(jnp.isfinite(lost).all())
    np.testing.assert_allclose(lost, whole, atol=1e-6)


def test_weights_of_lost_experts_go_to_the_others_in_proportion(trained):
    x, t = state_points()
    available = jnp.arange(K) != 3
    whole = trained.weights(x, t, 0)
    expected = jnp.where(available, whole, 0)
    found = trained.weights(x, t, 0, available=available)
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True), atol=1e-6)


@pytest.mark.slow
def test_guidance_of_scale_1_is_the_conditional_field(trained):
    x, t = state_points()
    condition = jnp.arange(24) % 3
    for mode in ("full", "top_k"):
        plain, guided = (
            trained.field(condition, mode=mode, guidance=scale)(x, t) for scale in (None, 1.0)
        )
        np.testing.assert_allclose(guided, plain, atol=1e-5)
    stronger = trained.field(condition, guidance=3.0)(x, t)
    assert float(jnp.abs(stronger - plain).max()) > 1e-3
