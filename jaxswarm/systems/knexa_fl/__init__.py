"""KNEXA-FL: a bandit that pairs teachers with students among language agents by profiles alone.

``knexa_fl.knexa(team, optimizer, num_pairs=3, …)`` runs it for a :func:`team` of language agents;
``knexa_fl.matchmaker`` is the bandit with disjoint pairs alone, for features of your own.
"""

from jaxswarm.systems.knexa_fl._data import KnexaData, check_data
from jaxswarm.systems.knexa_fl._distillation import (
    Transfer,
    check_disjoint,
    distillation_loss,
    vote,
)
from jaxswarm.systems.knexa_fl._features import (
    FEATURES,
    NUM_FEATURES,
    PAIR_TERMS,
    History,
    empty_history,
    pair_features,
)
from jaxswarm.systems.knexa_fl._knexa import (
    KnexaInfo,
    KnexaState,
    knexa,
)
from jaxswarm.systems.knexa_fl._matching import (
    Pairs,
    greedy_matching,
    matching_value,
    optimal_matching,
    random_matching,
)
from jaxswarm.systems.knexa_fl._matchmaker import (
    Matchmaker,
    MatchmakerState,
    Moments,
    check_sums,
    matchmaker,
    transfer_reward,
)
from jaxswarm.systems.knexa_fl._policies import POLICIES
from jaxswarm.systems.knexa_fl._profiles import (
    NUM_BINS,
    NUM_FAMILIES,
    NUM_SCORES,
    PROFILE_SIZE,
    ProfileParts,
    check_profiles,
    js_divergence,
    make_profiles,
    split_profiles,
)
from jaxswarm.systems.knexa_fl._team import (
    Team,
    mean_probabilities,
    solution_losses,
    team,
    team_texts,
)

__all__ = [
    "FEATURES",
    "NUM_BINS",
    "NUM_FAMILIES",
    "NUM_FEATURES",
    "NUM_SCORES",
    "PAIR_TERMS",
    "POLICIES",
    "PROFILE_SIZE",
    "History",
    "KnexaData",
    "KnexaInfo",
    "KnexaState",
    "Matchmaker",
    "MatchmakerState",
    "Moments",
    "Pairs",
    "ProfileParts",
    "Team",
    "Transfer",
    "check_data",
    "check_disjoint",
    "check_profiles",
    "check_sums",
    "distillation_loss",
    "empty_history",
    "greedy_matching",
    "js_divergence",
    "knexa",
    "make_profiles",
    "matching_value",
    "matchmaker",
    "mean_probabilities",
    "optimal_matching",
    "pair_features",
    "random_matching",
    "solution_losses",
    "split_profiles",
    "team",
    "team_texts",
    "transfer_reward",
    "vote",
]
