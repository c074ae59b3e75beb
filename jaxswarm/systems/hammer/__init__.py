"""HAMMER: learned messages from a central agent to local agents with limited observations.

A central agent observes everything and sends every local agent a short private message; each local
agent chooses its action from its own observation and the message. Three variants:

* :func:`central_agent_ppo`: the central agent is a PPO agent of its own, its reward is the mean of
  the agents' rewards, and its Gaussian messages are its actions;
* :func:`hammer_network` with continuous messages: these are differentiable. PPO's epochs recompute
  them, and the local agents' actor losses train the central agent (critics do not; they see the
  local observation);
* the same with *discretized* messages: a sigmoid under noise in training and a bit in execution.

:class:`HammerEnvironment` puts the central agent's observation beside the local one, so the
composed policy is a :class:`jaxswarm.rl.Network` of one agent, and ``ppo(env, network)`` trains the
last two with an exact ratio. Local agents share their network, which gets their one-hot ids.
"""

from jaxswarm.systems.hammer.central_agent import (
    CentralAgentInfo,
    CentralAgentNetworks,
    CentralAgentState,
    central_agent_networks,
    central_agent_ppo,
    part_of,
)
from jaxswarm.systems.hammer.environment import (
    HammerEnvironment,
    HammerObservation,
    HammerWorld,
)
from jaxswarm.systems.hammer.network import (
    MESSAGE_KINDS,
    MessageKind,
    hammer_network,
    with_message_kind,
)

__all__ = [
    "MESSAGE_KINDS",
    "CentralAgentInfo",
    "CentralAgentNetworks",
    "CentralAgentState",
    "HammerEnvironment",
    "HammerObservation",
    "HammerWorld",
    "MessageKind",
    "central_agent_networks",
    "central_agent_ppo",
    "hammer_network",
    "part_of",
    "with_message_kind",
]
