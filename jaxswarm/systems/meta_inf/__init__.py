"""MetaInf: meta-learnt choice of an inference acceleration for unseen devices, models, workloads.

``meta_inf.fit(cells).choose(workload, model, device, budget)`` chooses once, without a trial run.
Cells come from :func:`measure_cells` (real serving, timed) or from :func:`simulate_cells` (roofline
model with queueing); :func:`held_out_scores` compares selectors on members that are left out.
"""

from jaxswarm.systems.meta_inf._cells import AXES, Cells, load, save, table
from jaxswarm.systems.meta_inf._ensemble import (
    Fitted,
    Training,
    fit_ensemble,
    fit_gossip,
    predict,
)
from jaxswarm.systems.meta_inf._evaluation import (
    Quality,
    check_unseen,
    fit_and_predict,
    held_out_scores,
    leave_one_out,
    quality,
    within_budget,
)
from jaxswarm.systems.meta_inf._features import (
    FEATURES_VERSION,
    Features,
    Scaler,
    features,
    log_nominal,
    scaler,
)
from jaxswarm.systems.meta_inf._fit import Fit, check_fit, fit_efficiency
from jaxswarm.systems.meta_inf._measure import measure_cells, software
from jaxswarm.systems.meta_inf._meta import Choice, MetaInf, fit
from jaxswarm.systems.meta_inf._roofline import Efficiency
from jaxswarm.systems.meta_inf._selectors import (
    RANKS_ONLY,
    SELECTORS,
    Selector,
    alors,
    ensemble,
    gradient_boosting,
    isac,
    nearest_neighbours,
    random_forest,
)
from jaxswarm.systems.meta_inf._simulate import simulate_cells
from jaxswarm.systems.meta_inf._specs import Device, Model, Workload, model_of
from jaxswarm.systems.meta_inf._world import FULL_GRID, PORTFOLIO, World, draw_world

__all__ = [
    "AXES",
    "Cells",
    "Choice",
    "Device",
    "Efficiency",
    "FEATURES_VERSION",
    "FULL_GRID",
    "Features",
    "Fit",
    "Fitted",
    "MetaInf",
    "Model",
    "PORTFOLIO",
    "Quality",
    "RANKS_ONLY",
    "SELECTORS",
    "Selector",
    "Scaler",
    "Training",
    "Workload",
    "World",
    "alors",
    "check_fit",
    "check_unseen",
    "draw_world",
    "ensemble",
    "features",
    "fit",
    "fit_efficiency",
    "fit_and_predict",
    "fit_ensemble",
    "fit_gossip",
    "gradient_boosting",
    "held_out_scores",
    "isac",
    "leave_one_out",
    "load",
    "log_nominal",
    "measure_cells",
    "model_of",
    "nearest_neighbours",
    "predict",
    "quality",
    "random_forest",
    "save",
    "scaler",
    "simulate_cells",
    "software",
    "table",
    "within_budget",
]
