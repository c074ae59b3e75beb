"""Gaussian mixtures in the plane and sprites, both drawn inside ``jit``."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import data

KEY = jax.random.key(0)


def test_modes_of_a_grid_and_of_a_circle():
    grid = data.grid_modes(8, extent=2.0)
    assert grid.shape == (64, 2)
    assert grid.min() == -2.0
    assert len({tuple(row) for row in grid}) == 64
    np.testing.assert_array_equal(data.grid_modes(1), [[0.0, 0.0]])
    circle = data.circle_modes(5, radius=3.0)
    np.testing.assert_allclose(np.linalg.norm(circle, axis=1), 3.0, rtol=1e-6)
    np.testing.assert_allclose(circle.sum(0), 0.0, atol=1e-5)


def test_samples_lie_about_the_mode_of_their_label():
    batch = data.gaussian_grid(KEY, 4000, side=3, deviation=0.1)
    offsets = batch.x - data.grid_modes(3)[np.asarray(batch.y)]
    np.testing.assert_allclose(offsets.std(0), 0.1, rtol=0.05)
    np.testing.assert_allclose(offsets.mean(0), 0.0, atol=0.01)
    counts = np.bincount(batch.y, minlength=9)
    assert counts.min() > 350
    assert (np.asarray(batch.weight) == 1).all()


def test_weights_are_probabilities_and_a_mode_of_weight_zero_is_absent():
    weights = jnp.array([1.0, 0.0, 3.0])
    batch = data.gaussian_mixture(KEY, 4000, data.circle_modes(3), weights=weights)
    shares = np.bincount(batch.y, minlength=3) / 4000
    assert shares[1] == 0
    np.testing.assert_allclose(shares, [0.25, 0.0, 0.75], atol=0.03)


def test_traced_draws_equal_eager_ones():
    def draw(key, deviation):
        return data.gaussian_mixture(key, 6, data.circle_modes(3), deviation=deviation)

    eager, jitted = draw(KEY, 0.2), jax.jit(draw)(KEY, 0.2)
    for a, b in zip(eager, jitted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@functools.cache
def draw_sprites():
    return jax.jit(lambda key: data.sprites(key, 800, size=16))(KEY)


def test_sprites_are_images_of_every_shape():
    batch = draw_sprites()
    assert batch.x.shape == (800, 16, 16, 3)
    assert float(batch.x.min()) >= -1
    assert float(batch.x.max()) <= 1
    assert set(np.asarray(batch.y).tolist()) == set(range(len(data.SPRITES)))
    # The four corners are background, and something else stands before it.
    corners = batch.x[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(corners, jnp.broadcast_to(corners[:, :1], corners.shape), atol=1e-5)
    difference = jnp.abs(batch.x - corners[:, :1, None]).max((1, 2, 3))
    assert float(difference.min()) > 0.3


def test_sprites_of_different_labels_differ_in_shape_and_not_in_color():
    batch = draw_sprites()
    front = np.asarray(batch.x).reshape(800, -1, 3)
    color = front[np.arange(800), np.abs(front - front[:, :1]).sum(-1).argmax(1)]
    per_class = np.stack([color[np.asarray(batch.y) == k].mean(0) for k in range(8)])
    assert np.ptp(per_class, axis=0).max() < 0.5
    covered = (np.abs(front - front[:, :1]).sum(-1) > 0.3).mean(1)
    areas = np.array([covered[np.asarray(batch.y) == k].mean() for k in range(8)])
    assert areas[data.SPRITES.index("disk")] > 1.5 * areas[data.SPRITES.index("star")]
