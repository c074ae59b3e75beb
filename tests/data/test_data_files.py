import gzip
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from jaxswarm import data
from jaxswarm.data import files

CODES = {"u1": 0x08, ">i4": 0x0C, ">f4": 0x0D}


def idx_bytes(array, code="u1"):
    array = np.asarray(array)
    header = struct.pack(">BBBB", 0, 0, CODES[code], array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(code).tobytes()


def write_pair(folder, prefix, images, labels, *, zipped=True):
    folder.mkdir(exist_ok=True, parents=True)
    for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        raw = idx_bytes(array)
        if zipped:
            (folder / f"{prefix}-{kind}.gz").write_bytes(gzip.compress(raw))
        else:
            (folder / f"{prefix}-{kind}").write_bytes(raw)


def images(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 4, 5), dtype=np.uint8), np.arange(count) % 3


@pytest.mark.parametrize("code", list(CODES))
def test_idx_round_trip(tmp_path, code):
    array = np.arange(24).reshape(2, 3, 4)
    (tmp_path / "file").write_bytes(idx_bytes(array, code))
    read = data.read_idx(tmp_path / "file")
    np.testing.assert_array_equal(read, array)
    assert read.dtype.isnative


@pytest.mark.parametrize("zipped", [True, False])
def test_both_pairs_give_the_official_split(tmp_path, zipped):
    x, y = images(12)
    write_pair(tmp_path / "mnist", "train", x, y, zipped=zipped)
    write_pair(tmp_path / "mnist", "t10k", x[:4], y[:4], zipped=zipped)
    split = data.load("mnist", path=tmp_path)
    assert split.train.features.shape == (12, 4, 5)
    assert split.train.num_classes == split.test.num_classes == 3
    np.testing.assert_allclose(split.test.features * 255, x[:4], rtol=1e-6)


def test_one_pair_is_divided_deterministically(tmp_path):
    write_pair(tmp_path, "t10k", *images(30))
    first, again = (data.load("mnist", path=tmp_path, test_fraction=0.3) for _ in range(2))
    assert first.test.num_samples == 9
    assert first.train.num_samples == 21
    np.testing.assert_array_equal(first.train.features, again.train.features)


def test_environment_variable_names_the_folder(tmp_path, monkeypatch):
    write_pair(tmp_path / "fashion_mnist", "t10k", *images(30))
    monkeypatch.setenv("JAXSWARM_DATA", str(tmp_path))
    assert data.load("fashion_mnist").train.num_samples == 24
    # A folder that is another set is not taken for the one asked for.
    monkeypatch.setenv("JAXSWARM_DATA", str(tmp_path / "fashion_mnist"))
    assert data.load("fashion_mnist").train.num_samples == 24
    with pytest.raises(ValueError, match="mnist: expected train-images"):
        data.load("mnist")


def test_missing_files_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("JAXSWARM_DATA", raising=False)
    with pytest.raises(ValueError, match="environment variable JAXSWARM_DATA"):
        data.load("mnist")
    with pytest.raises(ValueError, match=r"expected train-images-idx3-ubyte.* got no data files"):
        data.load("mnist", path=tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        data.load("mnist", path=tmp_path / "nowhere")
    write_pair(tmp_path, "t10k", *images(30))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match=r"missing t10k-labels-idx1-ubyte\[.gz\]"):
        data.load("mnist", path=tmp_path)


def damaged(kind):
    raw = idx_bytes(np.zeros((3, 4), np.uint8))
    return {
        "truncated": raw[:-1],
        "too long": raw + b"x",
        "truncated IDX header": raw[:6],
        "not an IDX file": b"P5 28 28 255 ",
        "truncated or damaged gzip": gzip.compress(raw)[:-9],
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "truncated",
        "too long",
        "truncated IDX header",
        "not an IDX file",
        "truncated or damaged gzip",
    ],
)
def test_damaged_files_are_named(tmp_path, kind):
    path = tmp_path / "broken-file"
    path.write_bytes(damaged(kind))
    with pytest.raises(ValueError, match=f"broken-file: {kind}"):
        data.read_idx(path)


def test_empty_file_is_no_idx_file(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(ValueError, match="not an IDX file"):
        data.read_idx(tmp_path / "empty")


def test_images_and_labels_of_different_length_are_refused(tmp_path):
    x, y = images(30)
    write_pair(tmp_path, "t10k", x, y[:20])
    with pytest.raises(ValueError, match="got 20 labels for 30 rows"):
        data.load("mnist", path=tmp_path)


def test_npz_official_and_single(tmp_path):
    x, y = images(30)
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x[:6], y_test=y[:6])
    split = data.load("mine", path=tmp_path)
    assert (split.train.num_samples, split.test.num_samples) == (30, 6)
    assert split.train.features.max() <= 1.0
    np.savez(tmp_path / "other.npz", features=x / 7.0, labels=y)
    split = data.load("other", path=tmp_path / "other.npz")
    assert split.train.num_samples == 24


