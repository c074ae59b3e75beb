import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, data
from jaxswarm.data import batches


@pytest.fixture(scope="module")
def numbered():
    """Row ``s`` has feature ``s``, so that a batch shows which rows it contains."""
    rng = np.random.default_rng(0)
    return data.from_arrays(np.arange(200.0)[:, None], rng.integers(0, 5, 200), name="numbered")


@pytest.fixture(scope="module")
def partition(numbered):
    dealt = data.dirichlet_over_agents(numbered.labels, 12, alpha=0.3, seed=1)
    return data.without_data(dealt, [4])


@pytest.fixture(scope="module")
def shards(numbered, partition):
    return data.shards(numbered, partition)


@pytest.mark.parametrize("replace", [True, False])
def test_minibatches_hold_own_samples_with_their_labels(numbered, partition, shards, replace, key):
    batch = jax.jit(data.minibatches(8, replace=replace))(key, shards)
    assert batch.x.shape == (12, 8, 1)
    assert batch.y.shape == batch.weight.shape == (12, 8)
    rows = np.asarray(batch.x[..., 0], int)
    for i in range(12):
        real = np.asarray(batch.weight[i]) > 0
        expected = 8 if replace else min(8, int(partition.counts[i]))
        assert real.sum() == (0 if i == 4 else expected)
        assert set(rows[i][real]) <= set(partition.rows(i).tolist())
        if not replace:
            assert len(set(rows[i][real])) == real.sum()
    np.testing.assert_array_equal(batch.y, numbered.labels[rows])


def test_minibatches_are_uniform_over_own_samples(partition, shards, key):
    sample = jax.jit(data.minibatches(64))
    drawn = np.concatenate(
        [np.asarray(sample(k, shards).x[..., 0], int) for k in jax.random.split(key, 100)], axis=1
    )
    for i in np.flatnonzero(partition.counts > 1):
        rows = partition.rows(i)
        observed = np.array([(drawn[i] == r).sum() for r in rows])
        expected = 6400 / len(rows)
        chi_square = ((observed - expected) ** 2 / expected).sum()
        freedom = len(rows) - 1
        assert chi_square < freedom + 5 * np.sqrt(2 * freedom) + 5


def test_without_replacement_first_slot_is_uniform(key):
    shards = data.stacked(np.arange(6.0).reshape(1, 6, 1), np.zeros((1, 6), np.int32))
    sample = jax.jit(jax.vmap(data.minibatches(3, replace=False), in_axes=(0, None)))
    first = np.asarray(sample(jax.random.split(key, 6000), shards).x[:, 0, 0, 0], int)
    np.testing.assert_allclose(np.bincount(first, minlength=6), 1000, atol=5 * np.sqrt(1000))


def test_streams_depend_on_the_agent_not_on_how_many_there_are(shards, key):
    sample = jax.jit(data.minibatches(8))
    whole = sample(key, shards)
    tail = data.Shards(
        shards.features, shards.labels, shards.indices[5:], shards.mask[5:], shards.counts[5:]
    )
    part = sample(key, tail, offset=5)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[5:], b), whole, part)


@pytest.mark.parametrize("replace", [True, False])
def test_jit_equals_eager_and_compiles_once(shards, key, replace):
    sample = data.minibatches(8, replace=replace)
    chex.clear_trace_counter()
    traced = jax.jit(chex.assert_max_traces(sample, n=1))
    jax.tree.map(np.testing.assert_array_equal, traced(key, shards), sample(key, shards))
    traced(jax.random.key(7), shards)


def test_full_batches_are_all_local_data(numbered, partition, shards, key):
    batch = jax.jit(data.full_batches())(key, shards)
    np.testing.assert_array_equal(batch.weight, partition.mask)
    for i in range(12):
        mine = np.asarray(batch.x[i, :, 0], int)[partition.mask[i]]
        np.testing.assert_array_equal(mine, partition.rows(i))
    assert batch.y.shape == partition.indices.shape


