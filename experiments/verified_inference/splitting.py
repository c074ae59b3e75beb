"""Networks cut between two nodes: training with noise or a penalty, and inversion per cut.

All variants (no defense, noise or penalty at each cut, fewer units) and seeds train in one program:
the cut is a traced index into the activations, which gives the gradients of
``trust.split.gradients`` at that cut (``tests/experiments/test_verified_inference.py`` compares
them).

Shapes: ``V`` variants, ``S`` seeds, ``L`` cuts, ``A`` attacked images, ``D`` pixels, ``E`` the
largest activation of a cut (smaller ones are padded with zeros).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.compile import jit_fast_compile
from experiments.harness.images import flattened
from experiments.verified_inference.config import Config
from jaxswarm import data
from jaxswarm.trust import split
from jaxswarm.types import Key, Params

PLAIN, NOISE, PENALTY = "no defense", "noise", "distance correlation"
DEFENSES = (PLAIN, NOISE, PENALTY)
SHOWN = 3  # attacked images kept for the figure


class Images(NamedTuple):
    """Images of one run: those that train the model, the attacker's own, and test images."""

    train_x: jax.Array
    train_y: jax.Array
    shadow: jax.Array
    test_x: jax.Array
    test_y: jax.Array
    num_classes: int


class Variant(NamedTuple):
    """What differs between trained models; leaves are traced.

    Attributes:
        cut: index of the cut that is defended, from 0.
        noise: standard deviation of the noise there, over the activation's root mean square.
        penalty: weight of the distance correlation of images and activation there.
        units: share of the hidden units that are kept.
    """

    cut: Any
    noise: Any
    penalty: Any
    units: Any


def load(config: Config) -> Images:
    """Images of the data set; the last training images are the attacker's."""
    train, test = flattened(data.load(config.data))
    rng = np.random.default_rng(7)  # the same split for all seeds
    order = rng.permutation(len(train.features))[: config.train_images + config.shadow_images]
    x, y = np.asarray(train.features, np.float32)[order], np.asarray(train.labels)[order]
    own = len(x) - config.shadow_images
    tested = rng.permutation(len(test.features))[: config.test_images]
    return Images(
        jnp.asarray(x[:own]), jnp.asarray(y[:own]), jnp.asarray(x[own:]),
        jnp.asarray(np.asarray(test.features, np.float32)[tested]),
        jnp.asarray(np.asarray(test.labels)[tested]), train.num_classes,
    )  # fmt: skip


def variants(config: Config) -> tuple[list[tuple[str, int]], Variant]:
    """Names ``(defense, cut)`` and numbers of all variants; the last is the smaller model."""
    cuts = range(len(config.widths))
    names = [(PLAIN, 0)]
    names += [(NOISE, cut) for cut in cuts] + [(PENALTY, cut) for cut in cuts]
    made = [
        Variant(cut, config.noise * (name == NOISE), config.penalty * (name == PENALTY), 1.0)
        for name, cut in names
    ]
    made.append(Variant(0, 0.0, 0.0, config.smaller))
    names.append(("smaller model", 0))
    return names, Variant(*map(jnp.asarray, zip(*made, strict=True)))


def activations(config: Config, params: Params, x: jax.Array, units: Any = 1.0) -> list[jax.Array]:
    """Activations at all cuts, then the logits."""
    found = []
    for place, width in enumerate(config.widths):
        layer = params[place]
        kept = jnp.arange(width) < jnp.ceil(units * width)
        x = jnp.where(kept[None], jax.nn.relu(x @ layer["kernel"] + layer["bias"][None]), 0.0)
        found.append(x)
    layer = params[-1]
    return [*found, x @ layer["kernel"] + layer["bias"][None]]


def defended(
    config: Config, key: Key, params: Params, x: jax.Array, variant: Variant
) -> tuple[jax.Array, jax.Array]:
    """Logits, and the activation at the defended cut as it is sent ``[B, E]``, padded."""
    sent = jnp.zeros((len(x), max(config.widths)))
    out = x
    for place, width in enumerate(config.widths):
        layer = params[place]
        kept = jnp.arange(width) < jnp.ceil(variant.units * width)
        out = jax.nn.relu(out @ layer["kernel"] + layer["bias"][None])
        out = jnp.where(kept[None], out, 0.0)
        here = variant.cut == place
        scale = jax.lax.stop_gradient(jnp.sqrt(jnp.mean(out**2) + 1e-9))
        noise = jax.random.normal(jax.random.fold_in(key, place), out.shape)
        out = out + jnp.where(here, variant.noise * scale, 0.0) * noise
        padded = jnp.pad(out, ((0, 0), (0, sent.shape[1] - width)))
        sent = jnp.where(here, padded, sent)
    layer = params[-1]
    return out @ layer["kernel"] + layer["bias"][None], sent


def initial(config: Config, key: Key, pixels: int, classes: int) -> Params:
    """He-normal kernels and zero biases of all layers."""
    sizes = [pixels, *config.widths, classes]
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        {
            "kernel": jax.random.normal(own, (a, b)) * jnp.sqrt(2.0 / a),
            "bias": jnp.zeros((b,)),
        }
        for own, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def train(config: Config, key: Key, images: Images, variant: Variant) -> Params:
    """Adam on cross-entropy (and the penalty) of one variant; runs under ``vmap``."""
    start, draws = jax.random.split(key)
    params = initial(config, start, images.train_x.shape[1], images.num_classes)
    optimizer = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps))

    def loss(params: Params, own: Key) -> jax.Array:
        rows_key, noise_key = jax.random.split(own)
        rows = jax.random.randint(rows_key, (config.batch,), 0, len(images.train_x))
        x, y = images.train_x[rows], images.train_y[rows]
        logits, sent = defended(config, noise_key, params, x, variant)
        plain = jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y))
        return plain + variant.penalty * split.distance_correlation(x, sent)

    def step(carry: Any, own: Key) -> tuple[Any, None]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params, own), state)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(draws, config.steps)
    return jax.lax.scan(step, (params, optimizer.init(params)), keys)[0][0]


