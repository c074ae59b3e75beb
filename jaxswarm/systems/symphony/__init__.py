"""Symphony: an off-policy actor-critic with bounded noise and replay of mostly recent items.

The regularizer ``swaddling``, ``split_outputs`` of the actor, the noise's standard deviation
``NOISE`` and the optimizer are exported for experiments that look at them.
"""

from jaxswarm.systems.symphony._symphony import (
    SymphonyHyperparameters,
    SymphonyState,
    adam_without_bias_correction,
    symphony,
    symphony_learner,
)
from jaxswarm.systems.symphony.losses import split_outputs, swaddling
from jaxswarm.systems.symphony.network import NOISE, symphony_network_for

__all__ = [
    "NOISE",
    "SymphonyHyperparameters",
    "SymphonyState",
    "adam_without_bias_correction",
    "split_outputs",
    "swaddling",
    "symphony",
    "symphony_learner",
    "symphony_network_for",
]
