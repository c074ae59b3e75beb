"""Generators of new levels: random ones, edits of known ones, interpolations by a VAE.

Shapes: ``K`` levels at once, ``P`` levels of the starting set, ``Z`` numbers of a latent code.

References:
    J. Parker-Holder et al., Evolving curricula with regret-based environment design, 2022 (edits).
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024 (interpolation of posteriors).
"""

from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.models import vae
from jaxswarm.rl.curriculum._buffer import num_levels
from jaxswarm.types import ArrayLike, Key, PyTree


class LevelGenerator(Protocol):
    """Makes ``K`` new levels, given ``K`` parents of each of two kinds, leaves ``[K, …]``.

    ``replayed`` are levels replayed in this iteration, ``starting`` random ones of the starting
    set (of the whole buffer if it is not protected). A generator need not use them.
    """

    def __call__(self, key: Key, replayed: PyTree, starting: PyTree) -> PyTree:
        """New levels, leaves ``[K, …]``."""
        ...


def random_levels(sample: Callable[[Key], PyTree]) -> LevelGenerator:
    """Make a generator of independent random levels (domain randomization).

    Args:
        sample: ``sample(key) -> level``.

    Raises:
        ValueError: if it is not a function.
    """
    checks.function("sample", sample)

    def generate(key: Key, replayed: PyTree, starting: PyTree) -> PyTree:
        del starting
        return jax.vmap(sample)(jax.random.split(key, num_levels(replayed)))

    return generate


def edited_levels(
    mutate: Callable[[Key, PyTree], PyTree], *, starting_set: bool = False
) -> LevelGenerator:
    """Make a generator that edits levels: replayed ones (ACCEL) or the starting set (EL-DRED).

    Args:
        mutate: ``mutate(key, level) -> level``.
        starting_set: edit levels of the starting set, so that edits do not accumulate.

    Raises:
        ValueError: if ``mutate`` is not a function.
    """
    checks.function("mutate", mutate)
    starting_set = checks.flag("starting_set", starting_set)

    def generate(key: Key, replayed: PyTree, starting: PyTree) -> PyTree:
        parents = starting if starting_set else replayed
        return jax.vmap(mutate)(jax.random.split(key, num_levels(parents)), parents)

    return generate


def mixed_levels(first: LevelGenerator, second: LevelGenerator, share: ArrayLike) -> LevelGenerator:
    """Make a generator that draws each level from ``first`` with probability ``share``.

    Args:
        first: a generator.
        second: another one.
        share: in ``[0, 1]``, may be traced.

    Raises:
        ValueError: if they are not functions, or the share is out of range.
    """
    checks.function("first", first)
    checks.function("second", second)
    checks.probability("share", share)

    def generate(key: Key, replayed: PyTree, starting: PyTree) -> PyTree:
        first_key, second_key, choice_key = jax.random.split(key, 3)
        one, other = first(first_key, replayed, starting), second(second_key, replayed, starting)
        chosen = jax.random.bernoulli(choice_key, share, (num_levels(one),))
        return select_levels(chosen, one, other)

    return generate


def interpolated_levels(
    mean: ArrayLike,
    std: ArrayLike,
    decode: Callable[[Key, jax.Array], PyTree],
    *,
    num_steps: int = 6,
) -> LevelGenerator:
    """Make a generator of VAE-DRED: decode codes between the posteriors of two known levels.

    Each level draws a pair of the starting set and one of ``num_steps`` positions between them,
    both ends included, on the arc of :func:`jaxswarm.models.vae.interpolate`; a code is sampled
    from the posterior there.

    Args:
        mean: ``float[P, Z]``, posterior means of the starting set, ``P`` at least 2.
        std: ``float[P, Z]``, posterior standard deviations.
        decode: ``decode(key, z [Z]) -> level``.
        num_steps: positions, at least 2.

    Raises:
        ValueError: for fewer than two levels, shapes that differ, or negative deviations.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.rl import curriculum
        >>> mean, std = jnp.array([[0.0, 1.0], [1.0, 0.0]]), jnp.zeros((2, 2))
        >>> generate = curriculum.interpolated_levels(mean, std, lambda key, z: {"goal": z})
        >>> generate(jax.random.key(0), {"goal": mean}, {"goal": mean})["goal"].shape
        (2, 2)
    """
    means = jnp.asarray(checks.real("mean", mean, shape=(None, None)))
    if means.shape[0] < 2:
        raise ValueError(f"mean: expected at least two levels to interpolate, got {len(means)}")
    stds = jnp.asarray(checks.real("std", std, 0.0, shape=means.shape))
    checks.function("decode", decode)
    num_steps = checks.whole("num_steps", num_steps, 2)

    def one(key: Key) -> PyTree:
        pair_key, step_key, noise_key, decode_key = jax.random.split(key, 4)
        a = jax.random.randint(pair_key, (), 0, means.shape[0])
        gap = jax.random.randint(jax.random.fold_in(pair_key, 1), (), 1, means.shape[0])
        b = (a + gap) % means.shape[0]
        first, second = (vae.Posterior(means[i][None], stds[i][None]) for i in (a, b))
        step = jax.random.randint(step_key, (), 0, num_steps)
        between = jax.tree.map(lambda x: x[0, step], vae.interpolate(first, second, num_steps))
        noise = flat(jax.random.normal, noise_key, between.mean.shape)
        return decode(decode_key, between.mean + between.std * noise)

    def generate(key: Key, replayed: PyTree, starting: PyTree) -> PyTree:
        del starting
        return jax.vmap(one)(jax.random.split(key, num_levels(replayed)))

    return generate


def select_levels(chosen: jax.Array, one: PyTree, other: PyTree) -> PyTree:
    """Levels of ``one`` where ``chosen: bool[K]``, else of ``other``; leaves ``[K, …]``."""

    def leaf(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.where(chosen.reshape(-1, *(1 for _ in jnp.shape(x)[1:])), x, y)

    return jax.tree.map(leaf, one, other)
