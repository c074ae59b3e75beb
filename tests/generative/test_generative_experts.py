"""Laws of isolated experts under a router: identity, isolation, cost, modes, lost experts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, data, generative, sharding
from jaxswarm.generative._dispatch import dispatch
from jaxswarm.models import flow

K = 8
MODEL = flow.from_network(flow.MLP(width=8, depth=2, num_classes=3), (2,), num_classes=3)
ROUTER = generative.router(flow.MLP(width=4, depth=2, num_classes=3), (2,), K, num_classes=3)


@pytest.fixture(scope="module")
def ddm():
    """Eight experts on a small grid, with three classes."""
    return generative.experts(
        MODEL, POINTS.clusters, router=ROUTER, batch_size=4, optimizer=optax.adam(1e-2)
    )


class POINTS:
    """A grid of sixteen modes in eight clusters of two."""

    batch = data.gaussian_grid(jax.random.key(0), 256, 4)
    x = np.asarray(batch.x)
    y = np.asarray(batch.y) % 3
    clusters = np.asarray(batch.y) // 2


@pytest.fixture(scope="module")
def start(ddm):
    """Initial state."""
    return jax.jit(ddm.init)(jax.random.key(0))


@pytest.fixture(scope="module")
def trained(ddm, start):
    """Ensemble of initial parameters that differ by expert."""
    return ddm.ensemble(start)


@pytest.fixture(scope="module")
def expert_step(ddm):
    """The compiled step of all experts."""
    return jax.jit(ddm.step_experts)


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
    whole = flow.marginal_velocity(points, x, t)
    np.testing.assert_allclose(ddm.field()(x, t), whole, atol=1e-5, rtol=1e-5)


def test_unconditional_top_1_starts_all_samples_with_the_largest_cluster():
    labels = np.array([0] * 4 + [1] * 5 + [2] * 3)
    points = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
    ddm, _ = exact(points, labels, 3)
    x = jax.random.normal(jax.random.key(0), (50, 2))
    weights = ddm.weights(x, jnp.zeros(50), mode="top_k")
    np.testing.assert_array_equal(weights, np.tile([0.0, 1.0, 0.0], (50, 1)))


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
    expected = [x[i] @ params["w"][k] for i, k in enumerate(owner)]
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-5, atol=1e-6)


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


# -- training -----------------------------------------------------------------------------------


def test_an_expert_trained_alone_is_the_one_trained_among_others(ddm, start, expert_step):
    shards = ddm.shards(POINTS.x, POINTS.y)
    together, losses = expert_step(jax.random.key(1), start.experts, shards)
    k = 5
    own = np.flatnonzero(POINTS.clusters == k)  # all that a machine of expert k needs
    alone = data.Shards(
        jnp.asarray(POINTS.x[own]),
        jnp.asarray(POINTS.y[own]),
        jnp.arange(len(own))[None],
        jnp.ones((1, len(own)), bool),
        jnp.array([len(own)]),
    )
    expert = jax.tree.map(lambda leaf: leaf[k : k + 1], start.experts)
    single, loss = expert_step(jax.random.key(1), expert, alone, offset=k)
    np.testing.assert_allclose(loss[0], losses[k], rtol=1e-5)
    for a, b in zip(
        jax.tree.leaves(single[0].params), jax.tree.leaves(together[0].params), strict=True
    ):
        np.testing.assert_allclose(a[0], b[k], atol=1e-6)


def test_nan_data_of_one_cluster_reaches_no_other_expert(ddm, start, expert_step):
    shards = ddm.shards(POINTS.x, POINTS.y)
    poisoned = data.Shards(
        jnp.where(jnp.asarray(POINTS.clusters == 2)[:, None], jnp.nan, shards.features),
        shards.labels,
        shards.indices,
        shards.mask,
        shards.counts,
    )
    clean, _ = expert_step(jax.random.key(1), start.experts, shards)
    broken, loss = expert_step(jax.random.key(1), start.experts, poisoned)
    assert jnp.flatnonzero(jnp.isnan(loss)).tolist() == [2]
    others = jnp.arange(K) != 2
    for a, b in zip(jax.tree.leaves(clean), jax.tree.leaves(broken), strict=True):
        np.testing.assert_array_equal(a[others], b[others])


def test_the_sharded_step_has_no_collective_and_one_that_averages_has(ddm, start, expert_step):
    mesh = sharding.mesh(8)
    shards = ddm.shards(POINTS.x, POINTS.y)
    experts = start.experts
    placed = sharding.shard(experts, mesh, num_agents=K), sharding.shard(shards, mesh)
    compiled = expert_step.lower(jax.random.key(1), *placed).compile()
    text = compiled.as_text()
    assert sharding.moved_bytes(compiled) == {}
    for kind in ("all-reduce", "all-gather", "collective-permute", "all-to-all", "reduce-scatter"):
        assert kind not in text
    assert "num_partitions=8" in text

    def averaging(key, experts, shards):
        updated, loss = ddm.step_experts(key, experts, shards)
        return agents.mean(updated[0].params), loss

    control = jax.jit(averaging).lower(jax.random.key(1), *placed).compile()
    assert "all-reduce" in sharding.moved_bytes(control)
    on_eight, losses = compiled(jax.random.key(1), *placed)
    on_one, expected = expert_step(jax.random.key(1), experts, shards)
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(on_eight), jax.tree.leaves(on_one), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_step_compiles_once_and_trains_router_and_experts(ddm, start, expert_step):
    shards = ddm.shards(POINTS.x, POINTS.y)
    step = jax.jit(ddm.step)
    once, info = step(jax.random.key(1), start, shards)
    step(jax.random.key(2), once, shards)
    assert step._cache_size() == 1
    _, losses = expert_step(jax.random.split(jax.random.key(1))[0], start.experts, shards)
    np.testing.assert_allclose(info.expert_loss, losses, rtol=1e-5)
    assert abs(float(info.router_loss) - np.log(K)) < 0.5
    for before, after in zip(jax.tree.leaves(start), jax.tree.leaves(once), strict=True):
        assert before.shape == after.shape
    assert int(once.router.step) == 1
    np.testing.assert_array_equal(once.experts[0].step, np.ones(K))


def test_the_router_draws_all_rows_equally_often():
    clusters = np.array([0] * 30 + [1] * 9 + [2])
    ddm = generative.experts(MODEL_FREE, clusters, batch_size=2)
    shards = ddm.shards(np.arange(80.0).reshape(40, 2) / 80)
    from jaxswarm.generative._experts import uniform_batch

    batch, expert = uniform_batch(jax.random.key(0), shards, 8000)
    rows = np.round(np.asarray(batch.x)[:, 0] * 40).astype(int)
    np.testing.assert_array_equal(expert, clusters[rows])
    counts = np.bincount(rows, minlength=40)
    assert np.square(counts - 200).sum() / 200 < 80  # chi-squared of 39 degrees of freedom


MODEL_FREE = flow.from_network(flow.MLP(width=16, depth=2), (2,))


def test_it_learns_two_clusters_and_can_be_distilled():
    """Samples lie at the clusters, also after one of the two is lost, and those of the student."""
    x = np.concatenate([np.full((40, 2), -1.5), np.full((60, 2), 1.5)]).astype(np.float32)
    clusters = generative.cluster(x, 2)
    ddm = generative.experts(MODEL_FREE, clusters, batch_size=32, optimizer=optax.adam(1e-2))
    shards = ddm.shards(x)

    @functools.partial(jax.jit, static_argnums=0)
    def run(learner, state, shards):
        def body(state, key):
            return learner(key, state, shards)

        return jax.lax.scan(body, state, jax.random.split(jax.random.key(1), 300))

    state, info = run(ddm.step, jax.jit(ddm.init)(jax.random.key(0)), shards)
    assert float(info.router_loss[-20:].mean()) < 0.55
    ensemble = ddm.ensemble(state)
    draw = functools.partial(ensemble.sample, jax.random.key(2), 200, num_steps=20)

    def left(x):
        distance = jnp.minimum(jnp.abs(x - 1.5).max(-1), jnp.abs(x + 1.5).max(-1))
        assert float(jnp.mean(distance < 0.6)) > 0.9
        return float(jnp.mean(x[:, 0] < 0))

    assert abs(left(draw()) - 0.4) < 0.12
    small = int(clusters[0])
    assert left(draw(available=jnp.arange(2) != small)) == 0.0
    student = generative.distillation(
        ensemble, MODEL_FREE, batch_size=64, optimizer=optax.adam(1e-2)
    )
    copied, losses = run(student.step, student.init(jax.random.key(3)), shards)
    field = flow.field(MODEL_FREE, copied.ema_params)
    assert float(losses[-20:].mean()) < 0.7 * float(losses[:20].mean())
    left(flow.sample(jax.random.key(4), field, 200, (2,), num_steps=20))


# -- experts of unequal size --------------------------------------------------------------------


def test_experts_of_unequal_size_keep_their_order():
    wide = flow.from_network(flow.MLP(width=12, depth=2), (2,))
    models = [MODEL_FREE, MODEL_FREE, wide]
    clusters = np.arange(30) % 3
    ddm = generative.experts(models, clusters, batch_size=4)
    shards = ddm.shards(np.random.default_rng(0).normal(size=(30, 2)))
    state = jax.jit(ddm.init)(jax.random.key(0))
    state, info = jax.jit(ddm.step)(jax.random.key(1), state, shards)
    assert [agents.num_agents(each.params) for each in state.experts] == [2, 1]
    assert info.expert_loss.shape == (3,)
    ensemble = ddm.ensemble(state)
    x, t = state_points(7)
    velocities = jax.jit(lambda ensemble: ensemble.velocities(x, t))(ensemble)
    trees = [*agents.unstack(ensemble.params[0]), *agents.unstack(ensemble.params[1])]
    chosen = jax.jit(lambda ensemble, k: ensemble.field(mode="oracle", expert=k)(x, t))
    for k, (model, params) in enumerate(zip(models, trees, strict=True)):
        alone = model.velocity(params, x, t)
        np.testing.assert_allclose(velocities[k], alone, atol=1e-5)
        own = chosen(ensemble, jnp.full(7, k))
        np.testing.assert_allclose(own, alone, atol=1e-5)
    rebuilt = generative.ensemble(models, trees, ensemble.router, ensemble.router_params)
    for a, b in zip(jax.tree.leaves(rebuilt), jax.tree.leaves(ensemble), strict=True):
        np.testing.assert_array_equal(a, b)


# -- clusters -----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_centroids", [16, 1024])
def test_clusters_find_separated_groups(num_centroids):
    rng = np.random.default_rng(0)
    truth = np.arange(200) % 4
    x = rng.normal(size=(200, 20)) * 0.1
    x[np.arange(200), truth] += 5
    found = generative.cluster(x, 4, num_centroids=num_centroids, num_components=8)
    assert found.dtype == np.int32
    pairs = {(int(a), int(b)) for a, b in zip(truth, found, strict=True)}
    assert len(pairs) == 4
    assert sorted(np.bincount(found)) == [50] * 4
    np.testing.assert_array_equal(
        found, generative.cluster(x, 4, num_centroids=num_centroids, num_components=8)
    )
