"""Neuron matching: permute the hidden units of neighbours' networks before averaging them.

A :class:`PermutationSpec` says which axes of the parameters list the same units; a matcher finds
the permutation of a neighbour's units that fits the own ones best (:func:`activation_matching`,
:func:`weight_matching`, or :func:`no_matching`); :func:`matched_averaging` is the gossip rule that
permutes and averages, and :func:`merge_and_train` alternates it with local training.
"""

from jaxswarm.learning.matching.activations import (
    Features,
    Moments,
    captured_features,
    cross_correlation,
    features_of,
)
from jaxswarm.learning.matching.assignment import assign
from jaxswarm.learning.matching.learner import MergeInfo, merge_and_train
from jaxswarm.learning.matching.matchers import (
    Matcher,
    activation_matching,
    no_matching,
    weight_matching,
)
from jaxswarm.learning.matching.merge import (
    LocalInputs,
    SharedInputs,
    matched_averaging,
    row_weights,
)
from jaxswarm.learning.matching.spec import (
    Flattened,
    Permutations,
    PermutationSpec,
    check_permutations,
    identity,
    invert,
    permutation_spec,
    permute,
    random_permutations,
    sizes,
)

__all__ = [
    "Features",
    "Flattened",
    "LocalInputs",
    "Matcher",
    "MergeInfo",
    "Moments",
    "PermutationSpec",
    "Permutations",
    "SharedInputs",
    "activation_matching",
    "assign",
    "captured_features",
    "check_permutations",
    "cross_correlation",
    "features_of",
    "identity",
    "invert",
    "matched_averaging",
    "merge_and_train",
    "no_matching",
    "permutation_spec",
    "permute",
    "random_permutations",
    "row_weights",
    "sizes",
    "weight_matching",
]
