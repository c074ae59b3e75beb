"""SwarmBench: five coordination tasks with local views, pushing and anonymous messages.

References:
    K. Ruan et al., Benchmarking LLMs' swarm intelligence, 2025.
"""

from typing import Any

from jaxswarm.envs.swarmbench.arenas import (
    ArenaParams,
    ForagingArena,
    levels_from_foraging,
    terrain_of,
)
from jaxswarm.envs.swarmbench.base import SwarmBench
from jaxswarm.envs.swarmbench.flocking import Flocking, formation_distance
from jaxswarm.envs.swarmbench.foraging import Foraging
from jaxswarm.envs.swarmbench.pursuit import Pursuit
from jaxswarm.envs.swarmbench.scripted import scripted_policy
from jaxswarm.envs.swarmbench.synchronization import Synchronization
from jaxswarm.envs.swarmbench.text import message_statistics, parse, play, render, text_policy
from jaxswarm.envs.swarmbench.transport import Transport
from jaxswarm.envs.swarmbench.types import (
    SwarmBenchFeatures,
    SwarmBenchObservation,
    SwarmBenchParams,
    SwarmBenchWorld,
)
from jaxswarm.errors import unknown

TASKS: dict[str, type[SwarmBench]] = {
    "pursuit": Pursuit,
    "synchronization": Synchronization,
    "foraging": Foraging,
    "flocking": Flocking,
    "transport": Transport,
}
"""Name -> class of the five tasks."""


def make(task: str, **options: Any) -> SwarmBench:
    """Make one of the five tasks by name.

    Args:
        task: a key of :data:`TASKS`.
        **options: of :class:`SwarmBench`.

    Raises:
        ValueError: for an unknown name (with a suggestion), or impossible options.

    Example:
        >>> from jaxswarm.envs import swarmbench
        >>> env = swarmbench.make("pursuit", num_agents=10, size=10, view=5)
        >>> env.num_agents, env.action_spec.shape
        (10, (10,))
    """
    if not isinstance(task, str) or task not in TASKS:
        raise unknown("task", task, TASKS)
    return TASKS[task](**options)


__all__ = [
    "TASKS",
    "ArenaParams",
    "Flocking",
    "Foraging",
    "ForagingArena",
    "Pursuit",
    "SwarmBench",
    "SwarmBenchFeatures",
    "SwarmBenchObservation",
    "SwarmBenchParams",
    "SwarmBenchWorld",
    "Synchronization",
    "Transport",
    "formation_distance",
    "levels_from_foraging",
    "make",
    "message_statistics",
    "parse",
    "play",
    "render",
    "scripted_policy",
    "terrain_of",
    "text_policy",
]
