"""Bad arguments of ``models.flow`` are refused by a ``ValueError`` that names them."""

import inspect

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.models import flow
from tests import bad_input as bad
from tests.bad_input import Call, accepts, cases, refuses
from tests.later import Later

KEY = jax.random.key(0)
X, T = np.ones((3, 2), np.float32), np.full(3, 0.5, np.float32)
TIME = (-0.1, 1.1, bad.NAN, bad.INF, "x", [0.5], np.full(2, 0.5), jnp.float32(2.0), 1j, None)
SAMPLES = (
    None,
    "x",
    1.0,
    np.ones(3, np.float32),
    np.ones((3, 4), np.float32),
    np.ones((3, 2), complex),
    [[1, 2], [3]],
)
ARRAY = (None, "x", [[1, 2], [3]], np.ones((3, 2), complex))
CLASSES = (4, -1, 0.5, [0, 1], np.full((3, 1), 1), "x", np.array([0, 1, 9]), True)
SHAPE = ((), (0,), (2.5,), 2, "ab", None, (-1,))
WEIGHTS = (-np.ones(3), np.full(3, bad.NAN), np.ones(2), 1.0, "x", np.ones((3, 1)))
LABELS = (np.array([0, 1, 2]), np.array([0, -1, 0]), np.zeros(2, int), np.zeros(3), "x")
PATHS = (3, "linear", flow.linear_path, (1, 2, 3, 4))


def _apply(params, x, t, condition):
    return x * params


MODEL = flow.from_functions(lambda key: jnp.ones(()), _apply, (2,), num_classes=3)
FREE = flow.from_functions(lambda key: jnp.ones(()), _apply, (2,))
REAL = flow.from_functions(lambda key: jnp.ones(()), _apply, (2,), condition_shape=(4,))
REAL_CONDITIONS = (None, 1.0, np.ones((3, 5), np.float32), "x", np.ones((2, 4), np.float32))
STATE = Later(flow.noised, KEY, X, MODEL.path)
LEVELS = np.linspace(0.99, 0.1, 10)
MODELS = (None, 3, "mlp", flow.MLP())
FIELD = (None, 3, "field", lambda x, t: x[:, :1])
SOLVE = {
    "num_steps": bad.SIZE,
    "method": bad.NAME,
    "tolerance": bad.POSITIVE,
}
INTERVAL = {"start": (*bad.SHARE, None), "stop": (*bad.SHARE, None)}
DDPM = (None, "x", [0.5], [0.5, 0.9], [0.5, 0.0], [1.5, 0.5], [bad.NAN, 0.1], [[0.9, 0.1]])


class Wrong(nn.Module):
    @nn.compact
    def __call__(self, x, t, condition):
        return nn.Dense(3)(x)


class Normalized(nn.Module):
    @nn.compact
    def __call__(self, x, t, condition):
        return nn.BatchNorm(use_running_average=False)(x)


CLOSED = {
    "data": (*ARRAY, np.ones((4, 3), np.float32), np.ones((0, 2), np.float32)),
    "x": (*ARRAY, np.ones((3, 3), np.float32), 1.0),
    "t": TIME,
    "path": PATHS,
    "weights": (*(w for w in WEIGHTS), np.zeros(3)),
}
CLOSED_GOOD = {"data": X, "x": X, "t": T, "path": None, "weights": None}
RANGES = ((1.0, 1.0), (1.0, -1.0), (0.0,), (0.0, bad.NAN), "ab", 3.0, ("a", "b"))

