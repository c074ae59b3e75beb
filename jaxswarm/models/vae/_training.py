"""Training of a grid VAE in one scan, and sampling and interpolation in its latent space.

Shapes: ``B`` grids, ``Z`` latent numbers, ``K`` points of an interpolation.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.models.vae._model import Grids, GridVAE, Posterior
from jaxswarm.types import Key, Params, PyTree


class Trained(NamedTuple):
    """Result of :func:`train`.

    Attributes:
        params: the parameters after the last step.
        losses: name -> ``float32[num_steps]``: ``loss`` and its terms ``codes``, ``cells``, ``kl``.
    """

    params: Params
    losses: dict[str, jax.Array]


def train(
    key: Key,
    model: GridVAE,
    grids: Grids,
    *,
    num_steps: int = 1_000,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
) -> Trained:
    """Train a grid VAE with Adam on grids drawn with replacement; one ``lax.scan``.

    Args:
        key: random key of the initial weights, batches and noise.
        model: from :func:`jaxswarm.models.vae.grid_vae`.
        grids: the training set, at least two grids.
        num_steps: gradient steps.
        batch_size: grids of a step.
        learning_rate: Adam's.

    Raises:
        ValueError: for sizes below 1, a rate that is not positive, fewer than two grids, or grids
            that do not fit the model.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm.models import vae
        >>> model = vae.grid_vae((4, 4), 2, latent=2, widths=(16,))
        >>> codes = np.zeros((2, 4, 4), int)
        >>> codes[1, 2:] = 1
        >>> grids = vae.Grids(codes, np.tile([[0, 0], [1, 3]], (2, 1, 1)))
        >>> trained = vae.train(jax.random.key(0), model, grids, num_steps=200, learning_rate=0.01)
        >>> bool(trained.losses["loss"][-1] < 0.5 * trained.losses["loss"][0])
        True
    """
    checks.key(key)
    checks.instance("model", model, GridVAE, "vae.grid_vae((13, 13), 4)")
    checks.instance("grids", grids, Grids, "vae.Grids(codes, cells)")
    shape = (None, *model.shape)
    codes = checks.wholes("grids.codes", grids.codes, 0, model.num_codes - 1, shape=shape)
    count = codes.shape[0]
    cells = checks.wholes("grids.cells", grids.cells, shape=(count, model.num_cells, 2))
    if count < 2:
        raise ValueError(f"grids: expected at least two, got {count}")
    num_steps = checks.whole("num_steps", num_steps, 1)
    batch_size = checks.whole("batch_size", batch_size, 1)
    checks.real("learning_rate", learning_rate, above=0.0)
    data = jax.device_put(codes), jax.device_put(cells)
    return _train(key, model, data, num_steps, batch_size, learning_rate)


def _train(
    key: Key,
    model: GridVAE,
    data: tuple[jax.Array, jax.Array],
    num_steps: int,
    batch_size: int,
    learning_rate: float,
) -> Trained:
    optimizer = optax.adam(learning_rate)

    @jax.jit
    def run(key: jax.Array, data: tuple[jax.Array, jax.Array]) -> Trained:
        init_key, step_key = jax.random.split(key)
        params = model.init(init_key)

        def step(carry: PyTree, key: jax.Array) -> tuple[PyTree, dict[str, jax.Array]]:
            params, opt_state = carry
            row_key, noise_key = jax.random.split(key)
            rows = jax.random.randint(row_key, (batch_size,), 0, data[0].shape[0])
            batch = Grids(data[0][rows], data[1][rows])

            def loss(params: Params) -> tuple[jax.Array, dict[str, jax.Array]]:
                return model.loss(noise_key, params, batch)

            (value, parts), grads = jax.value_and_grad(loss, has_aux=True)(params)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), {"loss": value, **parts}

        keys = jax.random.split(step_key, num_steps)
        (params, _), losses = jax.lax.scan(step, (params, optimizer.init(params)), keys)
        return Trained(params, losses)

    return run(key, data)


def sample(
    key: Key, model: GridVAE, params: Params, num_samples: int, *, mode: str = "mode"
) -> Grids:
    """Draw grids from the prior: latents from a standard normal distribution, decoded.

    Args:
        key: a random key.
        model: the VAE.
        params: its parameters.
        num_samples: number of grids.
        mode: ``"mode"`` for the most likely tiles and cells, ``"sample"`` for random ones.

    Raises:
        ValueError: for ``num_samples < 1``, an unknown mode or what is no VAE.
    """
    checks.key(key)
    checks.instance("model", model, GridVAE, "vae.grid_vae((13, 13), 4)")
    num_samples = checks.whole("num_samples", num_samples, 1)
    z_key, decode_key = jax.random.split(key)
    z = jax.random.normal(z_key, (num_samples, model.latent))
    return model.decode(decode_key, params, z, mode)


def interpolate(first: Posterior, second: Posterior, num_points: int) -> Posterior:
    """Interpolate between pairs of posteriors: means on an arc, standard deviations linearly.

    Means are interpolated in polar coordinates: the direction by spherical interpolation, the norm
    linearly. Both ends are included.

    Args:
        first: ``mean`` and ``std`` ``[B, Z]``.
        second: likewise.
        num_points: ``K``, at least 2.

    Returns:
        Leaves ``[B, K, Z]``.

    Raises:
        ValueError: for fewer than two points or posteriors of other shapes.
    """
    checks.instance("first", first, Posterior, "model.encode(params, grids)")
    checks.instance("second", second, Posterior, "model.encode(params, grids)")
    num_points = checks.whole("num_points", num_points, 2)
    shape = jnp.shape(first.mean)
    for name, value in (("first", first), ("second", second)):
        checks.numbers(f"{name}.mean", value.mean, (None, None))
        if jnp.shape(value.mean) != shape or jnp.shape(value.std) != shape:
            raise ValueError(f"{name}: expected leaves of shape {shape}, got {value}")
    t = jnp.linspace(0.0, 1.0, num_points)
    mean = jax.vmap(jax.vmap(_arc, in_axes=(None, None, 0)), in_axes=(0, 0, None))(
        first.mean, second.mean, t
    )
    along = t[None, :, None]
    std = (1.0 - along) * first.std[:, None, :] + along * second.std[:, None, :]
    return Posterior(mean, std)


def _arc(a: jax.Array, b: jax.Array, t: jax.Array) -> jax.Array:
    """The point at share ``t`` of the arc from ``a`` to ``b``; on a line if they are parallel."""
    tiny = 1e-8
    length_a, length_b = jnp.linalg.norm(a), jnp.linalg.norm(b)
    cosine = jnp.clip(jnp.dot(a, b) / jnp.maximum(length_a * length_b, tiny), -1.0, 1.0)
    angle = jnp.arccos(cosine)
    sine = jnp.sin(angle)
    straight = (sine < 1e-4) | (length_a < tiny) | (length_b < tiny)
    safe = jnp.where(straight, 1.0, sine)
    length = (1.0 - t) * length_a + t * length_b
    direction = jnp.sin((1.0 - t) * angle) / safe * a / jnp.maximum(length_a, tiny) + jnp.sin(
        t * angle
    ) / safe * b / jnp.maximum(length_b, tiny)
    return jnp.where(straight, (1.0 - t) * a + t * b, length * direction)
