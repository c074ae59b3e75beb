"""Curricula of levels: which levels reinforcement learning trains on, and where they come from.

A level is a pytree that an environment's physics hold (:func:`with_levels` gives one to any
environment). :func:`level_curriculum` is one training loop; its named choices are
:func:`uniform_replay`, :func:`domain_randomization`, :func:`plr`, :func:`robust_plr`,
:func:`accel` and :func:`dred`. :class:`LevelBuffer` holds levels with scores; ``replay_weights``,
``sample_levels``, ``update_levels`` and ``insert_levels`` are pure functions of it.
:func:`level_information` measures what a representation tells about its level.
"""

from jaxswarm.rl.curriculum._buffer import (
    LevelBuffer,
    ReplayHyperparameters,
    grounded_score,
    insert_levels,
    level_buffer,
    replay_weights,
    sample_levels,
    update_levels,
)
from jaxswarm.rl.curriculum._generators import (
    LevelGenerator,
    edited_levels,
    interpolated_levels,
    mixed_levels,
    random_levels,
)
from jaxswarm.rl.curriculum._information import LevelInformation, level_information
from jaxswarm.rl.curriculum._levels import (
    LevelEnvironment,
    LevelPhysics,
    evaluate_levels,
    level_params,
    with_levels,
)
from jaxswarm.rl.curriculum._loop import (
    CurriculumInfo,
    CurriculumState,
    level_curriculum,
    replayed_levels,
)
from jaxswarm.rl.curriculum._methods import (
    METHODS,
    accel,
    domain_randomization,
    dred,
    plr,
    robust_plr,
    uniform_replay,
)
from jaxswarm.rl.curriculum._scores import (
    SCORES,
    EpisodeReturns,
    episode_returns,
    level_scores,
    max_monte_carlo,
    positive_value_loss,
    regret,
    value_l1,
)
from jaxswarm.rl.curriculum._weights import (
    proportional_weights,
    rank_weights,
    staleness_weights,
)

__all__ = [
    "METHODS",
    "SCORES",
    "CurriculumInfo",
    "CurriculumState",
    "EpisodeReturns",
    "LevelBuffer",
    "LevelEnvironment",
    "LevelGenerator",
    "LevelInformation",
    "LevelPhysics",
    "ReplayHyperparameters",
    "accel",
    "domain_randomization",
    "dred",
    "edited_levels",
    "episode_returns",
    "evaluate_levels",
    "grounded_score",
    "insert_levels",
    "interpolated_levels",
    "level_buffer",
    "level_curriculum",
    "level_information",
    "level_params",
    "level_scores",
    "max_monte_carlo",
    "mixed_levels",
    "plr",
    "positive_value_loss",
    "proportional_weights",
    "random_levels",
    "rank_weights",
    "regret",
    "replay_weights",
    "replayed_levels",
    "robust_plr",
    "sample_levels",
    "staleness_weights",
    "uniform_replay",
    "update_levels",
    "value_l1",
    "with_levels",
]
