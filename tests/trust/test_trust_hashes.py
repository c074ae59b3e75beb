"""Laws of locality-sensitive hashes, with ImageHash, SciPy and numpy as oracles."""

import functools

import imagehash
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn

from jaxswarm.trust import hashes
from jaxswarm.trust.hashes import _distances
from jaxswarm.trust.hashes._perceptual import SCALE, _coefficients

ORACLES = {
    "ahash": imagehash.average_hash,
    "dhash": imagehash.dhash,
    "phash": imagehash.phash,
    "whash": imagehash.whash,
}
NATIVE = {"ahash": (8, 8), "dhash": (8, 9), "phash": (32, 32), "whash": (32, 32)}
"""Sizes that need no resizing."""


@functools.cache
def images(shape, count=24, low=0, high=256):
    """Noise and smooth images, half of each."""
    rng = np.random.default_rng(sum(shape))
    smooth = rng.normal(size=(count - count // 2, *shape))
    for axis in (1, 2):
        smooth = np.cumsum(smooth, axis=axis)
    smooth -= smooth.min(axis=(1, 2), keepdims=True)
    smooth *= (high - 1 - low) / smooth.max(axis=(1, 2), keepdims=True)
    noise = rng.integers(low, high, (count // 2, *shape), np.uint8)
    return np.concatenate([noise, (low + smooth).astype(np.uint8)])


def of(kind, array, size=8):
    return jax.tree.map(np.asarray, hashes.perceptual(array, kind, size=size))


def oracle_bits(kind, array, size=8):
    found = [ORACLES[kind](Image.fromarray(x), hash_size=size).hash.ravel() for x in array]
    return np.stack(found)


def haar_ties(array, size=8):
    """Coefficients of the Haar transform that equal their median, where rounding decides."""
    scale = max(2 ** int(np.log2(min(array.shape[1:3]))), size)
    gray = [Image.fromarray(x).convert("L").resize((scale, scale), Image.Resampling.LANCZOS)
            for x in array]  # fmt: skip
    pixels = np.stack([np.asarray(x, int) for x in gray])
    side = scale // size
    sums = pixels.reshape(-1, size, side, size, side).sum(axis=(2, 4)).reshape(len(array), -1)
    return sums == np.median(sums, axis=1, keepdims=True)


@pytest.mark.parametrize("shape", ["native", (21, 28, 3)])
@pytest.mark.parametrize("kind", hashes.KINDS)
def test_bits_equal_those_of_imagehash(kind, shape):
    array = images(NATIVE[kind] if shape == "native" else shape)
    found, wanted = of(kind, array), oracle_bits(kind, array)
    same = np.asarray(hashes.unpack(found)) == wanted
    if kind == "whash":
        same |= haar_ties(array)
    assert same.all()
    assert found.valid.all()
    assert found.bits == 64
    if kind != "whash":
        assert hashes.to_hex(found) == [str(ORACLES[kind](Image.fromarray(x))) for x in array]


def test_other_sizes_and_small_images_equal_imagehash_too():
    array = images((20, 20), 8)
    assert (
        np.asarray(hashes.unpack(of("phash", array, 6))) == oracle_bits("phash", array, 6)
    ).all()
    assert of("phash", array, 6).words.shape == (8, 2)


@pytest.mark.parametrize("size", [8, pytest.param(16, marks=pytest.mark.slow)])
def test_the_integer_transform_equals_the_real_one(size):
    side = 4 * size
    pixels = np.random.default_rng(0).integers(0, 256, (4, side, side))
    pixels[1], pixels[2], pixels[3] = 0, 255, np.arange(side)[:, None] * (255 // side)
    high, low = jax.jit(_coefficients, static_argnums=1)(jnp.asarray(pixels, jnp.int32), size)
    found = (np.asarray(high, np.float64) * 2**14 + np.asarray(low)) / 2**SCALE * 4
    wanted = dctn(pixels.astype(float), axes=(1, 2))[:, :size, :size].reshape(4, -1)
    np.testing.assert_allclose(found, wanted, atol=0.01 * (size / 8) ** 2)
    np.testing.assert_array_equal(found[:, 0], 4 * pixels.sum(axis=(1, 2)))
    assert not found[1:3, 1:].any()  # exact zeros, not rounding
    assert not found[3].reshape(size, size)[:, 1:].any()


@pytest.mark.parametrize("kind", hashes.KINDS)
def test_brightness_and_contrast_change_no_bit(kind):
    array = images(NATIVE[kind], 24, 60, 120)
    base = of(kind, array).words
    np.testing.assert_array_equal(of(kind, array + 50).words, base)
    np.testing.assert_array_equal(of(kind, array * 2).words, base)


def test_transposing_transposes():
    array = images((32, 32))
    for kind in ("phash", "whash"):
        bits, turned = (
            np.asarray(hashes.unpack(of(kind, x))).reshape(-1, 8, 8)
            for x in (array, array.transpose(0, 2, 1))
        )
        np.testing.assert_array_equal(turned, bits.transpose(0, 2, 1))


@pytest.mark.parametrize("kind", hashes.KINDS)
def test_floats_are_hashed_as_8_bits_and_one_image_as_many(kind):
    array = images(NATIVE[kind])
    base = of(kind, array)
    noise = np.random.default_rng(1).uniform(-1e-3, 1e-3, array.shape)
    floats = np.clip(array / 255.0 + noise, 0.0, 1.0).astype(np.float32)
    np.testing.assert_array_equal(of(kind, floats).words, base.words)
    np.testing.assert_array_equal(of(kind, array[:1]).words, base.words[:1])
    np.testing.assert_array_equal(of(kind, array[..., None]).words, base.words)
    compiled = jax.jit(functools.partial(hashes.perceptual, kind=kind))(array)
    np.testing.assert_array_equal(compiled.words, base.words)
    assert compiled.bits == 64


def test_operation_by_operation_gives_the_same_bits():
    array = images((21, 28, 3))[10:14]
    compiled = of("phash", array)
    with jax.disable_jit():
        found = of("phash", array)
    np.testing.assert_array_equal(found.words, compiled.words)


def test_what_looks_alike_is_near_and_other_images_are_far():
    array = images((32, 32), 64)[32:]
    noise = np.random.default_rng(1).integers(-4, 5, array.shape)
    near = np.clip(array.astype(int) + noise, 0, 255).astype(np.uint8)
    for kind in hashes.KINDS:
        base, other = of(kind, array), of(kind, near)
        honest = np.asarray(hashes.hamming(base, other))
        apart = np.asarray(hashes.distances(base, base))[~np.eye(32, dtype=bool)]
        assert honest.mean() < 0.25 * apart.mean(), kind


def test_a_constant_image_is_not_valid():
    constant = np.stack([np.full((32, 32), x, np.uint8) for x in (0, 7, 255)])
    for kind in hashes.KINDS:
        assert not of(kind, constant).valid.any()
    rows = np.repeat(np.arange(8, dtype=np.uint8)[None, :, None], 9, axis=2)
    assert not of("dhash", rows).valid.any()  # no horizontal difference
    assert of("dhash", rows.transpose(0, 2, 1)).valid.all()
    assert of("ahash", rows).valid.all()


def test_inside_jit_bad_pixels_are_not_valid():
    array = np.broadcast_to(images((8, 8))[0] / 255.0, (4, 8, 8)).astype(np.float32)
    array = array.copy()
    array[1, 2, 3], array[2, 0, 0], array[3, 7, 7] = np.nan, 1.5, -0.1
    found = jax.jit(lambda x: hashes.perceptual(x, "ahash"))(array)
    assert found.valid.tolist() == [True, False, False, False]


def test_packed_bits_come_back():
    rng = np.random.default_rng(0)
    for count in (5, 32, 36, 64):
        bits = rng.random((3, count)) < 0.5
        words = np.asarray(hashes.pack(bits))
        assert words.shape == (3, -(-count // 32))
        np.testing.assert_array_equal(hashes.unpack(words, count), bits)
        text = hashes.to_hex(hashes.Hashes(words, np.ones(3, bool), count))[0]
        digits = bin(int(text, 16))[2:].zfill(4 * len(text))
        assert digits[:count] == "".join("01"[int(bit)] for bit in bits[0])


@functools.cache
def words(count, seed=0, bits=64):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**32, (count, bits // 32), np.uint32)


def test_hamming_is_a_metric_and_counts_differing_bits():
    a, b, c = (words(40, seed) for seed in range(3))
    found = np.asarray(hashes.hamming(a, b))
    bits = [np.asarray(hashes.unpack(x)) for x in (a, b)]
    np.testing.assert_array_equal(found, (bits[0] != bits[1]).sum(axis=1))
    np.testing.assert_array_equal(found, hashes.hamming(b, a))
    assert not np.asarray(hashes.hamming(a, a)).any()
    assert (found <= np.asarray(hashes.hamming(a, c)) + np.asarray(hashes.hamming(c, b))).all()
    np.testing.assert_array_equal(
        hashes.hamming(a[:, None], b[None, :3]), hashes.distances(a, b[:3])
    )
    assert hashes.hamming(a[0], b[0]).shape == ()


def test_all_pairs_equal_numpy():
    a, b = words(13, 0, 96), words(17, 1, 96)
    wanted = np.bitwise_count(a[:, None] ^ b[None]).sum(axis=-1)
    found = hashes.distances(a, b)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == jnp.int32


def sets():
    rng = np.random.default_rng(3)
    a, b = words(37, 0), words(50, 1)
    b[:20] = a[:20] ^ (np.uint32(1) << rng.integers(0, 32, (20, 2)).astype(np.uint32))
    valid = rng.random(37) < 0.8, rng.random(50) < 0.8
    a, b = hashes.Hashes(a, valid[0], 64), hashes.Hashes(b, valid[1], 64)
    return a, b, (rng.integers(0, 3, 37), rng.integers(0, 3, 50)), (np.arange(37), np.arange(50))


def dense(a, b, classes=None, items=None):
    use = a.valid[:, None] & b.valid[None]
    if classes is not None:
        use = use & (classes[0][:, None] == classes[1][None])
    if items is not None:
        use = use & (items[0][:, None] != items[1][None])
    table = np.asarray(hashes.distances(a, b))
    return np.bincount(table[use], minlength=65)


@pytest.mark.parametrize("block", [2**14, 128])
def test_the_streamed_histogram_equals_the_dense_one(block, monkeypatch):
    monkeypatch.setitem(_distances.BLOCKS, "cpu", block)
    _distances._counts.clear_cache()
    a, b, classes, items = sets()
    for kwargs in ({}, {"classes": classes}, {"classes": classes, "items": items}):
        found = hashes.histogram(a, b, **kwargs)
        np.testing.assert_array_equal(found, dense(a, b, **kwargs))
        assert found.dtype == np.int64
    traced = jax.jit(hashes.histogram)(a, b)
    np.testing.assert_array_equal(traced, dense(a, b))
    monkeypatch.setattr(_distances, "ROWS", 600)  # a counter that counts few pairs
    np.testing.assert_array_equal(hashes.histogram(a, b), dense(a, b))
    assert hashes.histogram(a.words, b.words).sum() == 37 * 50
    _distances._counts.clear_cache()


def test_random_projections_measure_angles():
    bits, count = 512, 64
    hashed = hashes.random_projection(jax.random.key(0), 8, bits)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, count, 8))
    angles = np.arccos((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
    first, second = hashed(a), hashed(b)
    shares = np.asarray(hashes.hamming(first, second)) / bits
    np.testing.assert_allclose(shares, angles / np.pi, atol=4.5 * 0.5 / np.sqrt(bits))
    assert abs((shares - angles / np.pi).mean()) < 4 * 0.5 / np.sqrt(bits * count) + 0.005
    np.testing.assert_array_equal(hashed(3.0 * a).words, first.words)
    np.testing.assert_array_equal(hashed(a[:1]).words, first.words[:1])
    again = jax.jit(hashes.random_projection(jax.random.key(0), 8, bits))
    np.testing.assert_array_equal(again(a).words, first.words)
    other = hashes.random_projection(jax.random.key(1), 8, bits)(a)
    assert (np.asarray(other.words) != np.asarray(first.words)).any()
    a[0], a[1] = 0.0, np.nan
    assert again(a).valid.tolist()[:3] == [False, False, True]


def test_hashes_are_indexed_and_iterated():
    found = of("ahash", images((8, 8)))
    assert len(found[:5]) == 5
    assert [int(x.words[0]) for x in found[:3]] == found.words[:3, 0].tolist()
    stacked = jax.tree.map(lambda *x: np.stack(x), found, found)
    assert (stacked.words.shape, stacked.bits) == ((2, 24, 2), 64)


NAN_IMAGE = np.full((1, 8, 8), np.nan)
OK = np.eye(8)[None]
WORDS = np.zeros((3, 2), np.uint32)
THREE = np.zeros(3, int)
REFUSED = [
    ("perceptual", {"images": np.zeros((1, 7, 8), np.uint8)}, "images.*7 x 8"),
    ("perceptual", {"images": np.zeros((1, 8, 7)), "kind": "dhash"}, "images.*8 x 7"),
    ("perceptual", {"images": NAN_IMAGE}, "images.*nan"),
    ("perceptual", {"images": OK * 1.01}, "images.*1.01"),
    ("perceptual", {"images": OK - 1.0}, "images.*-1"),
    ("perceptual", {"images": OK.astype(int)}, "images.*uint8"),
    ("perceptual", {"images": OK.astype(bool)}, "images.*bool"),
    ("perceptual", {"images": OK[0]}, "images"),
    ("perceptual", {"images": np.zeros((1, 8, 8, 4))}, "images.*1 or 3"),
    ("perceptual", {"images": np.zeros((0, 8, 8))}, "images"),
    ("perceptual", {"images": "x"}, "images"),
    ("perceptual", {"images": np.zeros((1, 8, 8192), np.uint8)}, "images.*at most 8191"),
    ("perceptual", {"images": OK, "kind": "pHash"}, "did you mean 'phash'"),
    ("perceptual", {"images": OK, "size": 1}, "size"),
    ("perceptual", {"images": OK, "size": 17}, "size"),
    ("perceptual", {"images": OK, "kind": "whash", "size": 6}, "size.*power of two"),
    ("random_projection", {"key": 0, "dimension": 2}, "key"),
    ("random_projection", {"key": jax.random.key(0), "dimension": 0}, "dimension"),
    ("random_projection", {"key": jax.random.key(0), "dimension": 2, "bits": 1}, "bits"),
    ("hamming", {"a": WORDS, "b": WORDS[:, :1]}, "b: expected hashes of 64 bits"),
    ("hamming", {"a": WORDS, "b": WORDS[:2]}, "b: .*broadcast"),
    ("hamming", {"a": WORDS.astype(int), "b": WORDS}, "a: .*uint32"),
    ("hamming", {"a": WORDS, "b": hashes.Hashes(WORDS[:, :1], THREE > 0, 20)}, "b: "),
    (
        "hamming",
        {
            "a": hashes.Hashes(WORDS, THREE > 0, 64),
            "b": hashes.Hashes(WORDS, THREE > 0, 63),
        },
        "b: expected hashes of 64 bits.*63",
    ),
    ("distances", {"a": WORDS, "b": WORDS[0]}, "b: "),
    ("distances", {"a": WORDS, "b": [[1, 2]]}, "b: "),
    ("distances", {"a": WORDS, "b": WORDS[:, :1]}, "b: "),
    ("histogram", {"a": WORDS, "b": WORDS[:, :1]}, "b: "),
    ("histogram", {"a": WORDS[:0], "b": WORDS}, "a: "),
    ("histogram", {"a": WORDS, "b": WORDS, "classes": (THREE, THREE[:2])}, "classes"),
    ("histogram", {"a": WORDS, "b": WORDS, "items": THREE}, "items"),
    ("pack", {"bits": [0.5]}, "bits"),
    ("pack", {"bits": True}, "bits"),
    ("unpack", {"hashes": WORDS, "bits": 65}, "bits"),
    ("unpack", {"hashes": WORDS, "bits": 32}, "bits"),
    ("unpack", {"hashes": 3}, "hashes"),
    ("to_hex", {"hashes": WORDS.astype(np.int32)}, "hashes"),
]


@pytest.mark.parametrize(("name", "arguments", "message"), REFUSED)
def test_wrong_arguments_are_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(hashes, name)(**arguments)


def test_every_public_function_has_a_refusal():
    public = {x for x in hashes.__all__ if callable(getattr(hashes, x)) and x.islower()}
    assert public == {name for name, _, _ in REFUSED}


def test_features_of_another_kind_are_named():
    hashed = hashes.random_projection(jax.random.key(0), 2)
    for features in (np.ones((1, 3)), np.ones(2), [[np.nan, 1.0]], "x"):
        with pytest.raises(ValueError, match="features"):
            hashed(features)


def test_wrong_shapes_are_named_before_tracing():
    with pytest.raises(ValueError, match="images"):
        jax.jit(hashes.perceptual)(jnp.ones((1, 4, 4)))
    with pytest.raises(ValueError, match="b: expected hashes of 64 bits"):
        jax.jit(hashes.distances)(WORDS, WORDS[:, :1])
