"""Bristle and SybilWall on image files: 28 × 28 pixels instead of the digits' 8 × 8."""

import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest

from experiments import harness
from experiments.bristle.frozen_body import split_data, turned_images
from experiments.harness.images import flattened
from experiments.sybilwall.arms import build_setup
from jaxswarm import data

NAMES = ("bristle", "sybilwall")


def write(path, array):
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny MNIST-like set: ten classes of noisy stripes."""
    folder = tmp_path_factory.mktemp("images") / "mnist"
    folder.mkdir()
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 10
    images = rng.integers(0, 60, (600, 28, 28))
    for row in range(2):
        images[np.arange(600), 2 * labels + row] += 180
    write(folder / "t10k-images-idx3-ubyte.gz", images)
    write(folder / "t10k-labels-idx1-ubyte.gz", labels)
    return folder.parent


def config(name, folder):
    return replace(harness.load(name).SCALES["smoke"], data="mnist", path=folder)


def test_images_are_flattened_and_the_digits_stay(folder):
    split = flattened(data.load("mnist", path=folder))
    assert split.train.features.shape[1:] == (784,)
    digits = data.load("digits")
    np.testing.assert_array_equal(flattened(digits).train.features, digits.train.features)
    odd = data.from_arrays(np.zeros((4, 3, 5)), [0, 1, 0, 1])
    with pytest.raises(ValueError, match="square images"):
        flattened(data.Split(odd, odd))


def test_bristle_turns_images_of_any_side(folder):
    body, pool, exam = split_data(config("bristle", folder))
    turned = turned_images(body)
    assert turned.features.shape == (8 * body.num_samples, 784)
    assert turned.num_classes == 80
    first = body.features[0].reshape(28, 28)
    quarter = turned.features[body.num_samples].reshape(28, 28)
    np.testing.assert_array_equal(quarter, np.rot90(first))
    assert pool.features.shape[1:] == exam.features.shape[1:] == (784,)


def test_sybilwall_stamps_images_of_any_side(folder):
    setup = build_setup(config("sybilwall", folder), flattened(data.load("mnist", path=folder)))
    stamped = np.asarray(setup.stamped).reshape(-1, 28, 28)
    assert (stamped[:, :3, :3] == 1.0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_smoke_on_image_files(name, folder, tmp_path):
    outcome = harness.run_and_record(
        harness.load(name), config(name, folder), scale="smoke", runs=tmp_path, figure=False
    )
    assert outcome.error is None
    assert all(np.isfinite(claim.effect) for claim in outcome.claims)
