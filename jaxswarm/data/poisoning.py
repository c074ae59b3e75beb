"""Data poisoning: label-flipping and backdoor attacks on the batches of malicious agents.

An attack is a function of one agent's batch, ``attack(key, batch) -> batch``; :func:`poisoned`
applies it to some of the agents of a sampler. Weights never change, so padding stays padding.

Shapes: ``N`` agents, ``B`` samples of a batch, ``...`` the shape of one sample's features.

References:
    T. Gu, B. Dolan-Gavitt, S. Garg, BadNets: identifying vulnerabilities in the machine learning
    model supply chain, 2017 (backdoor patch).
    B. Biggio, B. Nelson, P. Laskov, Support vector machines under adversarial label noise, 2011
    (label flipping).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.checks import is_traced
from jaxswarm.data.batches import Batch, Sampler
from jaxswarm.types import ArrayLike

DataAttack = Callable[[jax.Array, Batch], Batch]
"""``attack(key, batch) -> batch`` of one agent, leaves ``[B, ...]``."""


def flip_pair(source: int, target: int, *, both: bool = True) -> DataAttack:
    """Label-flipping attack: relabel class ``source`` as ``target``, and vice versa if ``both``.

    Raises:
        ValueError: if the classes are equal or negative.
    """
    source, target = checks.whole("source", source), checks.whole("target", target)
    both = checks.flag("both", both)
    if source == target:
        raise ValueError(f"target: expected two different classes, got {source} and {target}")

    def attack(key: jax.Array, batch: Batch) -> Batch:
        del key
        labels = jnp.where(batch.y == source, target, batch.y)
        if both:
            labels = jnp.where(batch.y == target, source, labels)
        return batch._replace(y=labels.astype(batch.y.dtype))

    return attack


def flip_all(num_classes: int, shift: int | None = None) -> DataAttack:
    """Label-flipping attack on all classes: ``c`` becomes ``C − 1 − c``, or ``(c + shift) mod C``.

    The reversal leaves the middle class of an odd number as it is.

    Raises:
        ValueError: if ``num_classes < 2``, or ``shift`` moves no class.
    """
    num_classes = checks.whole("num_classes", num_classes, 2)
    if shift is not None:
        shift = checks.whole("shift", shift, -checks.LARGEST)
        if shift % num_classes == 0:
            raise ValueError(f"shift: expected a shift not divisible by {num_classes}, got {shift}")

    def attack(key: jax.Array, batch: Batch) -> Batch:
        del key
        if shift is None:
            labels = num_classes - 1 - batch.y
        else:
            labels = (batch.y + shift) % num_classes
        return batch._replace(y=labels.astype(batch.y.dtype))

    return attack


def backdoor(
    patch: ArrayLike, target: int, *, value: float = 1.0, share: float | jax.Array = 1.0
) -> DataAttack:
    """Backdoor attack: stamp a patch on a share of the samples and relabel them as ``target``.

    Args:
        patch: ``bool`` of the shape of one sample's features, true under the patch; see
            :func:`square_patch`.
        target: the label of stamped samples.
        value: of the features under the patch.
        share: probability in ``[0, 1]`` that a sample is stamped; may be traced.

    Raises:
        ValueError: if the patch is empty or not boolean, ``target < 0`` or ``share`` is out of
            range.
    """
    spot = np.asarray(patch)
    if spot.dtype != bool or not spot.any():
        raise ValueError(
            f"patch: expected a boolean mask with at least one entry set, got {spot.dtype}"
            f"{list(spot.shape)} with {int(np.count_nonzero(spot))} set"
        )
    target = checks.whole("target", target)
    checks.real("value", value)
    checks.probability("share", share)

    def attack(key: jax.Array, batch: Batch) -> Batch:
        hit = jax.random.uniform(key, batch.y.shape) < share
        column = hit.reshape(hit.shape + (1,) * (batch.x.ndim - 1))
        x = jnp.where(column, stamp(batch.x, spot, value), batch.x)
        return batch._replace(x=x, y=jnp.where(hit, target, batch.y).astype(batch.y.dtype))

    return attack


def stamp(features: ArrayLike, patch: ArrayLike, value: float = 1.0) -> jax.Array:
    """Set ``features [..., sample shape]`` to ``value`` under the patch, for attack and evaluation.

    Raises:
        ValueError: if the patch is no boolean mask of the shape of a sample.
    """
    if not is_traced(patch):
        patch = checks.as_array("patch", patch, "a boolean mask")
    if not is_traced(features) and not isinstance(features, jax.Array):
        features = checks.as_array("features", features, "numbers [..., sample shape]")
    checks.real("value", value)
    x, spot = jnp.asarray(features), jnp.asarray(patch)
    if spot.dtype != bool:
        raise ValueError(f"patch: expected a boolean mask, got {spot.dtype}{list(spot.shape)}")
    if spot.ndim == 0 or x.shape[x.ndim - spot.ndim :] != spot.shape:
        raise ValueError(f"patch: expected the shape of a sample of {x.shape}, got {spot.shape}")
    spot = spot.reshape((1,) * (x.ndim - spot.ndim) + spot.shape)
    return jnp.where(spot, jnp.asarray(value, x.dtype), x)


def square_patch(height: int, width: int, size: int = 3, *, flat: bool = True) -> np.ndarray:
    """Mask of the top left ``size × size`` corner, ``bool[height · width]`` or ``[height, width]``.

    Raises:
        ValueError: if ``size`` is not in ``[1, min(height, width)]``.
    """
    height, width = checks.whole("height", height, 1), checks.whole("width", width, 1)
    size = checks.whole("size", size, 1, min(height, width))
    flat = checks.flag("flat", flat)
    spot = np.zeros((height, width), bool)
    spot[:size, :size] = True
    return spot.ravel() if flat else spot


def poisoned(sampler: Sampler, attack: DataAttack, malicious: ArrayLike) -> Sampler:
    """Sampler with an attack on the batches of malicious agents; the draws stay the same.

    Args:
        sampler: any; called as ``sampler(key, shards, offset=…)``.
        attack: applied to the batches of malicious agents.
        malicious: ``bool[N]``; may be traced.

    Raises:
        ValueError: if ``malicious`` is not a boolean vector; while sampling, if it is not ``[N]``.
    """
    checks.function("sampler", sampler)
    checks.function("attack", attack)
    bad = jnp.asarray(checks.mask("malicious", malicious, (None,)))

    def sample(key: jax.Array, shards: Any, *, offset: int | jax.Array = 0) -> Batch:
        batch = sampler(key, shards, offset=offset)
        n = agents.num_agents(batch)
        checks.mask("malicious", bad, (n,))
        keys = agents.keys(jax.random.fold_in(key, 0x7015), n, offset=offset)
        return agents.where(bad, jax.vmap(attack)(keys, batch), batch)

    return sample


def attack_score(predictions: ArrayLike, labels: ArrayLike, source: int, target: int) -> jax.Array:
    """Attack success rate: share of ``source`` samples predicted as ``target``, ``float32[...]``.

    Args:
        predictions: ``int[..., S]`` classes.
        labels: ``int[S]``, the true classes.
        source: the attacked class.
        target: the class that the attack aims at.

    Raises:
        ValueError: if concrete labels hold no sample of ``source``, or the classes are equal.
    """
    source, target = checks.whole("source", source), checks.whole("target", target)
    for name, value in (("predictions", predictions), ("labels", labels)):
        checks.wholes(name, value, -checks.LARGEST)
    if jnp.ndim(labels) != 1 or jnp.shape(predictions)[-1:] != jnp.shape(labels):
        raise ValueError(
            "predictions, labels: expected shapes [..., S] and [S], got "
            f"{jnp.shape(predictions)} and {jnp.shape(labels)}"
        )
    if source == target:
        raise ValueError(f"target: expected two different classes, got {source} twice")
    if not is_traced(labels) and not (np.asarray(labels) == source).any():
        raise ValueError(f"source: expected a class among the labels, got {source}")
    attacked = (jnp.asarray(labels) == source).astype(jnp.float32)
    fooled = (jnp.asarray(predictions) == target).astype(jnp.float32)
    return jnp.matmul(fooled, attacked) / jnp.maximum(jnp.sum(attacked), 1.0)
