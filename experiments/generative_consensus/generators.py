"""Flow models of digits at 32×32 that are trained here, and their samplers.

Shapes: ``S`` seeds, ``M`` training images, ``J`` jobs.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.generative_consensus.config import Config
from experiments.harness.compile import jit_fast_compile
from experiments.harness.images import flattened
from jaxswarm import data
from jaxswarm.models import flow
from jaxswarm.types import Params

SIDE = 32
NUM_CLASSES = 10
LEARNING_RATE = 2e-3


class Images(NamedTuple):
    """Training images.

    Attributes:
        pixels: ``float32[M, 32, 32]`` in ``[-1, 1]``.
        labels: ``int32[M]``.
    """

    pixels: np.ndarray
    labels: np.ndarray


class Jobs(NamedTuple):
    """What provers and verifiers are asked for; the noise stands for the seed of a job.

    Attributes:
        noise: ``float32[J, 32, 32]``.
        label: ``int32[J]``, the digit that is asked for.
    """

    noise: np.ndarray
    label: np.ndarray


def load_images(config: Config) -> Images:
    """Training images, resized to 32×32."""
    train, _ = flattened(data.load(config.data, path=config.path, seed=config.seed))
    pixels = np.asarray(train.features, np.float32)
    side = round(pixels.shape[1] ** 0.5)
    resized = jax.image.resize(
        jnp.asarray(pixels.reshape(-1, side, side)), (len(pixels), SIDE, SIDE), "linear"
    )
    return Images(2.0 * np.asarray(resized) - 1.0, np.asarray(train.labels, np.int32))


def build(name: str, width: int) -> flow.Flow:
    """A flow model of images, conditioned on the digit; it predicts data, see AC-Flow's digits."""
    modules = {
        "mlp": lambda: flow.MLP(width=width, depth=3, num_classes=NUM_CLASSES),
        "dit": lambda: flow.DiT(patch=8, width=64, depth=2, num_classes=NUM_CLASSES),
        "unet": lambda: flow.UNet(channels=(8, 16, 16), num_classes=NUM_CLASSES),
    }
    return flow.from_network(
        modules[name](), (SIDE, SIDE), num_classes=NUM_CLASSES, prediction="data",
        data_range=(-1.0, 1.0),
    )  # fmt: skip


def train(
    config: Config, model: flow.Flow, images: Images, steps: int, keys: jax.Array
) -> list[Params]:
    """Train one model for each key, in one compiled program."""
    optimizer = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
    pixels, labels = jnp.asarray(images.pixels), jnp.asarray(images.labels)

    @functools.partial(jit_fast_compile, plain=True)
    def fit(key: jax.Array) -> Params:
        init_key, run_key = jax.random.split(key)
        params = model.init(init_key)

        def step(i: jax.Array, carry: Any) -> Any:
            params, opt_state = carry
            row_key, loss_key = jax.random.split(jax.random.fold_in(run_key, i))
            rows = jax.random.randint(row_key, (config.image_batch,), 0, len(pixels))
            grads = jax.grad(lambda p: flow.loss(model, p, loss_key, pixels[rows], labels[rows]))(
                params
            )
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return optax.apply_updates(params, updates), opt_state

        return jax.lax.fori_loop(0, steps, step, (params, optimizer.init(params)))[0]

    return [jax.block_until_ready(fit(key)) for key in keys]


def sampler(model: flow.Flow, num_steps: int) -> Callable[[Params, Jobs], jax.Array]:
    """``fn(params, jobs) -> [J, 32, 32]``, images in ``[-1, 1]``; equal jobs give equal images."""

    def fn(params: Params, jobs: Jobs) -> jax.Array:
        field = flow.field(model, params, jobs.label)
        return flow.integrate(field, jobs.noise, num_steps=num_steps)

    return fn


def draw_jobs(config: Config, seed: int) -> Jobs:
    """Jobs of one seed: ``per_class`` of each digit, the digits one after another."""
    count = NUM_CLASSES * config.per_class
    noise = np.random.default_rng([seed, 1]).standard_normal((count, SIDE, SIDE))
    label = np.repeat(np.arange(NUM_CLASSES), config.per_class)
    return Jobs(noise.astype(np.float32), label.astype(np.int32))


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Images of a file, ``uint8``, from pixels in ``[-1, 1]``."""
    return np.clip(np.round((images + 1.0) * 127.5), 0, 255).astype(np.uint8)
