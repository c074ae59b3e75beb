"""Multi-agent environments with jumanji's interface and ``N`` agents on axis 0 of every leaf.

Subclasses of :class:`SwarmEnvironment` write ``start``, ``advance`` and ``observe``; the base class
makes a jumanji environment of them. :class:`Vmapped` and :class:`AutoReset` run many episodes,
:func:`unroll` runs a policy, :data:`ENVIRONMENTS` lists all environments by name, and
``conformance.check`` tests an environment, also a user's own, for the properties that all must
have. Importing this package imports jumanji, which takes seconds.
"""

from jaxswarm.envs import _quiet_jumanji  # noqa: F401  # isort: skip  # before jumanji's import
from jaxswarm.envs import conformance, crafter, maze, scenes, swarmbench, theatre
from jaxswarm.envs._registry import ENVIRONMENTS, register
from jaxswarm.envs.adapters import (
    from_brax,
    from_gymnax,
    from_jaxmarl,
    from_jumanji,
    from_xminigrid,
)
from jaxswarm.envs.aloha import Aloha
from jaxswarm.envs.coordination_game import CoordinationGame
from jaxswarm.envs.corridor_maze import CorridorMaze
from jaxswarm.envs.crafter import MultiAgentCrafter
from jaxswarm.envs.deep_sea_treasure import DeepSeaTreasure
from jaxswarm.envs.donations import Donations
from jaxswarm.envs.environment import (
    Outcome,
    SwarmEnvironment,
    SwarmState,
    continuous_actions,
    discrete_actions,
    spec_of,
)
from jaxswarm.envs.feed import FeedEnv, LiveFeedEnv
from jaxswarm.envs.identity import WithIdentity
from jaxswarm.envs.maze import CaveEscape
from jaxswarm.envs.outward import to_gymnasium, to_gymnax, to_jaxmarl, to_pettingzoo
from jaxswarm.envs.pendulum import Pendulum
from jaxswarm.envs.policies import Policy, Trajectory, random_policy, scripted, unroll
from jaxswarm.envs.porters import Porters
from jaxswarm.envs.risky_point_mass import RiskyPointMass
from jaxswarm.envs.search_and_rescue import SearchAndRescue
from jaxswarm.envs.spread import CoverageEnergy, SimpleSpread
from jaxswarm.envs.sum_guessing import SumGuessing
from jaxswarm.envs.tag import SimpleTag
from jaxswarm.envs.theatre import Theatre
from jaxswarm.envs.two_objectives import TwoObjectiveGrid
from jaxswarm.envs.wrappers import AutoReset, Vmapped

__all__ = [
    "ENVIRONMENTS",
    "Aloha",
    "AutoReset",
    "CaveEscape",
    "CoordinationGame",
    "CorridorMaze",
    "CoverageEnergy",
    "DeepSeaTreasure",
    "Donations",
    "FeedEnv",
    "LiveFeedEnv",
    "MultiAgentCrafter",
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
    "Theatre",
    "Trajectory",
    "TwoObjectiveGrid",
    "Vmapped",
    "WithIdentity",
    "conformance",
    "continuous_actions",
    "crafter",
    "discrete_actions",
    "from_brax",
    "from_gymnax",
    "from_jaxmarl",
    "from_jumanji",
    "from_xminigrid",
    "maze",
    "random_policy",
    "register",
    "scenes",
    "scripted",
    "spec_of",
    "swarmbench",
    "theatre",
    "to_gymnasium",
    "to_gymnax",
    "to_jaxmarl",
    "to_pettingzoo",
    "unroll",
]
