import numpy as np
import pytest

from jaxswarm import data


@pytest.mark.parametrize(
    ("name", "samples", "shape", "classes"),
    [
        ("digits", 1797, (64,), 10),
        ("breast_cancer", 569, (30,), 2),
        ("wine", 178, (13,), 3),
        ("iris", 150, (4,), 3),
    ],
)
def test_bundled_sets_have_their_known_shape(name, samples, shape, classes):
    split = data.load(name)
    assert split.train.num_samples + split.test.num_samples == samples
    for part in split:
        assert part.features.shape[1:] == shape
        assert part.features.dtype == np.float32
        assert part.labels.dtype == np.int32
        assert part.num_classes == classes
        assert np.isfinite(part.features).all()


def test_digits_lie_in_the_unit_interval_and_tabular_sets_are_standardised():
    digits = data.load("digits").train.features
    assert digits.min() == 0.0
    assert digits.max() == 1.0
    wine = data.load("wine").train.features
    np.testing.assert_allclose(wine.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(wine.std(axis=0), 1.0, atol=1e-5)
    raw = data.load("wine", standardize=False).train.features
    assert raw.max() > 100


def test_standardising_takes_training_statistics_and_survives_constant_features():
    train = data.from_arrays([[1.0, 5.0], [3.0, 5.0]], [0, 1])
    test = data.from_arrays([[2.0, 7.0]], [0], num_classes=2)
    scaled = data.standardized(data.Split(train, test))
    np.testing.assert_allclose(scaled.train.features, [[-1, 0], [1, 0]])
    np.testing.assert_allclose(scaled.test.features, [[0, 2]])


def test_split_is_stratified_and_determined_by_its_seed():
    first, again, other = (data.load("digits", seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.train.features, again.train.features)
    assert not np.array_equal(first.train.labels, other.train.labels)
    held = np.bincount(first.test.labels, minlength=10)
    whole = held + np.bincount(first.train.labels, minlength=10)
    np.testing.assert_allclose(held, 0.2 * whole, atol=0.51)


def test_split_parts_are_disjoint_and_complete():
    whole = data.from_arrays(np.arange(30.0)[:, None], np.arange(30) % 3)
    split = data.split_by_class(whole, test_fraction=0.3, seed=1)
    rows = np.concatenate([split.train.features[:, 0], split.test.features[:, 0]])
    assert sorted(rows.tolist()) == list(range(30))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_non_finite_features_are_refused_by_row(value):
    x = np.zeros((5, 2))
    x[3, 1] = value
    with pytest.raises(ValueError, match="row 3"):
        data.from_arrays(x, [0] * 5, name="bad")


@pytest.mark.parametrize(
    ("features", "labels", "classes", "message"),
    [
        (np.zeros((3, 2)), [0, 1], None, "got 2 labels for 3 rows"),
        (np.zeros((2, 2)), [0, 5], 3, r"\[0, 3\), got 5 in row 1"),
        (np.zeros((2, 2)), [0, -1], None, "got -1 in row 1"),
        (np.zeros((2, 2)), [0.5, 1.0], None, r"integer classes.*use data\.from_samples"),
        (np.zeros((0, 2)), [], None, "at least one sample"),
        (np.array([["a"], ["b"]]), [0, 1], None, "real numbers"),
        (np.zeros((2, 2)), [[0], [1]], None, r"labels \[S\]"),
    ],
)
def test_bad_arrays_are_refused(features, labels, classes, message):
    with pytest.raises(ValueError, match=message):
        data.from_arrays(features, labels, num_classes=classes)


def test_whole_float_labels_are_accepted():
    assert data.from_arrays(np.zeros((2, 1)), np.array([0.0, 2.0])).num_classes == 3


def test_unknown_set_is_refused_with_a_suggestion(monkeypatch):
    monkeypatch.delenv("JAXSWARM_DATA", raising=False)
    with pytest.raises(ValueError, match="did you mean 'digits'"):
        data.load("digit")


def test_bundled_sets_take_no_path_and_fractions_are_checked(tmp_path):
    with pytest.raises(ValueError, match="path"):
        data.load("digits", path=tmp_path)
    for fraction in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="test_fraction"):
            data.load("iris", test_fraction=fraction)
    with pytest.raises(ValueError, match="leaves no side empty"):
        data.split_by_class(data.from_arrays([[0.0]], [0]), test_fraction=0.2)
