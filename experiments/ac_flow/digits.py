"""Digits: a flow trained here, fine-tuned towards a classifier's probability of an even digit.

Two classifiers are trained on disjoint halves of the training images: one is the reward, the other
stands for a preference that was not optimized. Diversity is the entropy of the digits that the
second classifier recognizes, and the mean distance of samples in its features.

Shapes: ``B`` samples, ``S`` seeds, ``G`` cells of the grid.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.ac_flow import mixture
from experiments.ac_flow.comparison import MATCHED, choose, clip_of
from experiments.ac_flow.config import Config
from experiments.ac_flow.methods import build
from jaxswarm import data, generative, rollout
from jaxswarm.models import flow

SIDE = 8
EVEN = np.arange(10) % 2 == 0


class World(NamedTuple):
    """Flow, reward and measuring instruments of the digits.

    Attributes:
        model: the flow of flat images in ``[-1, 1]``.
        pretrained: its parameters.
        seen: probability of an even digit of the first classifier, ``[B, 64] -> [B]``: the reward.
        unseen: that of the second classifier.
        judge: the second classifier.
        even: even digits that no network was trained on, ``[B, 64]``.
    """

    model: flow.Flow
    pretrained: Any
    seen: Callable[[jax.Array], jax.Array]
    unseen: Callable[[jax.Array], jax.Array]
    judge: flow.Classifier
    even: jax.Array


def build_world(config: Config) -> World:
    """Train the flow and the two classifiers."""
    train, test = data.load("digits", seed=config.seed)
    flow_key, seen_key, unseen_key = jax.random.split(jax.random.key(config.seed + 4), 3)
    half = np.random.default_rng(config.seed).permutation(train.num_samples)
    first, second = np.array_split(half, 2)
    images = 2.0 * np.asarray(train.features) - 1.0

    def classifier(key: jax.Array, rows: np.ndarray) -> flow.Classifier:
        pictures = images[rows].reshape(-1, SIDE, SIDE)
        steps = min(400, config.digit_pretrain_steps)
        return flow.train_classifier(
            key, pictures, train.labels[rows], num_classes=10, num_steps=steps
        )

    def probability(of: flow.Classifier) -> Callable[[jax.Array], jax.Array]:
        even = jnp.asarray(EVEN)
        return lambda x: jnp.sum(
            jax.nn.softmax(of.logits(x.reshape(-1, SIDE, SIDE))), axis=1, where=even
        )

    one, other = classifier(seen_key, first), classifier(unseen_key, second)
    model = flow.from_network(flow.MLP(width=config.digit_width, depth=3), (SIDE * SIDE,))
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
    held_out = 2.0 * np.asarray(test.features)[EVEN[test.labels]] - 1.0
    return World(
        model, state.ema_params, probability(one), probability(other), other, jnp.asarray(held_out)
    )


def measure(world: World, x: jax.Array) -> dict[str, jax.Array]:
    """Reward, unseen reward and diversity of samples ``[B, 64]``; traceable."""
    pictures = x.reshape(-1, SIDE, SIDE)
    shares = jnp.mean(jax.nn.one_hot(jnp.argmax(world.judge.logits(pictures), 1), 10), axis=0)
    features = world.judge.features(pictures)
    pairs = features[: x.shape[0] // 2] - features[x.shape[0] // 2 :][: x.shape[0] // 2]
    return {
        "reward": jnp.mean(world.seen(x)),
        "unseen": jnp.mean(world.unseen(x)),
        "entropy": mixture.entropy(shares),
        "distance": jnp.mean(jnp.linalg.norm(pairs, axis=1)),
    }


def run_digits(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Tune methods on a grid with one seed, then run the chosen cells on other seeds.

    Returns:
        ``reference`` and ``ideal`` (samples of the reference times ``exp(4 · reward)``): the
        entries of :func:`measure`; for each method ``cell [2]``, ``grid`` and those entries
        ``[S]``, with ``frechet [S]``, the Fréchet distance to held-out even digits; ``images``, 20
        samples of the reference and of every method's first run.
    """
    progress("digits: pretraining")
    world = build_world(config)
    model, keys = world.model, jax.random.split(jax.random.key(config.seed + 5), 3)

    measured = jax.jit(lambda x: measure(world, x))

    @jax.jit
    def draw(params: Any, key: jax.Array) -> jax.Array:
        field = flow.field(model, params)
        return flow.sample(key, field, config.audit, model.shape, num_steps=2 * config.ode_steps)

    def frechet(x: jax.Array) -> float:
        features = (world.judge.features(y.reshape(-1, SIDE, SIDE)) for y in (x, world.even))
        return flow.frechet_distance(*features)

    before = draw(world.pretrained, keys[0])
    scores = mixture.SHARPNESS * world.seen(before)
    tilted = mixture.tilted_ideal(keys[1], before, scores, config.audit)
    found: dict[str, Any] = {
        "reference": {**measured(before), "frechet": frechet(before)},
        "ideal": {**measured(tilted), "frechet": frechet(tilted)},
    }
    least = MATCHED * float(found["ideal"]["entropy"])
    images = {"reference": before[:20]}
    for method in config.digit_methods:
        progress(f"digits: {method}")
        program = "ac_flow" if method.startswith("ac_flow") else method
        clip = clip_of(config, method)

        @jax.jit
        def run(
            key: jax.Array, tau: jax.Array, alpha: jax.Array, program=program, clip=clip
        ) -> jax.Array:
            learner = build(
                config, program, model, world.seen, tau, alpha, clip=clip,
                width=config.digit_width, steps=config.digit_steps,
            )  # fmt: skip
            init_key, run_key = jax.random.split(key)
            state = learner.init(world.pretrained, init_key)
            count = config.digit_steps
            state, _ = rollout(learner.step, state, count, key=run_key, every=count)
            return state.params

        first = config.shares[: len(config.digit_taus)]
        first = first if method == "reward_ranked" else config.digit_taus
        grid = np.array([(tau, alpha) for tau in first for alpha in config.digit_alphas])
        tuned = [measured(draw(run(keys[2], *cell), keys[0])) for cell in grid]
        reward, entropy = (
            np.array([[float(each[name])] for each in tuned]) for name in ("reward", "entropy")
        )
        bracket = choose(grid, reward, entropy, least)
        cell = (bracket.tau, bracket.high)
        runs = []
        for key in jax.random.split(jax.random.key(config.seed + 6), config.digit_seeds):
            x = draw(run(key, *cell), jax.random.fold_in(key, 1))
            runs.append({**measured(x), "frechet": frechet(x)})
            images.setdefault(method, x[:20])
        found[method] = {
            name: np.array([float(each[name]) for each in runs]) for name in runs[0]
        } | {"cell": np.array(cell), "grid": {"cells": grid, "reward": reward, "entropy": entropy}}
    found["images"] = {name: np.asarray(x) for name, x in images.items()}
    return found
