import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import data

LABELS = np.random.default_rng(0).integers(0, 10, 600)
COVERING = sorted(set(data.PARTITIONERS) - {"dirichlet_over_classes"})


def check_properties(partition, num_samples):
    indices, mask, counts = partition.indices, partition.mask, partition.counts
    np.testing.assert_array_equal(mask.sum(axis=1), counts)
    assert indices.shape == mask.shape == (partition.num_agents, partition.capacity)
    assert partition.capacity == counts.max()
    assert (indices >= 0).all()
    assert (indices < num_samples).all()
    # An agent's own slots come first, padding repeats its first row.
    assert (mask == (np.arange(partition.capacity) < counts[:, None])).all()
    padding = np.where(counts > 0, indices[:, 0], 0)[:, None]
    assert (mask | (indices == padding)).all()
    assert (indices.dtype, mask.dtype, counts.dtype) == (np.int32, np.bool_, np.int32)
    if not partition.overlap:
        held = indices[mask]
        assert len(np.unique(held)) == len(held)


@pytest.mark.parametrize("name", COVERING)
@pytest.mark.parametrize("num_agents", [1, 7, 10, 60])
def test_every_sample_is_dealt_exactly_once(name, num_agents):
    options = {"classes_per_agent": 10} if name == "consecutive_classes" else {}
    partition = data.deal(name, LABELS, num_agents, seed=2, **options)
    check_properties(partition, len(LABELS))
    assert not partition.overlap
    assert sorted(partition.indices[partition.mask].tolist()) == list(range(len(LABELS)))
    assert partition.counts.min() >= 1


@pytest.mark.parametrize("name", sorted(data.PARTITIONERS))
def test_same_seed_same_deal(name):
    first, again, other = (data.deal(name, LABELS, 12, seed=s) for s in (5, 5, 6))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not all(np.array_equal(first.rows(i), other.rows(i)) for i in range(first.num_agents))


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(data.PARTITIONERS)),
    labels=st.lists(st.integers(0, 4), min_size=8, max_size=60),
    num_agents=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_properties_hold_for_any_labels(name, labels, num_agents, seed):
    labels = [*labels, *range(5)]
    options = {"classes_per_agent": 5} if name == "consecutive_classes" else {}
    partition = data.deal(name, labels, num_agents, seed=seed, **options)
    check_properties(partition, len(labels))
    assert partition.num_agents == num_agents
    assert partition.counts.min() >= 1
    if not partition.overlap:
        assert partition.counts.sum() == len(labels)
    assert (partition.class_counts(labels).sum(axis=1) == partition.counts).all()


def test_iid_is_balanced_in_sizes_and_classes():
    partition = data.iid(LABELS, 7)
    assert np.ptp(partition.counts) <= 1
    assert np.ptp(partition.class_counts(LABELS), axis=0).max() <= 1
    plain = data.iid(LABELS, 7, balanced=False)
    assert np.ptp(plain.counts) <= 1
    assert np.ptp(plain.class_counts(LABELS), axis=0).max() > 1


@pytest.mark.parametrize("scheme", [data.dirichlet_over_agents, data.dirichlet_over_classes])
def test_dirichlet_limits(scheme):
    labels = np.repeat(np.arange(10), 100)
    even = scheme(labels, 10, alpha=1e9, seed=1).class_counts(labels)
    # Multinomial noise at most for the resampling scheme: mean 10, deviation 3 per cell.
    np.testing.assert_allclose(even, 10, atol=0 if scheme is data.dirichlet_over_agents else 15)
    skewed = scheme(labels, 10, alpha=1e-6, seed=1)
    table = skewed.class_counts(labels)
    if scheme is data.dirichlet_over_classes:
        assert (table.max(axis=1) == skewed.counts).all()  # one class per agent
    else:
        assert (table.max(axis=0) >= 100 - 10).all()  # a class has one owner, top-ups apart


def test_dirichlet_skew_grows_as_alpha_falls():
    def largest_share(alpha):
        partition = data.dirichlet_over_agents(LABELS, 10, alpha=alpha, seed=3)
        return (partition.class_counts(LABELS).max(axis=1) / partition.counts).mean()

    shares = [largest_share(alpha) for alpha in (0.05, 0.5, 5.0, 500.0)]
    assert shares == sorted(shares, reverse=True)


