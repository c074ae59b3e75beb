"""Value decomposition: joint values of a team from its agents' values (VDN, QMIX, MO-MIX).

``value_network_for(env, mixer, objectives=m)`` makes recurrent agents, conditioned on a preference
where there are several objectives, and a mixer; ``initial_params`` draws their weights;
``value_learner`` trains them, ``rl.vdn``, ``rl.qmix`` and ``rl.mo_mix`` under their usual names.
``objective_returns`` plays a team greedily under many preferences at once, ``igm_violations``
counts where the agents' own choices miss the best joint action, ``gaps`` finds gaps of a front.
"""

from jaxswarm.rl.value_decomposition._igm import IGMReport, igm_violations
from jaxswarm.rl.value_decomposition._learner import (
    ValueHyperparameters,
    ValueInfo,
    ValueState,
    value_learner,
)
from jaxswarm.rl.value_decomposition._named import independent_q, mo_mix, qmix, vdn
from jaxswarm.rl.value_decomposition.episodes import Episodes, objective_returns
from jaxswarm.rl.value_decomposition.loss import td_loss
from jaxswarm.rl.value_decomposition.mixers import Mixer, additive, independent, monotonic
from jaxswarm.rl.value_decomposition.networks import (
    ValueNetwork,
    initial_params,
    value_network,
    value_network_for,
)
from jaxswarm.rl.value_decomposition.preferences import Gaps, gaps, preference_grid

__all__ = [
    "Episodes",
    "Gaps",
    "IGMReport",
    "Mixer",
    "ValueHyperparameters",
    "ValueInfo",
    "ValueNetwork",
    "ValueState",
    "additive",
    "gaps",
    "igm_violations",
    "independent",
    "independent_q",
    "initial_params",
    "mo_mix",
    "monotonic",
    "objective_returns",
    "preference_grid",
    "qmix",
    "td_loss",
    "value_learner",
    "value_network",
    "value_network_for",
    "vdn",
]
