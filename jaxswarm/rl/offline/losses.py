"""Implicit-maximum losses of offline critics: expectiles and quantiles.

With ``κ = ½`` the minimizer is the mean (expectile) or the median (quantile) of the targets; as
``κ → 1`` both go to the largest target in the data, without an action that the data lack.

References:
    I. Kostrikov, A. Nair, S. Levine, Offline reinforcement learning with implicit Q-learning, 2022.
    Q. Li, S. Park, S. Levine, Decoupled Q-chunking, 2025 (quantiles; cross-entropy on logits).
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike


def implicit_weight(difference: jax.Array, kappa: ArrayLike) -> jax.Array:
    """Weight ``κ`` where the target is at least the prediction, else ``1 − κ``; same shape.

    Args:
        difference: target minus prediction.
        kappa: ``κ`` in ``[0.5, 1)``.

    Raises:
        ValueError: for a known ``κ`` outside ``[0.5, 1)``.
    """
    kappa = check_kappa("kappa", kappa)
    return jnp.where(difference >= 0, kappa, 1.0 - jnp.asarray(kappa))


def expectile_loss(difference: ArrayLike, kappa: ArrayLike) -> jax.Array:
    """Asymmetric squared error ``|κ − 1(c < 0)| c²`` of ``c`` = target minus prediction.

    Args:
        difference: ``c``, any shape.
        kappa: ``κ`` in ``[0.5, 1)``.

    Raises:
        ValueError: for a known ``κ`` outside ``[0.5, 1)``.

    Example:
        >>> import jax.numpy as jnp
        >>> expectile_loss(jnp.array([-2.0, 2.0]), 0.75).tolist()
        [1.0, 3.0]
    """
    c = checks.numbers("difference", difference)
    return implicit_weight(c, kappa) * jnp.square(c)


def quantile_loss(difference: ArrayLike, kappa: ArrayLike) -> jax.Array:
    """Asymmetric absolute error ``|κ − 1(c < 0)| |c|`` of ``c`` = target minus prediction.

    Args:
        difference: ``c``, any shape.
        kappa: ``κ`` in ``[0.5, 1)``.

    Raises:
        ValueError: for a known ``κ`` outside ``[0.5, 1)``.

    Example:
        >>> import jax.numpy as jnp
        >>> quantile_loss(jnp.array([-2.0, 2.0]), 0.75).tolist()
        [0.5, 1.5]
    """
    c = checks.numbers("difference", difference)
    return implicit_weight(c, kappa) * jnp.abs(c)


def binary_cross_entropy(logits: ArrayLike, target: ArrayLike) -> jax.Array:
    """Cross-entropy of ``sigmoid(logits)`` and a target in ``[0, 1]``, elementwise.

    Its minimizer over a distribution of targets is their mean, as of the squared error.

    Args:
        logits: any shape.
        target: of the same shape, or one that broadcasts to it.
    """
    logits = checks.numbers("logits", logits)
    return jax.nn.softplus(logits) - checks.numbers("target", target) * logits


def expectile_cross_entropy(logits: ArrayLike, target: ArrayLike, kappa: ArrayLike) -> jax.Array:
    """Cross-entropy with the weights of an expectile, elementwise.

    Its gradient vanishes at the expectile of the targets; the weights themselves have none.

    Args:
        logits: of the prediction.
        target: in ``[0, 1]``, broadcast to ``logits``.
        kappa: ``κ`` in ``[0.5, 1)``.

    Raises:
        ValueError: for a known ``κ`` outside ``[0.5, 1)``.

    Example:
        >>> import jax.numpy as jnp
        >>> low, high = expectile_cross_entropy(jnp.zeros(2), jnp.array([0.0, 1.0]), 0.75)
        >>> round(float(low), 3), round(float(high), 3)
        (0.173, 0.52)
    """
    logits = checks.numbers("logits", logits)
    difference = checks.numbers("target", target) - jax.lax.stop_gradient(jax.nn.sigmoid(logits))
    return implicit_weight(difference, kappa) * binary_cross_entropy(logits, target)


def check_kappa(name: str, kappa: ArrayLike) -> ArrayLike:
    """Check the level ``κ`` of an implicit maximum and return it.

    Raises:
        ValueError: for a known ``κ`` outside ``[0.5, 1)``.
    """
    checks.real(name, kappa, 0.5, below=1.0)
    return kappa