def test_epochs_see_every_sample_once_in_a_fresh_order(partition, shards, key):
    sample = jax.jit(data.epoch_batches(4))
    for i in (0, int(np.argmax(partition.counts))):
        count = int(partition.counts[i])
        length = -(-count // 4)
        orders = []
        for epoch in range(2):
            seen = []
            for step in range(epoch * length, (epoch + 1) * length):
                batch = sample(key, shards, step)
                real = np.asarray(batch.weight[i]) > 0
                seen += np.asarray(batch.x[i, :, 0], int)[real].tolist()
            assert sorted(seen) == sorted(partition.rows(i).tolist())
            orders.append(seen)
        if count > 5:
            assert orders[0] != orders[1]
    assert not sample(key, shards, 3).weight[4].any()


@pytest.mark.parametrize("count", [1, 2, 3, 255, 65_536, 65_537, 10_000_019, 2**31 - 1])
def test_below_is_the_high_half_of_the_product(count):
    rng = np.random.default_rng(0)
    words = np.r_[0, 1, 2**16 - 1, 2**16, 2**31, 2**32 - 1, rng.integers(0, 2**32, 500)]
    found = batches.below(jnp.asarray(words, jnp.uint32), jnp.asarray(count, jnp.int32))
    np.testing.assert_array_equal(found, [int(w) * count >> 32 for w in words])
    assert not batches.below(jnp.asarray(words, jnp.uint32), jnp.asarray(0)).any()


def test_stacked_data_keeps_its_agents(key):
    x, y = np.arange(24.0).reshape(3, 4, 2), np.arange(12.0).reshape(3, 4)
    batch = data.full_batches()(key, data.stacked(x, y))
    np.testing.assert_array_equal(batch.x, x)
    np.testing.assert_array_equal(batch.y, y)
    with pytest.raises(ValueError, match=r"features, labels: expected shapes \[N, M, ...\]"):
        data.stacked(x, y[:2])


@pytest.mark.parametrize(
    "factory", [data.minibatches, data.epoch_batches, data.class_batches], ids=lambda f: f.__name__
)
def test_batch_size_is_checked(factory):
    with pytest.raises(ValueError, match="batch_size"):
        factory(0)


def test_class_batches_follow_the_distribution(numbered, key):
    p = np.array([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1.0], [0.1, 0.2, 0.3, 0.4, 0.0]])
    shards = data.class_shards(numbered, p)
    batch = jax.jit(data.class_batches(20_000))(key, shards)
    for i in range(3):
        share = np.bincount(batch.y[i], minlength=5) / 20_000
        np.testing.assert_allclose(share, p[i], atol=5 * 0.5 / np.sqrt(20_000))
        assert not share[p[i] == 0].any()
    rows = np.asarray(batch.x[..., 0], int)
    np.testing.assert_array_equal(batch.y, numbered.labels[rows])
    # Within a class every sample is as likely as another.
    members = np.flatnonzero(numbered.labels == 4)
    counts = np.bincount(rows[1], minlength=200)[members]
    expected = 20_000 / len(members)
    np.testing.assert_allclose(counts, expected, atol=5 * np.sqrt(expected))
    assert (batch.weight == 1).all()


def test_class_distributions_sweep_alpha_under_vmap(numbered, key):
    def skew(alpha):
        p = data.class_distributions(key, 200, 5, alpha)
        y = data.class_batches(4)(key, data.class_shards(numbered, p)).y
        return p.sum(axis=1), p.max(axis=1).mean(), y

    sums, largest, y = jax.jit(jax.vmap(skew))(jnp.array([0.05, 1.0, 1000.0]))
    assert y.shape == (3, 200, 4)
    np.testing.assert_allclose(sums, 1.0, rtol=1e-5)
    assert largest[0] > 0.8
    assert largest[2] < 0.25

    with pytest.raises(ValueError, match="alpha"):
        data.class_distributions(key, 3, 5, 0.0)
    with pytest.raises(ValueError, match=r"num_agents: expected a whole number .*, got 0"):
        data.class_distributions(key, 0, 5, 1.0)


def test_bad_class_distributions_are_refused(numbered):
    with pytest.raises(ValueError, match=r"expected \[N, 5\]"):
        data.class_shards(numbered, np.ones((2, 4)) / 4)
    with pytest.raises(ValueError, match=r"probabilities: expected distributions, got .* in row 1"):
        data.class_shards(numbered, np.array([[1.0, 0, 0, 0, 0], [0.5, 0, 0, 0, 0]]))
    gap = data.from_arrays(np.zeros((4, 1)), [0, 0, 2, 2])
    with pytest.raises(ValueError, match=r"weight 0 on classes without samples .* in row 1"):
        data.class_shards(gap, np.array([[0.5, 0, 0.5], [0, 0.5, 0.5]]))


def test_a_data_less_agent_has_zero_loss_and_gradient(shards, key):
    from jaxswarm import models

    model = models.functional(models.mlp(8, 5), shards.features[:1])
    params = jax.jit(lambda k: agents.initialize(k, model.init, 12))(key)
    batch = jax.jit(data.minibatches(8))(key, shards)

    def loss(params, batch):
        return models.cross_entropy(model.apply(params, batch.x), batch.y, batch.weight)

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(loss)))(params, batch)
    chex.assert_tree_all_finite((values, slopes))
    assert values[4] == 0
    assert all(not leaf[4].any() for leaf in jax.tree.leaves(slopes))
    assert values[0] > 0
