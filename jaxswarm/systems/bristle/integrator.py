"""Bristle's integrator: class-wise averages of heads, weighted by F1 on the peer's own tests.

A head is a bias-free output layer, one column per class. Classes of which the peer has data are
*familiar*, the others *foreign*.

Shapes: ``Q`` heads, ``F`` features, ``C`` classes, ``T`` private test samples.

References:
    J. Verbraeken, M. de Vos, J. Pouwelse, Bristle: decentralized federated learning in Byzantine,
    non-i.i.d. environments, 2021; constants as in the authors' published code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

WORST = -100.0
"""Lower bound of the score of one familiar class."""


class Weights(NamedTuple):
    """Weights of the tested heads, relative to 1 for the own head.

    Attributes:
        familiar: ``float32[Q, C]``, class by class; 0 except in a head's best familiar classes.
        foreign: ``float32[Q]``, the same for all foreign classes.
    """

    familiar: jax.Array
    foreign: jax.Array


def f1_scores(
    predicted: jax.Array, labels: jax.Array, weight: jax.Array, num_classes: int
) -> jax.Array:
    """F1 score per class ``float32[..., C]``; 0 for classes that are neither true nor predicted.

    Args:
        predicted: ``int32[..., T]`` classes.
        labels: ``int32[T]``, the truth.
        weight: ``float32[T]``, 0 for padding.
        num_classes: ``C``.
    """
    positive = jax.nn.one_hot(predicted, num_classes)
    true = jax.nn.one_hot(labels, num_classes) * weight[:, None]
    hits = jnp.einsum("...tc,tc->...c", positive, true)
    both = jnp.einsum("...tc,t->...c", positive, weight)
    both = both + jnp.broadcast_to(jnp.sum(true, axis=0), both.shape)
    return jnp.where(both > 0, 2.0 * hits / jnp.where(both > 0, both, 1.0), 0.0)


def best_classes(f1: jax.Array, familiar: jax.Array, num_certain: int | jax.Array) -> jax.Array:
    """The ``φ`` familiar classes of highest F1 for each head ``bool[Q, C]``, ties to the lower.

    Args:
        f1: ``float32[Q, C]``.
        familiar: ``bool[C]``.
        num_certain: ``φ``, one for all or ``int32[Q]``; all familiar classes if there are fewer.
    """
    num_certain = jnp.broadcast_to(num_certain, f1.shape[:1])[:, None]
    familiar = jnp.broadcast_to(familiar, f1.shape)
    order = jnp.argsort(jnp.where(familiar, -f1, 1.0), axis=-1, stable=True)
    return (jnp.argsort(order, axis=-1) < num_certain) & familiar


def certainty(f1: jax.Array, best: jax.Array) -> jax.Array:
    """Certainty ``float32[Q]``: ``max(0, mean − deviation)`` of F1 over ``best: bool[Q, C]``."""
    number = jnp.maximum(jnp.sum(best, axis=-1), 1)
    mean = jnp.sum(jnp.where(best, f1, 0.0), axis=-1) / number
    square = jnp.where(best, jnp.square(f1 - mean[..., None]), 0.0)
    return jnp.maximum(0.0, mean - jnp.sqrt(jnp.sum(square, axis=-1) / number))


def performance_weights(
    own_f1: jax.Array, f1: jax.Array, familiar: jax.Array, num_certain: int | jax.Array
) -> Weights:
    """Weights of heads by their F1 relative to the own head's.

    A head is scored, and averaged, in its ``φ`` best familiar classes: a peer with other classes
    loses nothing for those without data. With ``d = 10 |F1 − F1_own|`` such a class scores
    ``d^(3 + F1_own)`` if the head is better in it and ``−d^(4 + F1_own)`` if it is worse. Its
    column weighs ``max(0, 10 σ(score / 100) − 4)`` times the head's certainty, the score bounded
    below by :data:`WORST`; foreign columns all weigh the same, by the *unbounded* sum of the
    scores. A tie weighs 1, a much worse class 0.

    Args:
        own_f1: ``float32[C]``.
        f1: ``float32[Q, C]``.
        familiar: ``bool[C]``.
        num_certain: ``φ``, see :func:`best_classes`.
    """
    best = best_classes(f1, familiar, num_certain)
    own_f1 = jnp.broadcast_to(own_f1, f1.shape)
    gap = 10.0 * jnp.abs(f1 - own_f1)
    better, worse = gap ** (3.0 + own_f1), gap ** (4.0 + own_f1)
    scores = jnp.where(best, jnp.where(f1 >= own_f1, better, -worse), 0.0)
    sureness = certainty(f1, best)
    by_class = jnp.where(best, _weight(jnp.maximum(scores, WORST)), 0.0)
    return Weights(by_class * sureness[:, None], _weight(jnp.sum(scores, axis=-1)) * sureness)


def integrate(own: jax.Array, heads: jax.Array, weights: Weights, familiar: jax.Array) -> jax.Array:
    """Weighted average of heads ``float32[F, C]``: columns ``(own + Σ w_q head_q) / (1 + Σ w_q)``.

    Args:
        own: ``float32[F, C]``.
        heads: ``float32[Q, F, C]``, finite.
        weights: of the heads; all 0 leaves the own head.
        familiar: ``bool[C]``, columns that take the familiar weights.
    """
    familiar = jnp.broadcast_to(familiar, weights.familiar.shape)
    by_class = jnp.where(familiar, weights.familiar, weights.foreign[:, None])
    received = jnp.einsum("qc,qfc->fc", by_class, heads)
    return (own + received) / (1.0 + jnp.sum(by_class, axis=0, keepdims=True))


def _weight(score: jax.Array) -> jax.Array:
    return jnp.maximum(0.0, 10.0 * jax.nn.sigmoid(score / 100.0) - 4.0)
