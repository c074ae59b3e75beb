"""Selection accuracies of four settings of each meta-learner on pilot worlds.

``tuning.run()`` returns the table from which the defaults of
:mod:`jaxswarm.systems.meta_inf` were taken: the same worlds, the same number of settings and the
same criterion (mean accuracy on devices that are left out) for all. The recorded run never uses
these worlds.
"""

import numpy as np

from experiments.meta_inf import arms
from experiments.meta_inf.config import SCALES
from jaxswarm.systems import meta_inf

PILOT = (1000, 1001, 1002)
"""Seeds of the pilot's worlds."""

BOOSTING = ((4, 0.2), (4, 0.4), (8, 0.2), (8, 0.4))
"""Leaves and learning rates."""

GRIDS: dict[str, dict[str, meta_inf.Selector]] = {
    "nearest neighbours": {f"{k} neighbours": meta_inf.nearest_neighbours(k) for k in (1, 3, 5, 9)},
    "ISAC": {f"{k} clusters": meta_inf.isac(k) for k in (16, 32, 64, 128)},
    "ALORS": {f"rank {k}": meta_inf.alors(k) for k in (1, 2, 3, 5)},
    "random forest": {f"{k} cells in a leaf": meta_inf.random_forest(min_leaf=k)
                      for k in (1, 2, 4, 8)},
    **{name: {f"{leaves} leaves, rate {rate}": meta_inf.gradient_boosting(
        leaves=leaves, learning_rate=rate, identities=identities) for leaves, rate in BOOSTING}
       for name, identities in (("gradient boosting", False), (arms.IDENTITIES, True))},
}  # fmt: skip
"""Settings of the classical learners."""

DECAYS = (0.01, 0.1, 0.3, 1.0)
"""Weight decays of MetaInf's networks."""


def run() -> dict[str, dict[str, float]]:
    """Mean selection accuracy over the pilot's worlds by learner and setting."""
    import jax

    config = SCALES["small"]
    tables = [arms.draw(config, seed) for seed in PILOT]
    given = [meta_inf.features(cells) for cells in tables]
    best = np.stack([cells.best for cells in tables])
    found: dict[str, dict[str, float]] = {}
    for name, settings in GRIDS.items():
        found[name] = {}
        for setting, selector in settings.items():
            scores = [
                meta_inf.held_out_scores(selector, cells, x, seed=s)
                for s, (cells, x) in enumerate(zip(tables, given, strict=True))
            ]
            found[name][setting] = float((np.stack(scores).argmin(axis=2) == best).mean())
    found[arms.METAINF] = {}
    for decay in DECAYS:
        training = arms.training_of(config, weight_decay=decay)
        logs = arms.held_out(jax.random.key(PILOT[0]), tables, given, training).mean(axis=0)
        found[arms.METAINF][f"weight decay {decay}"] = float((logs.argmin(axis=2) == best).mean())
    return found
