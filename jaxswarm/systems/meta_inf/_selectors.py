"""Selectors: from past cells to scores of every method in new cells; the paper's baselines.

A selector is ``fit(train, given, seed) -> predict`` with ``predict(cells, given) -> [C, M]``, the
predicted logarithm of each method's seconds, or any score that is smaller for a better method
(:data:`RANKS_ONLY`). ``given`` are :class:`~jaxswarm.systems.meta_inf.Features`.

Shapes: ``C`` cells, ``F`` features, ``M`` methods.

References:
    S. Kadioglu et al., ISAC – instance-specific algorithm configuration, 2010.
    M. Mısır, M. Sebag, ALORS: an algorithm recommender system, 2017.
    J. Friedman, Greedy function approximation: a gradient boosting machine, 2001.
    L. Breiman, Random forests, 2001.
    L. Xu et al., SATzilla: portfolio-based algorithm selection for SAT, 2008 (static best).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.systems.meta_inf._cells import AXES, Cells
from jaxswarm.systems.meta_inf._ensemble import Training, fit_ensemble, predict
from jaxswarm.systems.meta_inf._features import Features, log_nominal, scaler

Predict = Callable[[Cells, Features], np.ndarray]
Selector = Callable[[Cells, Features, int], Predict]

RANKS_ONLY = ("random", "static best", "ISAC", "ALORS", "nearest neighbours")
"""Selectors whose scores are no predicted seconds, so that budgets cannot be checked with them."""


def relative(cells: Cells) -> np.ndarray:
    """Logarithm of seconds less its mean over the methods, ``[C, M]``."""
    logs = np.log(cells.seconds)
    return logs - logs.mean(axis=1, keepdims=True)


def level_and_relative(cells: Cells) -> np.ndarray:
    """Targets ``[C, 1 + M]``: the mean logarithm less the nominal one, and :func:`relative`."""
    level = np.log(cells.seconds).mean(axis=1) - log_nominal(cells)
    return np.concatenate([level[:, None], relative(cells)], axis=1)


def from_level(found: np.ndarray, cells: Cells) -> np.ndarray:
    """Logarithms of seconds ``[C, M]`` of predicted :func:`level_and_relative`."""
    return found[:, :1] + found[:, 1:] + log_nominal(cells)[:, None]


def random_choice(train: Cells, given: Features, seed: int) -> Predict:
    """A method at random in each cell."""
    shape = len(train.methods)
    return lambda cells, _: np.random.default_rng(seed).random((len(cells), shape))


def static_best(train: Cells, given: Features, seed: int) -> Predict:
    """The method that is best on average over the training cells (the expert's choice)."""
    mean = relative(train).mean(axis=0)
    return lambda cells, _: np.tile(mean, (len(cells), 1))


def oracle(train: Cells, given: Features, seed: int) -> Predict:
    """The seconds themselves; an upper bound, no method."""
    return lambda cells, _: np.log(cells.seconds)


def nearest_neighbours(neighbours: int = 9) -> Selector:
    """Mean of the nearest training cells in standardized features."""
    checks.whole("neighbours", neighbours, 1)

    def fit(train: Cells, given: Features, seed: int) -> Predict:
        from sklearn.neighbors import KNeighborsRegressor

        scale = scaler(given)
        model = KNeighborsRegressor(min(neighbours, len(train)))
        model.fit(scale(given), relative(train))
        return lambda cells, new: model.predict(scale(new))

    return fit


def isac(clusters: int = 128) -> Selector:
    """ISAC: clusters of training cells; a new cell gets the best method of the nearest cluster."""
    checks.whole("clusters", clusters, 1)

    def fit(train: Cells, given: Features, seed: int) -> Predict:
        from sklearn.cluster import KMeans

        scale = scaler(given)
        model = KMeans(min(clusters, len(train)), n_init=1, random_state=seed)  # pyright: ignore[reportArgumentType]
        members = model.fit_predict(scale(given))
        rows = relative(train)
        means = np.stack([rows[members == c].mean(axis=0) for c in range(model.n_clusters)])
        return lambda cells, new: means[model.predict(scale(new))]

    return fit


def alors(rank: int = 3, trees: int = 24) -> Selector:
    """ALORS: factors of the matrix of cells and methods; a random forest maps features to them."""
    checks.whole("rank", rank, 1)
    checks.whole("trees", trees, 1)

    def fit(train: Cells, given: Features, seed: int) -> Predict:
        from sklearn.ensemble import RandomForestRegressor

        scale = scaler(given)
        rows = relative(train)
        offset = rows.mean(axis=0)
        left, values, right = np.linalg.svd(rows - offset, full_matrices=False)
        k = min(rank, len(values))
        factors = left[:, :k] * values[:k]
        model = RandomForestRegressor(trees, max_features=1 / 3, random_state=seed)
        model.fit(scale(given), factors if k > 1 else factors[:, 0])

        def scores(cells: Cells, new: Features) -> np.ndarray:
            return model.predict(scale(new)).reshape(len(cells), k) @ right[:k] + offset

        return scores

    return fit


def random_forest(trees: int = 24, min_leaf: int = 1) -> Selector:
    """A random forest that predicts all methods' seconds from the features."""
    checks.whole("trees", trees, 1)
    checks.whole("min_leaf", min_leaf, 1)

    def fit(train: Cells, given: Features, seed: int) -> Predict:
        from sklearn.ensemble import RandomForestRegressor

        scale = scaler(given)
        targets = level_and_relative(train)
        width = targets.std(axis=0) + 1e-9
        model = RandomForestRegressor(
            trees, max_features=1 / 3, min_samples_leaf=min_leaf, random_state=seed
        )
        model.fit(scale(given), targets / width)

        def scores(cells: Cells, new: Features) -> np.ndarray:
            found = model.predict(scale(new)) * width
            return from_level(found, cells)

        return scores

    return fit


def gradient_boosting(
    rounds: int = 16, leaves: int = 4, learning_rate: float = 0.4, *, identities: bool = False
) -> Selector:
    """Histogram gradient boosting of each method's seconds, the paper's kind of regressor.

    Args:
        rounds: trees of each target.
        leaves: of a tree, at most.
        learning_rate: of the boosting.
        identities: in place of the meta-features take which device, model and workload a cell has.
    """
    checks.whole("rounds", rounds, 1)
    checks.whole("leaves", leaves, 2)
    checks.real("learning_rate", learning_rate, above=0.0)
    checks.flag("identities", identities)

    def fit(train: Cells, given: Features, seed: int) -> Predict:
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits  # of scikit-learn

        scale = scaler(given)
        known = [sorted({m.name for m in _present(train, axis)}) for axis in AXES]

        def inputs(cells: Cells, new: Features) -> np.ndarray:
            if not identities:
                return scale(new)
            names = [[cells.members(axis)[i].name for i in cells.index[:, a]]
                     for a, axis in enumerate(AXES)]  # fmt: skip
            hot = [np.array(own)[:, None] == np.array(all_) for own, all_ in
                   zip(names, known, strict=True)]  # fmt: skip
            return np.concatenate(hot, axis=1).astype(np.float32)

        x = inputs(train, given)
        targets = level_and_relative(train)
        with threadpool_limits(1, user_api="openmp"):  # threads that spin cost more than they do
            models = [
                HistGradientBoostingRegressor(
                    max_iter=rounds, max_leaf_nodes=leaves, learning_rate=learning_rate,
                    early_stopping=False,  # pyright: ignore[reportArgumentType]
                    min_samples_leaf=10, max_bins=32, random_state=seed,
                ).fit(x, target)
                for target in targets.T
            ]  # fmt: skip

        def scores(cells: Cells, new: Features) -> np.ndarray:
            rows = inputs(cells, new)
            with threadpool_limits(1, user_api="openmp"):
                found = np.stack([model.predict(rows) for model in models], axis=1)
            return from_level(found, cells)

        return scores

    return fit


_fit_ensemble = jax.jit(fit_ensemble, static_argnames=("training",))
_predict = jax.jit(predict)


DEFAULT = Training()


def ensemble(training: Training = DEFAULT) -> Selector:
    """MetaInf with an ensemble of flax networks on the meta-features."""
    checks.instance("training", training, Training, "meta_inf.Training()")

    def fit(train: Cells, given: Features, seed: int) -> Predict:
        scale = scaler(given)
        logs = np.log(train.seconds) - log_nominal(train)[:, None]
        logs = jnp.asarray(logs, jnp.float32)
        fitted = _fit_ensemble(jax.random.key(seed), jnp.asarray(scale(given)), logs, training)

        def scores(cells: Cells, new: Features) -> np.ndarray:
            found = _predict(fitted, jnp.asarray(scale(new))).mean(axis=0)
            return np.asarray(found, np.float64) + log_nominal(cells)[:, None]

        return scores

    return fit


SELECTORS: Mapping[str, Selector] = MappingProxyType(
    {
        "random": random_choice,
        "static best": static_best,
        "nearest neighbours": nearest_neighbours(),
        "ISAC": isac(),
        "ALORS": alors(),
        "random forest": random_forest(),
        "gradient boosting": gradient_boosting(),
        "gradient boosting, identities": gradient_boosting(
            leaves=8, learning_rate=0.2, identities=True
        ),
        "MetaInf": ensemble(),
        "oracle": oracle,
    }
)
"""Selectors by name with their default numbers."""


def _present(cells: Cells, axis: str) -> list[Any]:
    return [cells.members(axis)[i] for i in np.unique(cells.index[:, AXES.index(axis)])]
