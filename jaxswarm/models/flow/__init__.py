"""Flow matching and diffusion models: paths, velocities, samplers, closed forms and metrics.

One time convention: ``t = 0`` is noise, ``t = 1`` is data. ``flow.from_network(flow.MLP(), (2,))``
gives a :class:`Flow`; ``flow.loss`` trains it, ``flow.field`` and ``flow.sample`` draw from it,
``flow.marginal_velocity`` is the exact field of a finite data set. ``flow.reverse_time`` and
``flow.from_ddpm`` convert models of other conventions. The exponential moving average of parameters
is ``optax.incremental_update``.
"""

from jaxswarm.models.flow.classifier import Classifier, train_classifier
from jaxswarm.models.flow.closed_form import cluster_posterior, marginal_velocity, posterior
from jaxswarm.models.flow.conventions import (
    ddpm_index,
    ddpm_path,
    ddpm_time,
    from_ddpm,
    reverse_time,
)
from jaxswarm.models.flow.metrics import (
    PrecisionRecall,
    energy_distance,
    frechet_distance,
    mode_counts,
    precision_recall,
)
from jaxswarm.models.flow.model import (
    Field,
    Flow,
    check_condition,
    check_model,
    check_samples,
    field,
    from_functions,
    from_network,
    guided,
)
from jaxswarm.models.flow.networks import MLP, Conditioning, DiT, UNet, time_features
from jaxswarm.models.flow.objectives import Noised, loss, losses, losses_at, noised
from jaxswarm.models.flow.paths import (
    Path,
    check_path,
    check_times,
    cosine_path,
    linear_path,
    path_from,
)
from jaxswarm.models.flow.predictions import PREDICTIONS, QUANTITIES, convert
from jaxswarm.models.flow.solvers import METHODS, integrate, sample, trajectory

__all__ = [
    "METHODS",
    "MLP",
    "PREDICTIONS",
    "QUANTITIES",
    "Classifier",
    "Conditioning",
    "DiT",
    "Field",
    "Flow",
    "Noised",
    "Path",
    "PrecisionRecall",
    "UNet",
    "check_condition",
    "check_model",
    "check_path",
    "check_samples",
    "check_times",
    "cluster_posterior",
    "convert",
    "cosine_path",
    "ddpm_index",
    "ddpm_path",
    "ddpm_time",
    "energy_distance",
    "field",
    "frechet_distance",
    "from_ddpm",
    "from_functions",
    "from_network",
    "guided",
    "integrate",
    "linear_path",
    "loss",
    "losses",
    "losses_at",
    "marginal_velocity",
    "mode_counts",
    "noised",
    "path_from",
    "posterior",
    "precision_recall",
    "reverse_time",
    "sample",
    "time_features",
    "train_classifier",
    "trajectory",
]
