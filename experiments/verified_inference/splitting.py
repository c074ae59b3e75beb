"""Networks cut between two nodes: training with noise or a penalty, and inversion per cut.

All variants (no defense, noise or penalty at each cut, fewer units) and seeds train in one program:
the cut is a traced index into the activations, which gives the gradients of
``trust.split.gradients`` at that cut (``tests/experiments/test_verified_inference.py`` compares
them).

Shapes: ``V`` variants, ``S`` seeds, ``L`` cuts, ``A`` attacked images, ``D`` pixels, ``E`` the
largest activation of a cut (smaller ones are padded with zeros).
"""

import functools
import itertools
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
SHOWN = 5  # attacked images kept for the figure


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


def forward(
    config: Config, params: Params, x: jax.Array, variant: Variant, noise: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Logits, and the activation at the defended cut as it is sent ``[B, E]``, padded.

    Args:
        config: sizes of the run.
        params: layers of ``kernel`` and ``bias``.
        x: images ``[B, D]``.
        variant: whose cut, noise and units count.
        noise: standard normal numbers ``[B, E]``; nothing is added if ``None``.
    """
    sent = jnp.zeros((len(x), max(config.widths)), x.dtype)
    for place, width in enumerate(config.widths):
        layer = params[place]
        kept = jnp.arange(width) < jnp.ceil(variant.units * width)
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
        x = jnp.where(kept[None], x, 0.0)
        here = variant.cut == place
        if noise is not None:
            scale = jax.lax.stop_gradient(jnp.sqrt(jnp.mean(x**2) + 1e-9))
            x = x + jnp.where(here, variant.noise * scale, 0.0) * noise[:, :width]
        sent = jnp.where(here, jnp.pad(x, ((0, 0), (0, sent.shape[1] - width))), sent)
    layer = params[-1]
    return x @ layer["kernel"] + layer["bias"][None], sent


def defended(
    config: Config, key: Key, params: Params, x: jax.Array, variant: Variant
) -> tuple[jax.Array, jax.Array]:
    """Logits and what is sent, with noise from ``key``; see :func:`forward`."""
    noise = jax.random.normal(key, (len(x), max(config.widths)))
    return forward(config, params, x, variant, noise)


def initial(config: Config, key: Key, pixels: int, classes: int) -> Params:
    """He-normal kernels and zero biases of all layers."""
    sizes = list(itertools.pairwise([pixels, *config.widths, classes]))
    ends = np.cumsum([0] + [a * b for a, b in sizes])
    drawn = jax.random.normal(key, (int(ends[-1]),))
    return [
        {
            "kernel": drawn[start : start + a * b].reshape(a, b) * (2.0 / a) ** 0.5,
            "bias": jnp.zeros((b,)),
        }
        for start, (a, b) in zip(ends[:-1], sizes, strict=True)
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
        few = slice(0, config.penalty_rows)
        return plain + variant.penalty * split.distance_correlation(x[few], sent[few])

    def step(carry: Any, own: Key) -> tuple[Any, None]:
        params, state = carry
        updates, state = optimizer.update(jax.grad(loss)(params, own), state)
        return (optax.apply_updates(params, updates), state), None

    keys = jax.random.split(draws, config.steps)
    return jax.lax.scan(step, (params, optimizer.init(params)), keys)[0][0]


def train_all(config: Config, images: Images, chosen: Variant) -> tuple[Params, np.ndarray]:
    """Models of all variants and seeds, leaves ``[V, S, …]``, and their test accuracy ``[V, S]``.

    The first parameters of a seed are common to all variants. Accuracy is with the noise that is
    sent.
    """

    @functools.partial(jit_fast_compile, level=1, plain=True)
    def run(chosen: Variant, keys: Key, tested: Key) -> tuple[Params, jax.Array]:
        def one(variant: Variant, own: Key, test_key: Key) -> tuple[Params, jax.Array]:
            params = train(config, own, images, variant)
            logits = defended(config, test_key, params, images.test_x, variant)[0]
            return params, jnp.mean(jnp.argmax(logits, axis=1) == images.test_y)

        return jax.vmap(lambda v: jax.vmap(lambda *own: one(v, *own))(keys, tested))(chosen)

    params, accuracy = run(chosen, seed_keys(config, 1), seed_keys(config, 2))
    return params, np.asarray(accuracy)


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
        sent_key, fit_key = jax.random.split(own)
        both = jnp.concatenate([images.shadow, attacked])
        sent = defended(config, sent_key, params, both, variant)[1]
        seen, observed = sent[: len(images.shadow)], sent[len(images.shadow) :]
        decoder = split.fit_decoder(
            fit_key, seen, images.shadow, hidden=config.decoder_hidden, steps=config.decoder_steps
        )
        found = jnp.clip(split.decode(decoder, observed), 0.0, 1.0)
        searched = split.invert(
            lambda x: forward(config, params, x, variant)[1],
            observed,
            jnp.broadcast_to(mean, attacked.shape),
            steps=config.search_steps,
            pull=config.pull,
        )
        return found, searched

    @functools.partial(jit_fast_compile, level=1, plain=True)
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
        layers[place] = jax.tree.map(lambda leaf, kept=kept: np.asarray(leaf) * kept, layers[place])
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
