"""Training of isolated experts: isolation, collectives, unequal sizes, distillation, clusters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, data, generative, sharding
from jaxswarm.generative._experts import uniform_batch
from jaxswarm.models import flow
from tests.generative.experts_world import POINTS, K
from tests.tracing import Counted

MODEL_FREE = flow.from_network(flow.MLP(width=16, depth=2), (2,))


@pytest.fixture(scope="module")
def expert_step(ddm):
    """The compiled step of all experts."""
    return jax.jit(ddm.step_experts)


@pytest.mark.slow
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
    step = Counted(ddm.step)
    once, info = step(jax.random.key(1), start, shards)
    step(jax.random.key(2), once, shards)
    assert step.traces == 1
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
    batch, expert = uniform_batch(jax.random.key(0), shards, 8000)
    rows = np.round(np.asarray(batch.x)[:, 0] * 40).astype(int)
    np.testing.assert_array_equal(expert, clusters[rows])
    counts = np.bincount(rows, minlength=40)
    assert np.square(counts - 200).sum() / 200 < 80  # chi-squared of 39 degrees of freedom


@pytest.mark.slow
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


@pytest.mark.parametrize("prediction", ["data", pytest.param("noise", marks=pytest.mark.slow)])
def test_a_student_with_the_parameters_of_its_only_teacher_has_no_loss(prediction):
    """The target is the teacher's velocity converted to what the student predicts."""
    model = flow.from_network(flow.MLP(width=4, depth=1), (2,), prediction=prediction)
    ddm = generative.experts(model, np.zeros(6, int), batch_size=4)
    shards = ddm.shards(np.random.default_rng(0).normal(size=(6, 2)))
    state = jax.jit(ddm.init)(jax.random.key(0))
    (params,) = agents.unstack(ddm.ensemble(state).params[0])
    student = generative.distillation(ddm.ensemble(state), model, batch_size=32)
    trained = student.init(jax.random.key(1))
    step = jax.jit(student.step)
    _, loss = step(jax.random.key(2), trained, shards)
    assert float(loss) > 1e-3
    _, loss = step(jax.random.key(2), trained._replace(params=params), shards)
    assert float(loss) < 1e-7


@pytest.mark.slow
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
    x, t = jax.random.normal(jax.random.key(2), (7, 2)), jnp.full(7, 0.3)
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
