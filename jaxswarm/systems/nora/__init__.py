"""Optimistic actor-critics with rare switches and resets: NORA, DOUHUA and their ablations.

``learner = nora(mdp)`` on a process of :mod:`jaxswarm.rl.tabular`, run by ``simulate`` or
``rollout``, one step an episode; ``learner.init(rows)`` starts from offline data.
:func:`actor_critic` is every variant, by :class:`Settings`; :func:`swarm` is ``N`` agents that
gossip the critics' statistics.
"""

from jaxswarm.systems.nora._swarm import SwarmInfo, SwarmState, swarm
from jaxswarm.systems.nora.actor import (
    Actor,
    NoraInfo,
    NoraState,
    actor_critic,
    douhua,
    nora,
    switch_bound,
)
from jaxswarm.systems.nora.settings import SETTINGS, Settings, settings_of

__all__ = [
    "SETTINGS",
    "Actor",
    "NoraInfo",
    "NoraState",
    "Settings",
    "SwarmInfo",
    "SwarmState",
    "actor_critic",
    "douhua",
    "nora",
    "settings_of",
    "swarm",
    "switch_bound",
]