def test_dirichlet_proportions_have_the_moments_of_the_distribution():
    # One class: sizes / S are Dirichlet(α·1_N), with variance (1/N)(1 − 1/N) / (Nα + 1).
    labels, n, alpha = np.zeros(2000, int), 5, 2.0
    shares = np.concatenate(
        [
            data.dirichlet_over_agents(labels, n, alpha=alpha, seed=s).counts / 2000
            for s in range(200)
        ]
    )
    assert shares.mean() == pytest.approx(1 / n)
    assert shares.var() == pytest.approx((1 / n) * (1 - 1 / n) / (n * alpha + 1), rel=0.15)


def test_min_size_is_reached_even_when_redraws_cannot():
    partition = data.dirichlet_over_agents(LABELS, 100, alpha=0.01, min_size=5, seed=0)
    assert partition.counts.min() >= 5
    assert partition.counts.sum() == 600


def test_dirichlet_over_classes_declares_overlap_and_keeps_sizes_equal():
    partition = data.dirichlet_over_classes(LABELS, 20, alpha=0.1, size=50)
    assert partition.overlap
    assert (partition.counts == 50).all()
    check_properties(partition, len(LABELS))
    # More of a class than there is: drawn with replacement, still the size asked for.
    assert (data.dirichlet_over_classes(LABELS, 2, alpha=0.01, size=900).counts == 900).all()


def test_disjoint_classes_follow_the_modulus():
    table = data.disjoint_classes(LABELS, 4).class_counts(LABELS)
    for c in range(10):
        assert np.flatnonzero(table[:, c]).tolist() == [c % 4]
    table = data.disjoint_classes(LABELS, 25).class_counts(LABELS)
    for i in range(25):
        assert np.flatnonzero(table[i]).tolist() == [i % 10]


def test_truncated_makes_sizes_equal():
    partition = data.truncated(data.disjoint_classes(LABELS, 10))
    assert (partition.counts == np.bincount(LABELS).min()).all()
    check_properties(partition, len(LABELS))
    with pytest.raises(ValueError, match="size"):
        data.truncated(partition, 0)


STORED = {
    "by class": np.repeat(np.arange(4), 50),
    "in turn": np.arange(200) % 4,
    "shuffled": np.random.default_rng(0).permutation(np.repeat(np.arange(4), 50)),
    "two blocks": np.repeat([0, 1, 2, 3, 0, 1, 2, 3], 25),
}


@pytest.mark.parametrize("name", ["iid", "dirichlet_over_agents", "quantity_skew", "feature_skew"])
@pytest.mark.parametrize("order", STORED)
def test_truncated_keeps_class_shares_however_the_set_is_stored(order, name):
    labels = STORED[order]
    before = data.deal(name, labels, 3, seed=1)
    table = before.class_counts(labels)
    for size in (40, 12):
        for seed in (0, 1):
            after = data.truncated(before, size, labels=labels, seed=seed)
            kept = after.class_counts(labels)
            assert (kept.sum(axis=1) == np.minimum(table.sum(axis=1), size)).all()
            shares = table * np.minimum(1.0, size / table.sum(axis=1))[:, None]
            assert (np.abs(kept - shares) <= 1.0 + 1e-9).all()
            assert (kept <= table).all()
            assert len(np.unique(after.indices[after.mask])) == after.counts.sum()


@pytest.mark.parametrize("order", ["by class", "two blocks"])
def test_truncated_keeps_class_shares_of_a_sorted_set_without_labels(order):
    labels = STORED[order]
    for deal in (data.iid(labels, 2), data.iid(labels, 5, balanced=False)):
        table = deal.class_counts(labels)
        kept = data.truncated(deal, 20).class_counts(labels)
        shares = table * (20 / table.sum(axis=1))[:, None]
        assert (np.abs(kept - shares) <= 2.0).all()
        assert (kept > 0).all()


def test_truncated_is_unbiased_on_a_set_stored_in_turn_and_depends_on_its_seed():
    labels = STORED["in turn"]
    whole = data.from_rows([np.arange(200)], 200)
    tables = [data.truncated(whole, 50, seed=seed).class_counts(labels)[0] for seed in range(40)]
    np.testing.assert_allclose(np.mean(tables, axis=0), 12.5, atol=1.5)
    assert len({tuple(t) for t in tables}) > 10
    again = data.truncated(whole, 50, seed=3)
    np.testing.assert_array_equal(again.indices, data.truncated(whole, 50, seed=3).indices)


