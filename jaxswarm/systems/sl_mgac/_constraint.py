"""The reward with an exposure cost, and the constraint on usage.

The paper's reward formula is not public. Our reading: an insertion earns the live watch time less
an exposure cost, the short-video time that insertions displace; a Lagrange term adds the time of
short videos, whose total falls where insertions make users leave. It adds the displaced time back,
which the exposure cost has already charged.

Shapes: ``B`` rows, ``G`` groups, ``R`` rows of a log.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.systems.sl_mgac._rows import LogRows
from jaxswarm.types import ArrayLike


def insertion_reward(
    action: jax.Array, times: jax.Array, cost: ArrayLike, multiplier: ArrayLike
) -> jax.Array:
    """Reward ``a (w_live − c) + λ (w_short + a c)`` of requests, ``[…]``; the usage if ``λ = 1``.

    Args:
        action: ``[…]``, 0 or 1.
        times: ``[…, 2]``, watch times (short, live).
        cost: ``c``, of one or of each request.
        multiplier: ``λ``, at least 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.systems import sl_mgac
        >>> times = jnp.array([[1.0, 0.0], [0.5, 3.0]])
        >>> sl_mgac.insertion_reward(jnp.array([0, 1]), times, 0.5, 1.0).tolist()
        [1.0, 3.5]
    """
    gain = times[..., 1] - cost + multiplier * cost
    return jnp.where(action == 1, gain, 0.0) + multiplier * times[..., 0]


def exposure_cost(rows: LogRows) -> np.ndarray:
    """Estimate the short-video time that an insertion displaces in each group, ``float32[G]``.

    Mean short watch time without minus with an insertion, each row weighted by the inverse of its
    propensity (self-normalized); 0 where the estimate is negative.

    Raises:
        ValueError: if the log of a group lacks one of the actions.
    """
    checks.instance("rows", rows, LogRows, "sl_mgac.log_rows(...)")
    action, group = np.asarray(rows.action), np.asarray(rows.group)
    short, weight = np.asarray(rows.times)[:, 0], 1.0 / np.asarray(rows.propensity, np.float64)
    means = np.zeros((2, len(rows.starts)))
    for a in (0, 1):
        chosen = np.bincount(group, weight * (action == a), minlength=len(rows.starts))
        if (chosen == 0.0).any():
            raise ValueError(
                f"rows: expected both actions in each group, got no action {a} in group "
                f"{int(np.argmin(chosen))}"
            )
        means[a] = np.bincount(group, weight * (action == a) * short) / chosen
    return np.maximum(means[0] - means[1], 0.0).astype(np.float32)


def log_returns(
    rows: LogRows,
    *,
    cost: ArrayLike,
    multiplier: float = 1.0,
    discount: float = 0.98,
    night_discount: float = 0.95,
) -> np.ndarray:
    """Discounted returns from each row to the end of its session, ``float32[R]``.

    Args:
        rows: of a log.
        cost: exposure cost, one number or ``[G]``.
        multiplier: of the short-video time.
        discount: from one request to the next of the same day, in ``[0, 1]``.
        night_discount: from the last request of a day to the first of the next.

    Raises:
        ValueError: for numbers out of range.
    """
    checks.instance("rows", rows, LogRows, "sl_mgac.log_rows(...)")
    checks.probability("discount", discount)
    checks.probability("night_discount", night_discount)
    checks.real("multiplier", multiplier, 0.0)
    costs = np.broadcast_to(
        np.asarray(checks.real("cost", cost, 0.0, shape=None)), rows.starts.shape
    )
    times, step = np.asarray(rows.times), np.asarray(rows.step)
    gain = times[:, 1] - (1.0 - multiplier) * costs[np.asarray(rows.group)]
    total = np.where(np.asarray(rows.action) == 1, gain, 0.0) + multiplier * times[:, 0]
    factor = np.where(rows.last, 0.0, np.where(rows.night, night_discount, discount))
    for t in range(int(step.max()) - 1, -1, -1):
        at = np.flatnonzero((step == t) & ~np.asarray(rows.last))
        total[at] += factor[at] * total[at + 1]
    return total.astype(np.float32)


def constraint_margin(usage: ArrayLike, baseline: ArrayLike, delta: float) -> np.ndarray:
    """Margin ``usage / baseline − (1 − δ)`` of the usage constraint, at least 0 where it holds.

    Args:
        usage: watch time of users under the policy.
        baseline: watch time without insertions, above 0; of the same shape or one number.
        delta: ``δ`` in ``[0, 1)``, the share of usage that may be lost.

    Raises:
        ValueError: naming the argument.

    Example:
        >>> from jaxswarm.systems import sl_mgac
        >>> float(sl_mgac.constraint_margin(9.0, 10.0, 0.25))
        0.15
    """
    checks.real("delta", delta, 0.0, below=1.0)
    checks.real("baseline", baseline, above=0.0, shape=None)
    checks.real("usage", usage, 0.0, shape=None)
    return np.round(np.asarray(usage) / np.asarray(baseline) - (1.0 - delta), 12)
