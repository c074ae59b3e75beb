"""Fit factors of users and items to logged watch times, by alternating ridge regressions.

Shapes: ``S`` users (the sessions of a log), ``M`` items, ``d`` factors. Works on dense ``[S, M]``
matrices on the host.

References:
    Y. Hu, Y. Koren, C. Volinsky, Collaborative filtering for implicit feedback datasets, 2008
    (alternating ridge regressions).
"""

from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.data import Interactions
from jaxswarm.envs.feed.users import standardized


class Factors(NamedTuple):
    """Fit of ``log watch = level + match_slope match + sticky_slope sticky + noise``.

    Attributes:
        topics: ``float32[M, d]``, uncorrelated, with mean 0 and standard deviation 1.
        sticky: ``float32[M]``, standardized effects of items on all users.
        tastes: ``float32[S, d]``, of norm ``√d``.
        level: mean log watch time.
        match_slope: root mean square, over users, of the deviation of the match's effect.
        sticky_slope: standard deviation of the items' effects.
        noise: standard deviation of the residuals.
    """

    topics: np.ndarray
    sticky: np.ndarray
    tastes: np.ndarray
    level: float
    match_slope: float
    sticky_slope: float
    noise: float

    @property
    def mean_watch(self) -> float:
        """Mean watch time of the log-normal model."""
        variance = self.match_slope**2 + self.sticky_slope**2 + self.noise**2
        return float(np.exp(self.level + 0.5 * variance))


def fit_log(
    log: Interactions, watch: str | int, floor: float, num_factors: int, **options: Any
) -> Factors:
    """Fit factors to the watch times of a log; see :meth:`jaxswarm.envs.FeedEnv.from_log`."""
    checks.instance("log", log, Interactions, "data.interactions(...)")
    if np.ndim(log.actions) != 2:
        raise ValueError(f"log: expected actions that are items, got {np.shape(log.actions)}")
    mask = np.asarray(log.mask)
    item = np.asarray(log.actions)[mask]
    if not len(item) or item.max() < 1:
        raise ValueError("log: expected at least two items, got fewer")
    if isinstance(watch, str):
        if watch not in log.names:
            raise ValueError(f"watch: expected one of {list(log.names)}, got {watch!r}")
        watch = log.names.index(watch)
    column = checks.index("watch", watch, log.rewards.shape[-1])
    times = np.asarray(log.rewards)[mask][:, column]
    times = np.asarray(checks.real("watch", times, 0.0, shape=(len(item),)))
    user = np.nonzero(mask)[0]
    return fit(user, item, np.log(np.maximum(times, floor)), num_factors, **options)


def fit(
    user: np.ndarray,
    item: np.ndarray,
    log_watch: np.ndarray,
    num_factors: int,
    *,
    ridge: float,
    rounds: int,
    seed: int,
) -> Factors:
    """Fit factors to rows ``(user, item, log watch time)``, each ``[R]``; repeated pairs count."""
    shape = (int(user.max()) + 1, int(item.max()) + 1)
    count, total = np.zeros(shape), np.zeros(shape)
    level = float(log_watch.mean())
    np.add.at(count, (user, item), 1.0)
    np.add.at(total, (user, item), log_watch - level)
    rng = np.random.default_rng(seed)
    tastes = np.zeros((shape[0], num_factors))
    topics = rng.standard_normal((shape[1], num_factors))
    sticky = total.sum(axis=0) / (count.sum(axis=0) + ridge)
    for _ in range(rounds):
        tastes = _solve(count, total - count * sticky, topics, ridge)
        # Items: factors and the effect on all users, the weight of a constant feature.
        known = np.concatenate([tastes, np.ones((shape[0], 1))], axis=1)
        both = _solve(count.T, total.T, known, ridge)
        topics, sticky = both[:, :-1], both[:, -1]
    mean = tastes.mean(axis=0)  # what users have in common belongs to the items
    sticky, tastes = sticky + topics @ mean, tastes - mean
    residuals = log_watch - level - sticky[item] - np.sum(tastes[user] * topics[item], axis=1)
    left, sizes, right = _product_svd(tastes, topics - topics.mean(axis=0))
    kept = min(num_factors, len(sizes))
    topics = np.zeros((shape[1], num_factors), np.float32)
    topics[:, :kept] = standardized(right[:, :kept])
    tastes = np.zeros((shape[0], num_factors))
    tastes[:, :kept] = left[:, :kept] * sizes[:kept] / np.sqrt(shape[1])
    norms = np.linalg.norm(tastes, axis=1, keepdims=True)
    return Factors(
        topics=topics,
        sticky=standardized(sticky),
        tastes=np.asarray(tastes / np.maximum(norms, 1e-12) * np.sqrt(num_factors), np.float32),
        level=level + float(sticky.mean()),
        match_slope=float(np.sqrt(np.mean(np.square(norms)))),
        sticky_slope=float(sticky.std()),
        noise=float(residuals.std()),
    )


def _product_svd(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thin singular value decomposition ``u, s, v`` of ``a bᵀ``, without forming the product."""
    left, left_core = np.linalg.qr(a)
    right, right_core = np.linalg.qr(b)
    u, s, vt = np.linalg.svd(left_core @ right_core.T)
    return left @ u[:, : len(s)], s, right @ vt[: len(s)].T


def _solve(count: np.ndarray, total: np.ndarray, known: np.ndarray, ridge: float) -> np.ndarray:
    """Ridge regressions of all rows on the known factors of the columns: ``[rows, d]``."""
    size = known.shape[1]
    squares = (known[:, :, None] * known[:, None, :]).reshape(len(known), -1)
    grams = (count @ squares).reshape(-1, size, size) + ridge * np.eye(size)
    return np.linalg.solve(grams, (total @ known)[:, :, None])[:, :, 0]