def test_bad_npz_is_named(tmp_path):
    x, y = images(6)
    np.savez(tmp_path / "a.npz", pixels=x)
    with pytest.raises(ValueError, match=r"a.npz: expected arrays .* got \['pixels'\]"):
        data.load("a", path=tmp_path)
    np.savez(tmp_path / "b.npz", x_train=x, y_train=y, x_test=x)
    with pytest.raises(ValueError, match="together, got only x_test"):
        data.load("b", path=tmp_path)
    np.savez(tmp_path / "c.npz", x=np.array([{"evil": 1}], dtype=object), y=y)
    with pytest.raises(ValueError, match=r"c.npz: not a readable .npz of plain arrays"):
        data.load("c", path=tmp_path)
    (tmp_path / "d.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ValueError, match=r"d.npz: not a readable"):
        data.load("d", path=tmp_path)
    np.savez(tmp_path / "e.npz", x_train=x, y_train=y, x_test=x[:, :2], y_test=y)
    with pytest.raises(ValueError, match="training and test samples of one shape"):
        data.load("e", path=tmp_path)


def test_real_mnist_if_it_is_here():
    root = Path(os.environ.get("JAXSWARM_DATA", "../shared/data"))
    if not (root / "mnist").is_dir():
        pytest.skip("no mnist folder under JAXSWARM_DATA")
    split = data.load("mnist", path=root)
    total = split.train.num_samples + split.test.num_samples
    assert total in (10_000, 60_000, 70_000)
    assert split.train.features.shape[1:] == (28, 28)
    assert split.train.num_classes == 10
    assert 0.1 < split.train.features.mean() < 0.16


def idx_header(shape, code=0x08):
    return struct.pack(">BBBB", 0, 0, code, len(shape)) + struct.pack(f">{len(shape)}I", *shape)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "shape",
    [
        (2**31, 2**31, 4),  # the product is 2**64, which wraps to 0 in int64
        (2**32 - 1, 2**32 - 1, 2**32 - 1),
        (2**16, 2**16, 2**16),
        (2**32 - 1, 2),
    ],
)
def test_an_idx_header_that_declares_too_much_is_refused_before_memory_is_taken(
    tmp_path, shape, zipped
):
    raw = idx_header(shape) + b"abc"
    (tmp_path / "huge-file").write_bytes(gzip.compress(raw) if zipped else raw)
    with pytest.raises(ValueError, match=r"huge-file: shape .* needs \d+ bytes, more than"):
        data.read_idx(tmp_path / "huge-file")


def peak_memory(call):
    tracemalloc.start()
    try:
        call()
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def test_decompression_stops_at_the_declared_size(tmp_path):
    bomb = tmp_path / "bomb"
    with gzip.open(bomb, "wb") as file:
        file.write(idx_header((3, 4)))
        for _ in range(64):
            file.write(bytes(2**20))

    def read():
        with pytest.raises(ValueError, match="bomb: too long"):
            data.read_idx(bomb)

    assert peak_memory(read) < 2**23


@pytest.mark.parametrize("zipped", [False, True])
def test_memory_is_only_taken_for_what_is_there(tmp_path, zipped):
    raw = idx_header((2**30,)) + b"abc"
    (tmp_path / "short").write_bytes(gzip.compress(raw) if zipped else raw)

    def read():
        with pytest.raises(ValueError, match=r"short: truncated, shape \(1073741824,\) needs"):
            data.read_idx(tmp_path / "short")

    assert peak_memory(read) < 2**23


def npy_bytes(shape, content=b"", descr="<f8"):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


@pytest.mark.parametrize(
    "shape", ["(1000000000000,)", "(4294967296, 4294967296)", "(99,)", "(-1,)", "(2, 3)"]
)
def test_an_npz_array_of_another_size_than_its_header_says_is_refused(tmp_path, shape):
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        archive.writestr("x.npy", npy_bytes(shape, b"12345678"))
        archive.writestr("y.npy", npy_bytes("(1,)", b"12345678"))
    with pytest.raises(ValueError, match=r"f\.npz: 'x\.npy' of shape .* needs"):
        data.load("f", path=tmp_path)


def test_an_npz_that_unpacks_to_more_than_is_read_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 2**20)
    x, y = images(6)
    np.savez_compressed(tmp_path / "g.npz", x=np.zeros((6, 600, 600), np.uint8), y=y)
    with pytest.raises(ValueError, match=r"g\.npz: .*more than 1048576 are not read"):
        data.load("g", path=tmp_path)
    np.savez_compressed(tmp_path / "h.npz", x=np.repeat(x, 5, axis=0), y=np.tile(y, 5))
    assert data.load("h", path=tmp_path).train.num_samples > 0


@pytest.mark.parametrize(
    "name",
    ["../outside/x", "..", ".", "", "a/b", "/etc/passwd", "a\\b", "x\0y", "C:x", " ", 3, None],
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, monkeypatch, name):
    inside, outside = tmp_path / "inside", tmp_path / "outside" / "x"
    inside.mkdir()
    write_pair(outside, "train", *images(30))
    write_pair(inside / "a" / "b", "train", *images(30))
    monkeypatch.setenv("JAXSWARM_DATA", str(inside))
    for call in (
        lambda: data.load(name),
        lambda: data.load(name, path=inside),
        lambda: data.load_files(name, path=inside),
    ):
        with pytest.raises(ValueError, match="name: expected the name of a data set"):
            call()