def test_truncated_keeps_those_below_the_size_as_they_are():
    partition = data.from_rows([[5, 3, 1], [0, 2, 4, 6, 8, 7], []], 9, allow_empty=True)
    kept = data.truncated(partition, 3)
    assert kept.rows(0).tolist() == [5, 3, 1]
    assert kept.counts.tolist() == [3, 3, 0]
    assert set(kept.rows(1)) <= {0, 2, 4, 6, 8, 7}
    np.testing.assert_array_equal(data.truncated(partition, 6).indices, partition.indices)


def test_consecutive_classes_are_consecutive_and_cyclic():
    table = data.consecutive_classes(LABELS, 20, classes_per_agent=4).class_counts(LABELS)
    for i in range(20):
        assert set(np.flatnonzero(table[i])) == {(i + j) % 10 for j in range(4)}


def test_label_shards_limit_the_classes_of_an_agent():
    labels = np.repeat(np.arange(10), 40)
    partition = data.label_shards(labels, 20, shards_per_agent=2)
    assert (partition.class_counts(labels) > 0).sum(axis=1).max() <= 2
    assert (partition.counts == 20).all()


def test_quantity_skew_distributions():
    power = data.quantity_skew(LABELS, 10, sizes="power", alpha=1.0)
    sizes = np.sort(power.counts)[::-1]
    expected = 1 + 590 / np.arange(1, 11) / (1 / np.arange(1, 11)).sum()
    np.testing.assert_allclose(sizes, expected, atol=1.0)
    even = data.quantity_skew(LABELS, 10, alpha=1e9)
    assert (even.counts == 60).all()
    with pytest.raises(ValueError, match="did you mean 'power'"):
        data.quantity_skew(LABELS, 10, sizes="powr")


def test_without_data_empties_and_redeals():
    partition = data.iid(LABELS, 10)
    bare = data.without_data(partition, [2, 5])
    check_properties(bare, len(LABELS))
    assert bare.counts[[2, 5]].tolist() == [0, 0]
    assert bare.counts.sum() == 480
    assert not bare.indices[2].any()
    redealt = data.without_data(partition, np.isin(np.arange(10), [2, 5]), redeal=True)
    check_properties(redealt, len(LABELS))
    assert redealt.counts.sum() == 600
    assert np.ptp(redealt.counts[redealt.counts > 0]) <= 1
    assert "2 without data" in redealt.describe()
    untouched = data.without_data(partition, [])
    np.testing.assert_array_equal(untouched.indices, partition.indices)


def test_feature_skew_grades_agents_and_leaves_labels_alone():
    digits = data.load("digits").train
    partition = data.feature_skew(digits.labels, 5, kind="noise", strength=0.4)
    np.testing.assert_allclose(partition.skew.noise, [0, 0.1, 0.2, 0.3, 0.4], rtol=1e-6)
    shards = data.shards(digits, partition)
    for i in range(5):
        mine = np.asarray(shards.indices)[i][np.asarray(shards.mask)[i]]
        rows = partition.rows(i)
        np.testing.assert_array_equal(shards.labels[mine], digits.labels[rows])
        deviation = np.std(np.asarray(shards.features)[mine] - digits.features[rows])
        assert deviation == pytest.approx(0.1 * i, rel=0.02, abs=1e-7)


def test_rotation_by_a_quarter_turn_is_rot90():
    image = np.arange(16.0).reshape(1, 16)
    partition = data.with_feature_skew(data.iid([0, 0], 2), kind="rotation", strength=90.0)
    turned = partition.skew.transform(image, 1).reshape(4, 4)
    np.testing.assert_allclose(turned, np.rot90(image.reshape(4, 4)), atol=1e-4)
    with pytest.raises(ValueError, match="images to rotate"):
        partition.skew.transform(np.zeros((1, 15)), 1)


def test_gain_skew_and_data_less_agents():
    partition = data.with_feature_skew(data.iid([0] * 9, 3), kind="gain", strength=1.0)
    np.testing.assert_allclose(partition.skew.gain, np.exp([-1.0, 0.0, 1.0]), rtol=1e-6)
    bare = data.without_data(partition, [2])
    shards = data.shards(data.from_arrays(np.ones((9, 2)), [0] * 9), bare)
    assert np.asarray(shards.indices).max() < shards.labels.shape[0]
    assert (np.asarray(shards.features)[np.asarray(shards.indices[1])] == 1.0).all()


