"""What a representation tells about the level it was computed in.

References:
    D. Barber, F. Agakov, The IM algorithm: a variational approach to information maximization,
    2003 (the bound).
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024 (generalization gap and mutual information with the level).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.types import ArrayLike


class LevelInformation(NamedTuple):
    """How well a linear classifier tells levels apart; all ``float32[]``.

    Attributes:
        information: lower bound of the mutual information ``I(L; b)`` in nats, at most
            ``log num_levels``: entropy of the level less the classifier's cross-entropy. It can
            be negative where the classifier overfits; the information is then unresolved.
        accuracy: share of the held-out rows whose level is recognized, in ``[0, 1]``.
    """

    information: jax.Array
    accuracy: jax.Array


def level_information(
    representation: ArrayLike,
    level: ArrayLike,
    held_out: ArrayLike,
    held_out_level: ArrayLike,
    num_levels: int,
    *,
    steps: int = 150,
    lr: float = 0.1,
    weight_decay: float = 1e-3,
) -> LevelInformation:
    """Bound the mutual information of a representation and the level by a linear classifier.

    A softmax classifier of the level is fitted to standardized representations with Adam; its
    cross-entropy on held-out rows, best taken from other episodes, gives the bound of Barber and
    Agakov.

    Args:
        representation: ``float[M, D]``, such as activations of a hidden layer.
        level: ``int[M]``, the level of every row, in ``0 … num_levels - 1``.
        held_out: ``float[R, D]``.
        held_out_level: ``int[R]``.
        num_levels: at least 2, static.
        steps: of Adam, on all rows at once.
        lr: step size, above 0.
        weight_decay: factor of the squared weights in the loss, at least 0.

    Raises:
        ValueError: shapes that do not belong together, fewer than two levels, or numbers out of
            range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.rl import curriculum
        >>> level = jnp.arange(400) % 4
        >>> hidden = jax.nn.one_hot(level, 4)  # a representation that is the level
        >>> found = curriculum.level_information(hidden, level, hidden, level, 4)
        >>> bool(found.information > 1.3), float(found.accuracy)  # log 4 = 1.386
        (True, 1.0)
    """
    num_levels = checks.whole("num_levels", num_levels, 2)
    rows, labels = _rows("representation", representation, "level", level, num_levels)
    tests, answers = _rows("held_out", held_out, "held_out_level", held_out_level, num_levels)
    if rows.shape[1] != tests.shape[1]:
        raise ValueError(
            f"held_out: expected {rows.shape[1]} columns as in representation, got {tests.shape[1]}"
        )
    steps = checks.whole("steps", steps, 1)
    checks.real("lr", lr, above=0.0)
    checks.real("weight_decay", weight_decay, 0.0)
    mean, std = jnp.mean(rows, 0, keepdims=True), jnp.std(rows, 0, keepdims=True) + 1e-6
    rows, tests = (rows - mean) / std, (tests - mean) / std
    optimizer = optax.adam(lr)
    weights = (jnp.zeros((rows.shape[1], num_levels)), jnp.zeros((1, num_levels)))

    def cross_entropy(weights: tuple, x: jax.Array, label: jax.Array) -> jax.Array:
        logits = x @ weights[0] + weights[1]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, label))

    def loss(weights: tuple) -> jax.Array:
        return cross_entropy(weights, rows, labels) + weight_decay * jnp.sum(weights[0] ** 2)

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        weights, opt_state = state
        updates, opt_state = optimizer.update(jax.grad(loss)(weights), opt_state)
        return (optax.apply_updates(weights, updates), opt_state), None

    (weights, _), _ = jax.lax.scan(step, (weights, optimizer.init(weights)), None, length=steps)
    share = jnp.mean(jax.nn.one_hot(answers, num_levels), 0)
    entropy = -jnp.sum(jax.scipy.special.xlogy(share, share))
    correct = jnp.argmax(tests @ weights[0] + weights[1], -1) == answers
    return LevelInformation(
        entropy - cross_entropy(weights, tests, answers), jnp.mean(correct, dtype=jnp.float32)
    )


def _rows(
    name: str, x: ArrayLike, label_name: str, label: ArrayLike, num_levels: int
) -> tuple[jax.Array, jax.Array]:
    rows = checks.numbers(name, x, (None, None))
    if not rows.size:
        raise ValueError(f"{name}: expected at least one row and one column, got {rows.shape}")
    labels = checks.wholes(label_name, label, 0, num_levels - 1, shape=rows.shape[:1])
    return rows.astype(jnp.float32), jnp.asarray(labels)
