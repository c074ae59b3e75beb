"""Digits: a flow trained here, fine-tuned towards a classifier's probability of a set of digits.

Two classifiers are trained on disjoint halves of the training images: one is the reward, the other
stands for a preference that was not optimized. Diversity is the entropy of the digits that the
second classifier recognizes, and the mean distance of samples in its features.

Images are scikit-learn's digits or MNIST. A network narrower than an image cannot pass the noise
through that a velocity contains, so on MNIST the flow predicts data; its classifiers are
multilayer perceptrons, since convolutions on a CPU would take longer than the fine-tuning.

Shapes: ``B`` samples, ``D`` pixels, ``S`` seeds, ``G`` cells of the grid.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.ac_flow import mixture
from experiments.ac_flow.comparison import MATCHED, choose, clip_of, matched
from experiments.ac_flow.config import Config
from experiments.ac_flow.methods import build
from experiments.harness.images import flattened
from jaxswarm import data, generative, rollout
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Params

REWARDS: dict[str, tuple[int, ...]] = {
    "even": (0, 2, 4, 6, 8),
    "small": (0, 1, 2, 3, 4),
    "closed": (0, 6, 8, 9),
}
"""Rewards: the probability of a digit that is even, below five, or drawn with a closed loop."""


class World(NamedTuple):
    """Flow, reward and measuring instruments of the digits.

    Attributes:
        model: the flow of flat images in ``[-1, 1]``.
        pretrained: its parameters.
        first: logits of the first classifier, ``[B, D] -> [B, 10]``; the rewards.
        second: logits of the second classifier, for the unseen preference and diversity.
        features: its features, ``[B, D] -> [B, F]``.
        held_out: images that no network was trained on, ``[B, D]``.
        held_out_labels: their digits.
    """

    model: flow.Flow
    pretrained: Params
    first: Callable[[jax.Array], jax.Array]
    second: Callable[[jax.Array], jax.Array]
    features: Callable[[jax.Array], jax.Array]
    held_out: np.ndarray
    held_out_labels: np.ndarray


class Programs(NamedTuple):
    """Compiled functions; all rewards share them, since the set of digits is an argument.

    Attributes:
        draw: ``draw(params, key) -> [config.audit, D]``, samples of a flow.
        measure: ``measure(x, chosen)``, see :func:`measure`.
        run: for each method ``run(key, tau, alpha, clip, chosen) -> params``, its fine-tuning of
            the pretrained flow; AC-Flow arms of one step size share theirs.
    """

    draw: Callable[[Params, jax.Array], jax.Array]
    measure: Callable[[jax.Array, jax.Array], dict[str, jax.Array]]
    run: dict[str, Callable[..., Params]]


def probability(
    logits: Callable[[jax.Array], jax.Array], chosen: jax.Array
) -> Callable[[jax.Array], jax.Array]:
    """A classifier's probability of the digits of ``chosen bool[10]``, ``[B, D] -> [B]``."""
    return lambda x: jnp.sum(jax.nn.softmax(logits(x)), axis=1, where=chosen)


def build_world(config: Config) -> World:
    """Train the flow and the two classifiers."""
    train, test = flattened(data.load(config.data, path=config.path, seed=config.seed))
    flow_key, first_key, second_key = jax.random.split(jax.random.key(config.seed + 4), 3)
    halves = np.array_split(np.random.default_rng(config.seed).permutation(train.num_samples), 2)
    images = 2.0 * np.asarray(train.features) - 1.0
    pixels = images.shape[1]
    side = round(pixels**0.5)
    shape = (pixels,) if config.data == "mnist" else (side, side)

    def classifier(key: jax.Array, rows: np.ndarray) -> list[Callable[[jax.Array], jax.Array]]:
        steps = min(400, config.digit_pretrain_steps)
        trained = flow.train_classifier(
            key, images[rows].reshape(-1, *shape), train.labels[rows], num_classes=10,
            num_steps=steps,
        )  # fmt: skip
        return [
            lambda x, of=of: of(x.reshape(-1, *shape)) for of in (trained.logits, trained.features)
        ]

    (first, _), (second, features) = map(classifier, (first_key, second_key), halves)
    model = flow.from_network(
        flow.MLP(width=config.digit_width, depth=3), (pixels,),
        prediction="data" if config.data == "mnist" else "velocity",
        data_range=(-1.0, 1.0) if config.data == "mnist" else None,
    )  # fmt: skip
    rate = optax.cosine_decay_schedule(2e-3, config.digit_pretrain_steps)
    learner = generative.flow_matching(model, optax.adam(rate), ema_decay=0.999)
    samples = jnp.asarray(images)

    def step(key: jax.Array, state: Any, _: Any) -> Any:
        row_key, loss_key = jax.random.split(key)
        rows = jax.random.randint(row_key, (128,), 0, samples.shape[0])
        batch = data.Batch(samples[rows], rows, jnp.ones(128))
        return learner.step(loss_key, state, batch)

    init_key, run_key = jax.random.split(flow_key)
    start = learner.init(model.init(init_key))
    count = config.digit_pretrain_steps
    state, _ = jax.jit(lambda s, k: rollout(step, s, count, key=k, every=count))(start, run_key)
    held_out = 2.0 * np.asarray(test.features) - 1.0
    labels = np.asarray(test.labels)
    return World(model, state.ema_params, first, second, features, held_out, labels)


