"""Merging networks whose units are in different orders: match them first, then average.

A :class:`PermutationSpec` says which axes of the parameters list the same units; a matcher finds
which unit of a neighbour plays the part of which of one's own (:func:`activation_matching`,
:func:`weight_matching`, or :func:`unmatched`); :func:`matched_averaging` is the gossip rule that
permutes and averages, and :func:`merge_and_train` alternates it with local training.
"""

from jaxswarm.learning.matching.activations import (
    Features,
    Moments,
    captured,
    cross_correlation,
    features_of,
)
from jaxswarm.learning.matching.assignment import assign
from jaxswarm.learning.matching.learner import MergeInfo, merge_and_train
from jaxswarm.learning.matching.matchers import (
    Matcher,
    activation_matching,
    unmatched,
    weight_matching,
)
from jaxswarm.learning.matching.merge import Local, Proxy, matched_averaging, row_weights
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
    "Local",
    "Matcher",
    "MergeInfo",
    "Moments",
    "PermutationSpec",
    "Permutations",
    "Proxy",
    "activation_matching",
    "assign",
    "captured",
    "check_permutations",
    "cross_correlation",
    "features_of",
    "identity",
    "invert",
    "matched_averaging",
    "merge_and_train",
    "permutation_spec",
    "permute",
    "random_permutations",
    "row_weights",
    "sizes",
    "unmatched",
    "weight_matching",
]
