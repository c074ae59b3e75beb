"""HAMMER: one who sees everything whispers a few numbers to many who see little.

A central messenger reads all observations and sends every agent a short private message; each
agent still chooses its own action from what it sees itself and the message. Three variants:

* :func:`messenger_ppo`: the messenger is a PPO agent of its own, paid the mean reward, and its
  Gaussian messages are its actions;
* :func:`hammer_network`, plain: messages are differentiable. In PPO's epochs they are computed
  anew, and the agents' actor losses teach the messenger (critics do not; they see what the agent
  sees);
* the same, *discretised*: a sigmoid under noise in training and a hard bit when executed.

:class:`WithMessenger` puts what the messenger sees beside what an agent sees, so the composed
policy is a :class:`jaxswarm.rl.Network` of one agent, and ``ppo(env, network)`` trains the last two
with an exact ratio. Agents share their local network, which is told who they are.
"""

from jaxswarm.systems.hammer.agent import (
    MessengerInfo,
    MessengerState,
    Sides,
    agent_sides,
    messenger_ppo,
    side,
)
from jaxswarm.systems.hammer.network import ARMS, Arm, hammer_network, with_arm
from jaxswarm.systems.hammer.world import MessengerObservation, MessengerWorld, WithMessenger

__all__ = [
    "ARMS",
    "Arm",
    "MessengerInfo",
    "MessengerObservation",
    "MessengerState",
    "MessengerWorld",
    "Sides",
    "WithMessenger",
    "agent_sides",
    "hammer_network",
    "messenger_ppo",
    "side",
    "with_arm",
]
