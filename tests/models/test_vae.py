"""Variational autoencoder of grids with marked cells, and of maze levels."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.envs import maze
from jaxswarm.models import vae
from tests.rl.bad_input import KEY, SHARE, SIZE, accepted

SIDE, LATENT = 5, 3


@functools.cache
def model():
    return vae.grid_vae((SIDE, SIDE), 3, allowed=(0, 2), latent=LATENT, widths=(24,))


@functools.cache
def grids(count=12):
    """Grids of which each has its second row, or column, of walls; marks on floor."""
    rng = np.random.default_rng(0)
    codes = np.zeros((count, SIDE, SIDE), np.int32)
    codes[::2, 1], codes[1::2, :, 3] = 1, 2
    free = [np.argwhere(code != 1) for code in codes]
    cells = np.stack([f[rng.choice(len(f), 2, replace=False)] for f in free])
    return vae.Grids(codes, cells.astype(np.int32))


@functools.cache
def trained():
    return vae.train(
        jax.random.key(0), model(), grids(), num_steps=400, batch_size=12, learning_rate=0.01
    )


@pytest.mark.parametrize("mode", vae.MODES)
def test_marks_of_decoded_grids_are_distinct_and_on_allowed_tiles(mode, key):
    decode = jax.jit(lambda k, p, z: model().decode(k, p, z, mode))
    for params in (model().init(key), trained().params):
        found = decode(key, params, 4.0 * jax.random.normal(key, (64, LATENT)))
        codes, cells = np.asarray(found.codes), np.asarray(found.cells)
        under = codes[np.arange(64)[:, None], cells[..., 0], cells[..., 1]]
        assert np.isin(under, (0, 2)).all()
        assert (cells[:, 0] != cells[:, 1]).any(axis=1).all()


def test_a_grid_without_allowed_tiles_gets_one_under_every_mark(key):
    closed = vae.grid_vae((2, 2), 2, allowed=(1,), latent=1, widths=(4,))
    params = jax.tree.map(jnp.zeros_like, closed.init(key))  # all logits 0: code 0 everywhere
    found = closed.decode(key, params, jnp.zeros((3, 1)))
    assert np.asarray(found.codes).sum(axis=(1, 2)).tolist() == [2, 2, 2]


def test_the_loss_is_the_negative_evidence_lower_bound(key):
    """Against numpy, with the same latent."""
    params, data = trained().params, grids()
    value, parts = model().loss(key, params, data)
    mean, std = (np.asarray(x, np.float64) for x in model().encode(params, data))
    z = mean + std * np.asarray(jax.random.normal(key, mean.shape))
    tiles, marks = (np.asarray(x, np.float64) for x in model().logits(params, jnp.asarray(z)))
    expected = {"codes": 0.0, "cells": 0.0, "kl": 0.0}
    for b in range(12):
        for at in np.ndindex(SIDE, SIDE):
            logit = tiles[b][at]
            expected["codes"] -= logit[data.codes[b][at]] - np.log(np.exp(logit).sum())
        free = np.isin(data.codes[b], (0, 2))
        for mark in range(2):
            logit, cell = marks[b, mark], tuple(data.cells[b, mark])
            expected["cells"] -= logit[cell] - np.log(np.exp(logit[free]).sum())
            free[cell] = False
        expected["kl"] += 0.5 * np.sum(mean[b] ** 2 + std[b] ** 2 - 1 - np.log(std[b] ** 2))
    for name, total in expected.items():
        np.testing.assert_allclose(parts[name], total / 12, rtol=1e-4)
    np.testing.assert_allclose(value, sum(expected.values()) / 12, rtol=1e-4)


def test_training_reconstructs_the_grids(key):
    losses = trained().losses["loss"]
    assert losses.shape == (400,)
    mean, _ = model().encode(trained().params, grids())
    found = model().decode(key, trained().params, mean)
    assert np.mean(np.asarray(found.codes) == grids().codes) > 0.95


def test_interpolation_is_an_arc_between_the_means_and_a_line_between_the_deviations():
    a, b = np.array([[2.0, 0.0, 0.0]]), np.array([[0.0, 4.0, 0.0]])
    one, two = np.full((1, 3), 0.2), np.full((1, 3), 0.6)
    found = vae.interpolate(vae.Posterior(a, one), vae.Posterior(b, two), 5)
    np.testing.assert_allclose(found.mean[0, 0], a[0], atol=1e-5)
    np.testing.assert_allclose(found.mean[0, -1], b[0], atol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(found.mean[0], axis=1), [2, 2.5, 3, 3.5, 4], rtol=1e-5
    )
    angles = np.arctan2(found.mean[0, :, 1], found.mean[0, :, 0])
    np.testing.assert_allclose(angles, np.linspace(0, np.pi / 2, 5), atol=1e-5)
    np.testing.assert_allclose(found.std[0, :, 0], [0.2, 0.3, 0.4, 0.5, 0.6], rtol=1e-5)
    line = vae.interpolate(vae.Posterior(a, one), vae.Posterior(-a, two), 3)
    np.testing.assert_allclose(line.mean[0, 1], 0.0, atol=1e-5)


def test_a_level_vae_gives_valid_levels(key):
    levels = maze.levels.stack([maze.empty_level(7)] * 6)
    model = maze.level_vae(7, latent=2, widths=(8,), encoder="cnn")
    params = model.fit(key, levels, num_steps=3, batch_size=4).params
    first = jax.tree.map(lambda x: x[:3], levels)
    second = jax.tree.map(lambda x: x[3:], levels)

    @jax.jit
    def draw(key, params):
        sampled = model.sample(key, params, 5, "sample")
        return sampled, model.interpolate(key, params, first, second)

    sampled, between = (maze.levels.check(found) for found in draw(key, params))
    assert sampled.tiles.shape == (5, 7, 7)
    assert between.tiles.shape == (18, 7, 7)
    with pytest.raises(ValueError, match="at least 2 levels"):
        model.fit(key, jax.tree.map(lambda x: x[:1], levels))
    with pytest.raises(ValueError, match=r"levels.tiles: expected shape \[B, 7, 7\]"):
        model.encode(params, maze.levels.stack([maze.empty_level(6)] * 2))


def test_parameters_of_another_size_are_refused(key):
    other = jax.eval_shape(vae.grid_vae((6, 6), 3, latent=LATENT, widths=(24,)).init, key)
    with pytest.raises(ValueError, match="params: expected"):
        model().decode(key, other, jnp.zeros((1, LATENT)))
    with pytest.raises(ValueError, match="params: expected"):
        model().encode(other, grids())


def grid_options(**changed):
    return vae.grid_vae(**({"shape": (4, 4), "num_codes": 3} | changed))


def train_options(**changed):
    options = {"key": jax.random.key(0), "model": model(), "grids": grids()}
    return vae.train(**(options | {"num_steps": 1, "batch_size": 2} | changed))


CASES = {
    "grid_vae": (
        grid_options,
        {
            "shape": (3, (0, 2), (2.5, 2), None, (2, 2, 2)),
            "num_codes": (*SIZE, 1),
            "num_cells": (*SIZE, 17),
            "allowed": ((), (3,), 1, None),
            "latent": SIZE,
            "widths": ((0,), (2.5,), 8, None),
            "encoder": ("conv", 3, None),
            "beta": (*SHARE[:-2], -1.0),
            "cell_weight": (*SHARE[:-2], -1.0),
        },
    ),
    "train": (
        train_options,
        {
            "key": KEY,
            "model": (3, None),
            "grids": (
                3,
                None,
                grids()._replace(codes=np.full((12, SIDE, SIDE), 7)),
                grids()._replace(cells=np.zeros((3, 2, 2), int)),
                vae.Grids(*(x[:1] for x in grids())),
            ),
            "num_steps": SIZE,
            "batch_size": SIZE,
            "learning_rate": (*SHARE[:-2], 0.0),
        },
    ),
    "sample": (
        lambda **changed: vae.sample(
            **(
                {"key": jax.random.key(0), "model": model(), "params": {}, "num_samples": 1}
                | changed
            )
        ),
        {"key": KEY, "model": (3, None), "num_samples": SIZE},
    ),
    "interpolate": (
        lambda **changed: vae.interpolate(
            **({x: vae.Posterior(np.ones((2, 3)), np.ones((2, 3))) for x in ("first", "second")})
            | {"num_points": 3}
            | changed
        ),
        {"first": (3, None), "second": (3, None), "num_points": (*SIZE, 1)},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_refused_by_name(name):
    call, bad = CASES[name]
    assert accepted(call, bad) == []