CALLS = {
    "linear_path": Call(flow.linear_path, {}, {}),
    "cosine_path": Call(flow.cosine_path, {}, {}),
    "path_from": Call(
        flow.path_from,
        {"signal": jnp.sin, "noise": jnp.cos},
        {"signal": bad.FUNCTION, "noise": bad.FUNCTION},
    ),
    "check_path": Call(flow.check_path, {"path": flow.linear_path()}, {"path": (*PATHS, None)}),
    "check_times": Call(flow.check_times, {"t": T, "batch": 3}, {"t": TIME}),
    "check_model": Call(flow.check_model, {"model": MODEL}, {"model": MODELS}),
    "check_samples": Call(flow.check_samples, {"name": "x", "x": X, "shape": (2,)}, {"x": SAMPLES}),
    "check_condition": Call(
        flow.check_condition,
        {"condition": 1, "batch": 3, "num_classes": 3},
        {"condition": CLASSES},
    ),
    "point": Call(
        flow.linear_path().point,
        {"noise": X, "data": X, "t": T},
        {
            "noise": (*SAMPLES, X.astype(np.float16)),
            "data": (*SAMPLES, X.astype(np.float16)),
            "t": TIME,
        },
    ),
    "velocity": Call(
        MODEL.velocity,
        {"params": 1.0, "x": X, "t": T, "condition": 1},
        {"x": SAMPLES, "t": TIME, "condition": CLASSES},
    ),
    "unconditional velocity": Call(
        FREE.velocity,
        {"params": 1.0, "x": X, "t": T, "condition": None},
        {"condition": (0, np.zeros(3, int))},
    ),
    "unconditional losses": Call(
        flow.losses,
        {"model": FREE, "params": 1.0, "key": KEY, "data": X, "drop_rate": 0.0},
        {"drop_rate": (0.5, 1.0)},
    ),
    "velocity of real conditions": Call(
        REAL.velocity,
        {"params": 1.0, "x": X, "t": T, "condition": np.ones((3, 4), np.float32)},
        {"condition": REAL_CONDITIONS},
    ),
    "field of real conditions": Call(
        flow.field,
        {"model": REAL, "params": 1.0, "condition": np.ones((3, 4), np.float32)},
        {"condition": REAL_CONDITIONS[:4]},
    ),
    "convert": Call(
        flow.convert,
        {"value": X, "x": X, "t": T, "source": "noise", "target": "data", "path": None},
        {
            "value": (*SAMPLES, Later(lambda: jnp.asarray(X, jnp.bfloat16))),
            "x": SAMPLES,
            "t": TIME,
            "source": bad.NAME,
            "target": bad.NAME,
            "path": PATHS,
        },
    ),
    "from_network": Call(
        flow.from_network,
        {
            "module": flow.MLP(width=4, depth=1),
            "shape": (2,),
            "num_classes": None,
            "condition_shape": (3,),
            "path": None,
            "prediction": "data",
            "data_range": (-1.0, 1.0),
        },
        {
            "module": (None, 3, flow.MLP, flow.DiT(), Wrong(), Normalized()),
            "shape": SHAPE,
            "num_classes": (0, -1, 2.5, "3", True, 3),
            "condition_shape": (*SHAPE[1:5], (-1,)),
            "path": PATHS,
            "prediction": (*bad.NAME, "score"),
            "data_range": RANGES,
        },
    ),
    "from_functions": Call(
        flow.from_functions,
        {
            "init": lambda key: np.ones((), np.float32),
            "apply": _apply,
            "shape": (2,),
            "num_classes": 3,
            "condition_shape": None,
            "path": None,
            "prediction": "data",
            "data_range": (-1.0, 1.0),
        },
        {
            "init": bad.FUNCTION,
            "apply": (*bad.FUNCTION, lambda params, x, t, condition: x[:, :1]),
            "shape": SHAPE,
            "num_classes": (0, -1, 2.5, "3", True),
            "condition_shape": ((), (2,), 3, "ab"),
            "path": PATHS,
            "prediction": (*bad.NAME, "score"),
            "data_range": RANGES,
        },
    ),
    "field": Call(
        flow.field,
        {"model": MODEL, "params": 1.0, "condition": 2},
        {"model": MODELS, "condition": CLASSES[:3]},
    ),
    "guided": Call(
        flow.guided,
        {"model": MODEL, "params": 1.0, "condition": 2, "scale": 2.0},
        {"model": (*MODELS, FREE), "condition": (*CLASSES[:3], None), "scale": bad.NUMBER},
    ),
    "noised": Call(
        flow.noised,
        {"key": KEY, "data": X, "path": flow.linear_path(), "t": None},
        {
            "key": bad.KEY,
            "data": (*ARRAY, 1.0),
            "path": (*PATHS, None),
            "t": tuple(v for v in TIME if v is not None),
        },
    ),
    "losses_at": Call(
        flow.losses_at,
        {"model": MODEL, "params": 1.0, "state": STATE, "condition": 1},
        {"model": MODELS, "state": (None, X, (X, T)), "condition": CLASSES},
    ),
    "losses": Call(
        flow.losses,
        {
            "model": MODEL,
            "params": 1.0,
            "key": KEY,
            "data": X,
            "condition": 1,
            "drop_rate": 0.5,
        },
        {
            "model": MODELS,
            "key": bad.KEY,
            "data": SAMPLES,
            "condition": CLASSES,
            "drop_rate": bad.SHARE,
        },
    ),
    "loss": Call(
        flow.loss,
        {
            "model": MODEL,
            "params": 1.0,
            "key": KEY,
            "data": X,
            "condition": 1,
            "drop_rate": 0.5,
            "weights": None,
        },
        {
            "model": MODELS,
            "key": bad.KEY,
            "data": SAMPLES,
            "condition": CLASSES,
            "drop_rate": bad.SHARE,
            "weights": WEIGHTS,
        },
    ),
    "integrate": Call(
        flow.integrate,
        {
            "field": lambda x, t: x,
            "x": X,
            "num_steps": 2,
            "method": "euler",
            "start": 0.0,
            "stop": 1.0,
            "tolerance": 0.1,
        },
        {"field": FIELD, "x": (*ARRAY, 1.0), **SOLVE, **INTERVAL},
    ),
    "trajectory": Call(
        flow.trajectory,
        {
            "field": lambda x, t: x,
            "x": X,
            "num_steps": 2,
            "method": "euler",
            "start": 0.0,
            "stop": 1.0,
            "tolerance": 0.1,
            "substeps": 3,
        },
        {"field": FIELD, "x": (*ARRAY, 1.0), "substeps": bad.SIZE, **SOLVE, **INTERVAL},
    ),
    "sample": Call(
        flow.sample,
        {
            "key": KEY,
            "field": lambda x, t: x,
            "num_samples": 2,
            "shape": (2,),
            "num_steps": 2,
            "method": "euler",
            "tolerance": 0.1,
        },
        {"key": bad.KEY, "field": FIELD, "num_samples": bad.SIZE, "shape": SHAPE, **SOLVE},
    ),
    "posterior": Call(flow.posterior, CLOSED_GOOD, CLOSED),
    "marginal_velocity": Call(flow.marginal_velocity, CLOSED_GOOD, CLOSED),
    "cluster_posterior": Call(
        flow.cluster_posterior,
        {"labels": np.array([0, 1, 0]), "num_clusters": 2, **CLOSED_GOOD},
        {"labels": LABELS, "num_clusters": (*bad.SIZE, 1), **CLOSED},
        {"num_clusters": "num_clusters|labels"},
    ),
    "reverse_time": Call(flow.reverse_time, {"field": lambda x, t: x}, {"field": bad.FUNCTION}),
    "ddpm_time": Call(
        flow.ddpm_time,
        {"index": 3, "num_steps": 10},
        {"index": (-1, 10, bad.NAN, "x"), "num_steps": (*bad.SIZE, 1)},
    ),
    "ddpm_index": Call(
        flow.ddpm_index,
        {"t": 0.5, "num_steps": 10},
        {"t": (-0.1, 1.1, bad.NAN, "x"), "num_steps": (*bad.SIZE, 1)},
    ),
    "ddpm_path": Call(flow.ddpm_path, {"alphas_cumprod": LEVELS}, {"alphas_cumprod": DDPM}),
    "from_ddpm": Call(
        flow.from_ddpm,
        {
            "init": lambda key: np.ones((), np.float32),
            "apply": _apply,
            "shape": (2,),
            "alphas_cumprod": LEVELS,
            "num_classes": None,
            "prediction": "noise",
        },
        {
            "init": bad.FUNCTION,
            "apply": bad.FUNCTION,
            "shape": SHAPE,
            "alphas_cumprod": DDPM,
            "num_classes": (0, 2.5, "3"),
            "prediction": bad.NAME,
        },
    ),
    "energy_distance": Call(
        flow.energy_distance,
        {"x": X, "y": X},
        {
            "x": (*ARRAY, 1.0, np.ones((0, 2), np.float32), np.ones((3, 3), np.float32)),
            "y": (*ARRAY, np.ones((0, 2), np.float32)),
        },
    ),
    "frechet_distance": Call(
        flow.frechet_distance,
        {"features_x": X, "features_y": X},
        {"features_x": (*ARRAY, X[:1], np.ones((3, 3), np.float32)), "features_y": (*ARRAY, X[:1])},
    ),
    "precision_recall": Call(
        flow.precision_recall,
        {"x": X, "y": X, "k": 1},
        {"x": (*ARRAY, np.ones((3, 3), np.float32)), "y": ARRAY, "k": (*bad.SIZE, 3)},
    ),
    "mode_counts": Call(
        flow.mode_counts,
        {"samples": X, "modes": X, "radius": 0.1},
        {
            "samples": (*ARRAY, np.ones((3, 3), np.float32)),
            "modes": (*ARRAY, np.ones((0, 2), np.float32)),
            "radius": bad.NOT_NEGATIVE,
        },
    ),
    "train_classifier": Call(
        flow.train_classifier,
        {
            "key": KEY,
            "samples": X,
            "labels": np.array([0, 1, 0]),
            "num_classes": 2,
            "num_features": 2,
            "num_steps": 1,
            "batch_size": 2,
            "learning_rate": 0.1,
        },
        {
            "key": bad.KEY,
            "samples": (
                *ARRAY,
                1.0,
                np.ones(3, np.float32),
                X * np.float32(np.nan),
                np.ones((3, 0), np.float32),
            ),
            "labels": (*LABELS[1:], np.array([0, 2, 1])),
            "num_classes": (0, 2.5, "3", True, 1),
            "num_features": bad.SIZE,
            "num_steps": bad.SIZE,
            "batch_size": bad.SIZE,
            "learning_rate": bad.POSITIVE,
        },
        {"num_classes": "num_classes|labels"},
    ),
}
BUILT_HERE = {"time_features"}  # of checked arguments only


@pytest.mark.parametrize("name", CALLS)
def test_good_arguments_are_accepted(name):
    accepts(CALLS[name])


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_arguments_are_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


def test_every_public_function_is_in_the_battery():
    functions = {name for name in flow.__all__ if inspect.isfunction(getattr(flow, name))}
    assert functions - set(CALLS) == BUILT_HERE


def test_networks_refuse_images_that_they_cannot_cut():
    with pytest.raises(ValueError, match="sides that 4 divides"):
        flow.from_network(flow.DiT(), (6, 6))
    with pytest.raises(ValueError, match="sides that 2 divides"):
        flow.from_network(flow.UNet(), (5, 6))
    with pytest.raises(ValueError, match=r"images \[B, H, W\]"):
        flow.from_network(flow.UNet(), (6,))


def test_traced_values_pass():
    jax.jit(lambda t, s: flow.integrate(lambda x, t: x, X, start=t, stop=s, num_steps=2))(0.0, 2.0)
    jax.jit(lambda t: flow.linear_path().point(X, X, t))(5.0)