def measure(world: World, x: jax.Array, chosen: jax.Array) -> dict[str, jax.Array]:
    """Reward, unseen reward and diversity of samples ``[B, D]``; traceable."""
    shares = jnp.mean(jax.nn.one_hot(jnp.argmax(world.second(x), 1), 10), axis=0)
    features = world.features(x)
    pairs = features[: x.shape[0] // 2] - features[x.shape[0] // 2 :][: x.shape[0] // 2]
    return {
        "reward": jnp.mean(probability(world.first, chosen)(x)),
        "unseen": jnp.mean(probability(world.second, chosen)(x)),
        "entropy": mixture.entropy(shares),
        "distance": jnp.mean(jnp.linalg.norm(pairs, axis=1)),
    }


def compile_programs(config: Config, world: World) -> Programs:
    """Functions of sampling, measuring and fine-tuning; each is compiled when it is first used."""
    model = world.model

    @jax.jit
    def draw(params: Params, key: jax.Array) -> jax.Array:
        field = flow.field(model, params)
        return flow.sample(key, field, config.audit, model.shape, num_steps=2 * config.ode_steps)

    def fine_tuning(method: str, lr: float) -> Callable[..., Params]:
        def run(
            key: jax.Array, tau: jax.Array, alpha: jax.Array, clip: jax.Array, chosen: jax.Array
        ) -> Params:
            learner = build(
                config, method, model, probability(world.first, chosen), tau, alpha, clip=clip,
                lr=lr, width=config.digit_width, steps=config.digit_steps,
            )  # fmt: skip
            init_key, run_key = jax.random.split(key)
            state = learner.init(world.pretrained, init_key)
            count = config.digit_steps
            state, _ = rollout(learner.step, state, count, key=run_key, every=count)
            return state.params

        return jax.jit(run)

    names = [name.removesuffix("_unclipped") for name in config.digit_methods]
    build_once = functools.cache(fine_tuning)
    programs = [build_once(name, lr) for name, lr in zip(names, config.digit_lrs, strict=False)]
    return Programs(
        draw,
        jax.jit(lambda x, chosen: measure(world, x, chosen)),
        dict(zip(config.digit_methods, programs, strict=True)),
    )


def run_digits(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Fine-tune one pretrained flow towards every reward, see :func:`run_reward`, by name."""
    progress("digits: pretraining")
    world = build_world(config)
    programs = compile_programs(config, world)
    return {
        name: run_reward(config, world, programs, name, progress) for name in config.digit_rewards
    }


def run_reward(
    config: Config,
    world: World,
    programs: Programs,
    name: str,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Tune methods on a grid with one seed, then run the chosen penalties on other seeds.

    Returns:
        ``reference`` and ``ideal`` (samples of the reference times ``exp(4 · reward)``): the
        entries of :func:`measure`; for each method ``bracket``, ``grid``, those entries ``[S]`` at
        the larger penalty, with ``frechet [S]``, the Fréchet distance to held-out digits of the
        set, and ``matched [S]``, the reward between both penalties; ``images``, 20 samples of the
        reference and of every method's first run.
    """
    keys = jax.random.split(jax.random.key(config.seed + 5), 3)
    digits = REWARDS[name]
    chosen = jnp.isin(jnp.arange(10), jnp.array(digits))
    wanted_digits = jnp.asarray(world.held_out[np.isin(world.held_out_labels, digits)])
    draw = programs.draw

    def measured(x: jax.Array) -> dict[str, jax.Array]:
        return programs.measure(x, chosen)

    def frechet(x: jax.Array) -> float:
        return flow.frechet_distance(world.features(x), world.features(wanted_digits))

    before = draw(world.pretrained, keys[0])
    scores = mixture.SHARPNESS * probability(world.first, chosen)(before)
    tilted = mixture.tilted_ideal(keys[1], before, scores, config.audit)
    found: dict[str, Any] = {
        "reference": {**measured(before), "frechet": frechet(before)},
        "ideal": {**measured(tilted), "frechet": frechet(tilted)},
    }
    wanted = MATCHED * float(found["ideal"]["entropy"])
    images: dict[str, ArrayLike] = {"reference": before[:20]}
    for method in config.digit_methods:
        progress(f"digits: {name}, {method}")
        clip = clip_of(config, method)

        def run(
            key: jax.Array, tau: float, alpha: float, own=programs.run[method], clip=clip
        ) -> Params:
            return own(key, float(tau), float(alpha), clip, chosen)

        first = config.shares[: len(config.digit_taus)]
        first = first if method == "reward_ranked" else config.digit_taus
        grid = np.array([(tau, alpha) for tau in first for alpha in config.digit_alphas])
        tuned = [measured(draw(run(keys[2], *cell), keys[0])) for cell in grid]
        tuned_reward, tuned_entropy = (
            np.array([[float(each[entry])] for each in tuned]) for entry in ("reward", "entropy")
        )
        bracket = choose(grid, tuned_reward, tuned_entropy, wanted)
        keys_of_runs = jax.random.split(jax.random.key(config.seed + 6), config.digit_seeds)

        def at(alpha: float, run=run, tau=bracket.tau, keys=keys_of_runs) -> dict[str, np.ndarray]:
            samples = [draw(run(key, tau, alpha), jax.random.fold_in(key, 1)) for key in keys]
            rows = [{**measured(x), "frechet": frechet(x)} for x in samples]
            each = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
            return each | {"images": np.asarray(samples[0][:20])}

        high = at(bracket.high)
        low = high if bracket.low == bracket.high else at(bracket.low)
        images[method] = high.pop("images")
        rewards, entropies = (np.stack([low[name], high[name]]) for name in ("reward", "entropy"))
        found[method] = high | {
            "matched": matched(rewards, entropies, wanted),
            "bracket": np.array(bracket),
            "grid": {"cells": grid, "reward": tuned_reward, "entropy": tuned_entropy},
        }
    found["images"] = {name: np.asarray(x) for name, x in images.items()}
    return found
