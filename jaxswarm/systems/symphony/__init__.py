"""Symphony: an off-policy actor-critic with bounded noise and a fading replay buffer."""

from jaxswarm.systems.symphony._symphony import (
    SymphonyHyperparameters,
    SymphonyLearner,
    symphony,
    symphony_learner,
    symphony_network_for,
)

__all__ = [
    "SymphonyHyperparameters",
    "SymphonyLearner",
    "symphony",
    "symphony_learner",
    "symphony_network_for",
]
