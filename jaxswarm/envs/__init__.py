"""Environments with an agents axis: jumanji's interface, N agents on axis 0 of every leaf.

A world writes ``start``, ``advance`` and ``observe``; :class:`SwarmEnvironment` makes the jumanji
environment. ``Vmapped`` and ``AutoReset`` run many episodes, ``unroll`` lets a policy act, and
``conformance.check`` holds any environment, yours too, to the same laws. Importing this room
imports jumanji, which takes seconds.
"""

from jaxswarm.envs import in_notebooks  # isort: skip  # before anything imports jumanji
from jaxswarm.envs import conformance, swarmbench
from jaxswarm.envs.adapters import (
    from_brax,
    from_gymnax,
    from_jaxmarl,
    from_jumanji,
    register,
)
from jaxswarm.envs.aloha import Aloha
from jaxswarm.envs.coordination_game import CoordinationGame
from jaxswarm.envs.corridor_maze import CorridorMaze
from jaxswarm.envs.donations import Donations
from jaxswarm.envs.environment import (
    Outcome,
    SwarmEnvironment,
    SwarmState,
    continuous_actions,
    discrete_actions,
    spec_of,
)
from jaxswarm.envs.pendulum import Pendulum
from jaxswarm.envs.policies import Policy, Trajectory, random_policy, scripted, unroll
from jaxswarm.envs.porters import Porters
from jaxswarm.envs.risky_point_mass import RiskyPointMass
from jaxswarm.envs.search_and_rescue import SearchAndRescue
from jaxswarm.envs.spread import SimpleSpread
from jaxswarm.envs.sum_guessing import SumGuessing
from jaxswarm.envs.tag import SimpleTag
from jaxswarm.envs.two_objectives import TwoObjectiveGrid
from jaxswarm.envs.wrappers import AutoReset, Vmapped

__all__ = [
    "Aloha",
    "AutoReset",
    "CoordinationGame",
    "CorridorMaze",
    "Donations",
    "Outcome",
    "Pendulum",
    "Policy",
    "Porters",
    "RiskyPointMass",
    "SearchAndRescue",
    "SimpleSpread",
    "SimpleTag",
    "SumGuessing",
    "SwarmEnvironment",
    "SwarmState",
    "Trajectory",
    "TwoObjectiveGrid",
    "Vmapped",
    "conformance",
    "continuous_actions",
    "discrete_actions",
    "from_brax",
    "from_gymnax",
    "from_jaxmarl",
    "from_jumanji",
    "in_notebooks",
    "random_policy",
    "register",
    "scripted",
    "spec_of",
    "swarmbench",
    "unroll",
]