def train_all(config: Config, images: Images, chosen: Variant) -> Params:
    """Models of all variants and seeds, leaves ``[V, S, …]``; a seed's start is common to all."""
    keys = seed_keys(config, 1)

    @jit_fast_compile
    def run(chosen: Variant, keys: Key) -> Params:
        return jax.vmap(
            lambda variant: jax.vmap(lambda own: train(config, own, images, variant))(keys)
        )(chosen)

    return run(chosen, keys)


def accuracies(config: Config, images: Images, params: Params, chosen: Variant) -> np.ndarray:
    """Test accuracy ``[V, S]``, with the noise that is sent."""
    keys = seed_keys(config, 2)

    @jit_fast_compile
    def run(params: Params, chosen: Variant) -> jax.Array:
        def one(params: Params, variant: Variant, own: Key) -> jax.Array:
            logits = defended(config, own, params, images.test_x, variant)[0]
            return jnp.mean(jnp.argmax(logits, axis=1) == images.test_y)

        return jax.vmap(lambda p, v: jax.vmap(lambda q, k: one(q, v, k))(p, keys))(params, chosen)

    return np.asarray(run(params, chosen))


def attack(
    config: Config, images: Images, params: Params, names: list[tuple[str, int]], chosen: Variant
) -> dict[str, Any]:
    """Invert the activations of test images at each cut of each variant.

    Returns:
        ``decoder`` and ``white_box {defense: [L, S]}``, mean squared errors per pixel; ``mean``, of
        answering the mean image; ``images float[2 + 2 L, SHOWN, D]`` of the first seed without
        defense: the originals, the mean image, then what the decoder and white box find per cut.
    """
    cuts = range(len(config.widths))
    cells = [(PLAIN, cut) for cut in cuts] + names[1:-1]
    rows = np.array([0] * len(cuts) + list(range(1, len(names) - 1)))
    cut = jnp.asarray([each[1] for each in cells])
    attacked = images.test_x[: config.attacked_images]
    mean = jnp.mean(images.shadow, axis=0)
    keys = seed_keys(config, 3)

    def one(params: Params, variant: Variant, own: Key) -> tuple[jax.Array, jax.Array]:
        shadow_key, sent_key, fit_key, search_key = jax.random.split(own, 4)
        seen = defended(config, shadow_key, params, images.shadow, variant)[1]
        observed = defended(config, sent_key, params, attacked, variant)[1]
        decoder = split.fit_decoder(
            fit_key, seen, images.shadow, hidden=config.decoder_hidden, steps=config.decoder_steps
        )
        found = jnp.clip(split.decode(decoder, observed), 0.0, 1.0)
        clean = variant._replace(noise=0.0)
        searched = split.invert(
            lambda x: defended(config, search_key, params, x, clean)[1],
            observed,
            jnp.broadcast_to(mean, attacked.shape),
            steps=config.search_steps,
            pull=config.pull,
        )
        return found, searched

    @jit_fast_compile
    def run(params: Params, chosen: Variant) -> tuple[jax.Array, jax.Array]:
        return jax.vmap(lambda p, v: jax.vmap(lambda q, k: one(q, v, k))(p, keys))(params, chosen)

    taken = jax.tree.map(lambda leaf: leaf[rows], (params, chosen))
    found, searched = map(np.asarray, run(taken[0], taken[1]._replace(cut=cut)))
    results: dict[str, Any] = {"decoder": {}, "white_box": {}}
    for name in DEFENSES:
        here = [place for place, cell in enumerate(cells) if cell[0] == name]
        for arm, images_found in (("decoder", found), ("white_box", searched)):
            off = (images_found[here] - np.asarray(attacked)) ** 2
            results[arm][name] = off.mean(axis=(2, 3))
    results["mean"] = float(np.mean((np.asarray(attacked) - np.asarray(mean)) ** 2))
    shown = slice(0, SHOWN)
    rows_shown = [np.asarray(attacked)[shown], np.repeat(np.asarray(mean)[None], SHOWN, axis=0)]
    for place in cuts:
        rows_shown += [found[place, 0, shown], searched[place, 0, shown]]
    results["images"] = np.stack(rows_shown)
    return results


def without_units(config: Config, params: Params) -> Params:
    """The smaller model's parameters with zeros for the hidden units that it does not have."""
    layers = [dict(layer) for layer in params]
    for place, width in enumerate(config.widths):
        kept = np.arange(width) < np.ceil(config.smaller * width)
        layers[place] = jax.tree.map(lambda leaf, kept=kept: leaf * kept, layers[place])
    return layers


def each_seed(params: Params) -> list[Params]:
    """Parameters ``[S, …]`` as one pytree for each seed, on the host."""
    host = jax.tree.map(np.asarray, params)
    count = len(jax.tree.leaves(host)[0])
    return [jax.tree.map(lambda leaf, s=s: leaf[s], host) for s in range(count)]


def seed_keys(config: Config, part: int) -> Key:
    """One key for each seed ``[S]``."""
    base = jax.random.fold_in(jax.random.key(config.seed), part)
    return jax.random.split(base, config.seeds)
