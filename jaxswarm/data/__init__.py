"""Data sets, partitions over agents (IID and non-IID), and per-agent batches inside ``jit``.

:func:`load` gives a train/test split; a partitioner such as :func:`dirichlet_over_agents` assigns
the training rows to ``N`` agents as padded index arrays; :func:`shards` joins the two into a pytree
for a jitted step; a sampler such as ``minibatches(16)`` turns a key and the shards into one batch
per agent. Synthetic problems such as :func:`quadratics` come with their optimum;
:func:`gaussian_mixture` and :func:`sprites` draw samples for generative models inside ``jit``.
"""

from jaxswarm.data import tokenizers, verifiable
from jaxswarm.data._interactions import Interactions, interactions, load_interactions
from jaxswarm.data._movielens import movielens
from jaxswarm.data._sprites import SPRITES, sprites
from jaxswarm.data.batches import (
    Batch,
    Sampler,
    Shards,
    epoch_batches,
    full_batches,
    minibatches,
    shards,
    stacked,
)
from jaxswarm.data.dataset import Dataset, Split, from_arrays, split_by_class, standardized
from jaxswarm.data.datasets import load
from jaxswarm.data.dealing import PARTITIONERS, deal
from jaxswarm.data.files import load_files, read_idx
from jaxswarm.data.mixtures import (
    circle_modes,
    gaussian_grid,
    gaussian_mixture,
    grid_modes,
)
from jaxswarm.data.partition import Partition, from_owners, from_rows, truncated, without_data
from jaxswarm.data.partitioners import (
    consecutive_classes,
    dirichlet_over_agents,
    dirichlet_over_classes,
    disjoint_classes,
    iid,
    label_shards,
)
from jaxswarm.data.poisoning import (
    DataAttack,
    attack_score,
    backdoor,
    flip_all,
    flip_pair,
    poisoned,
    square_patch,
    stamp,
)
from jaxswarm.data.resampling import ClassShards, class_batches, class_distributions, class_shards
from jaxswarm.data.samples import as_classes, from_samples
from jaxswarm.data.skew import FeatureSkew, feature_skew, quantity_skew, with_feature_skew
from jaxswarm.data.synthetic import (
    Problem,
    Quadratic,
    gaussian_blobs,
    linear_regression,
    logistic_regression,
    quadratics,
)

__all__ = [
    "Interactions",
    "interactions",
    "load_interactions",
    "PARTITIONERS",
    "Batch",
    "ClassShards",
    "DataAttack",
    "Dataset",
    "FeatureSkew",
    "Partition",
    "Problem",
    "Quadratic",
    "Sampler",
    "Shards",
    "SPRITES",
    "Split",
    "as_classes",
    "attack_score",
    "backdoor",
    "circle_modes",
    "class_batches",
    "class_distributions",
    "class_shards",
    "consecutive_classes",
    "deal",
    "dirichlet_over_agents",
    "dirichlet_over_classes",
    "disjoint_classes",
    "epoch_batches",
    "feature_skew",
    "flip_all",
    "flip_pair",
    "from_arrays",
    "from_owners",
    "from_rows",
    "from_samples",
    "full_batches",
    "gaussian_blobs",
    "gaussian_grid",
    "gaussian_mixture",
    "grid_modes",
    "iid",
    "label_shards",
    "linear_regression",
    "load",
    "load_files",
    "logistic_regression",
    "minibatches",
    "movielens",
    "poisoned",
    "quadratics",
    "quantity_skew",
    "read_idx",
    "shards",
    "split_by_class",
    "sprites",
    "square_patch",
    "stacked",
    "stamp",
    "standardized",
    "tokenizers",
    "truncated",
    "verifiable",
    "with_feature_skew",
    "without_data",
]