@pytest.mark.parametrize("name", sorted(data.PARTITIONERS))
def test_bad_deals_are_refused(name):
    with pytest.raises(ValueError, match=r"num_agents.*got 3 samples"):
        data.deal(name, [0, 1, 2], 4)
    with pytest.raises(ValueError, match="num_agents: expected a whole number of at least 1"):
        data.deal(name, [0, 1, 2], 0)
    with pytest.raises(ValueError, match="got -1 in row 1"):
        data.deal(name, [0, -1, 2], 1)
    with pytest.raises(ValueError, match="non-empty"):
        data.deal(name, [], 1)


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan, np.inf])
def test_alpha_must_be_positive(alpha):
    for name in ("dirichlet_over_agents", "dirichlet_over_classes", "quantity_skew"):
        with pytest.raises(ValueError, match="alpha: expected a finite number > 0"):
            data.deal(name, LABELS, 4, alpha=alpha)


def test_other_bad_options_are_refused():
    with pytest.raises(ValueError, match=r"classes_per_agent: .* in \[1, 10\], got 11"):
        data.consecutive_classes(LABELS, 4, classes_per_agent=11)
    with pytest.raises(ValueError, match="expected at least 5, so that"):
        data.consecutive_classes(LABELS, 2, classes_per_agent=4)
    with pytest.raises(ValueError, match="shards_per_agent"):
        data.label_shards(LABELS, 4, shards_per_agent=0)
    with pytest.raises(ValueError, match="at least 3 samples for each"):
        data.label_shards([0, 1, 2, 3], 2, shards_per_agent=3)
    with pytest.raises(ValueError, match="at least one sample per agent"):
        data.disjoint_classes([0, 0, 2, 2], 3)
    with pytest.raises(ValueError, match="did you mean 'iid'"):
        data.deal("idd", LABELS, 4)
    with pytest.raises(ValueError, match="kind of feature skew"):
        data.feature_skew(LABELS, 4, kind="nois")
    with pytest.raises(ValueError, match="strength"):
        data.feature_skew(LABELS, 4, strength=-1.0)
    with pytest.raises(ValueError, match="all of them"):
        data.without_data(data.iid(LABELS, 2), [0, 1])
    with pytest.raises(ValueError, match=r"ids in \[0, 2\)"):
        data.without_data(data.iid(LABELS, 2), [2])
    with pytest.raises(ValueError, match=r"bool\[2\]"):
        data.without_data(data.iid(LABELS, 2), np.ones(3, bool))
    with pytest.raises(ValueError, match="min_size"):
        data.dirichlet_over_agents(LABELS, 4, min_size=0)
    with pytest.raises(ValueError, match="max_draws"):
        data.dirichlet_over_agents(LABELS, 4, max_draws=0)


def test_own_partitions_are_validated():
    with pytest.raises(ValueError, match="expected every row once, got row 1"):
        data.from_rows([[0, 1], [1]], 3)
    with pytest.raises(ValueError, match=r"rows in \[0, 3\), got 3"):
        data.from_rows([[0], [3]], 3)
    with pytest.raises(ValueError, match="got an empty partition"):
        data.from_rows([[], []], 3, allow_empty=True)
    with pytest.raises(ValueError, match="got none for agent 1"):
        data.from_rows([[0], []], 3)
    with pytest.raises(ValueError, match="at least one agent"):
        data.from_rows([], 3)
    with pytest.raises(ValueError, match=r"owners in \[0, 2\), got 2"):
        data.from_owners([0, 1, 2], 2)
    small = data.from_arrays(np.zeros((2, 1)), [0, 1])
    with pytest.raises(
        ValueError, match=r"dataset: expected a Dataset, got Split; pass split\.train"
    ):
        data.shards(data.load("iris"), data.iid(LABELS, 2))
    with pytest.raises(ValueError, match="partition: expected a Partition"):
        data.shards(data.load("iris").train, [0, 1])
    with pytest.raises(ValueError, match="got row 2"):
        data.shards(small, data.from_rows([[0], [2]], 3))
