"""SL-MGAC: insert a live stream or not, by supervised reward heads, user groups, and bootstrapping.

``rows = log_rows(log, group, bins, num_groups=4)`` checks a log, ``learner = sl_mgac(network,
calibrated(rows))`` makes the learner, ``fit`` trains it, ``learner.act`` is the policy.
:data:`SETTINGS` names its ablations and the baselines DQN and discrete SAC, which are switches of
the same update. ``two_hot`` encodes watch times, ``exposure_cost``, ``insertion_reward`` and
``constraint_margin`` are our reading of the paper's reward and constraint.
"""

from jaxswarm.systems.sl_mgac._constraint import (
    constraint_margin,
    exposure_cost,
    insertion_reward,
    log_returns,
)
from jaxswarm.systems.sl_mgac._learner import (
    SETTINGS,
    Hyperparameters,
    Learner,
    LearnerState,
    calibrated,
    fit,
    offline,
    settings_of,
    sl_mgac,
)
from jaxswarm.systems.sl_mgac._network import GroupNetwork, group_heads, group_network
from jaxswarm.systems.sl_mgac._rows import LogBatch, LogRows, log_rows, sample_rows
from jaxswarm.systems.sl_mgac._two_hot import expected_value, log_bins, num_clipped, two_hot

__all__ = [
    "SETTINGS",
    "GroupNetwork",
    "Hyperparameters",
    "Learner",
    "LearnerState",
    "LogBatch",
    "LogRows",
    "calibrated",
    "constraint_margin",
    "expected_value",
    "exposure_cost",
    "fit",
    "group_heads",
    "group_network",
    "insertion_reward",
    "log_bins",
    "log_returns",
    "log_rows",
    "num_clipped",
    "offline",
    "sample_rows",
    "settings_of",
    "sl_mgac",
    "two_hot",
]
