"""SwarmBench: five tasks of coordination with local sight, pushing and anonymous messages.

>>> env = swarmbench.make("pursuit", num_agents=10, size=10, view=5)
"""

from typing import Any

from jaxswarm.envs.swarmbench.base import (
    SwarmBench,
    SwarmBenchFeatures,
    SwarmBenchObservation,
    SwarmBenchParams,
    SwarmBenchWorld,
)
from jaxswarm.envs.swarmbench.flocking import Flocking, formation_distance
from jaxswarm.envs.swarmbench.foraging import Foraging
from jaxswarm.envs.swarmbench.pursuit import Pursuit
from jaxswarm.envs.swarmbench.scripted import scripted_policy
from jaxswarm.envs.swarmbench.synchronization import Synchronization
from jaxswarm.envs.swarmbench.text import parse, play, render, talk_measures, text_policy
from jaxswarm.envs.swarmbench.transport import Transport

TASKS: dict[str, type[SwarmBench]] = {
    "pursuit": Pursuit,
    "synchronization": Synchronization,
    "foraging": Foraging,
    "flocking": Flocking,
    "transport": Transport,
}


def make(task: str, **options: Any) -> SwarmBench:
    """One of the five tasks by name.

    Args:
        task: a key of :data:`TASKS`.
        **options: of :class:`SwarmBench`.

    Raises:
        ValueError: for another name, or options that cannot be.
    """
    if task not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    return TASKS[task](**options)


__all__ = [
    "TASKS",
    "Flocking",
    "Foraging",
    "Pursuit",
    "SwarmBench",
    "SwarmBenchFeatures",
    "SwarmBenchObservation",
    "SwarmBenchParams",
    "SwarmBenchWorld",
    "Synchronization",
    "Transport",
    "formation_distance",
    "make",
    "parse",
    "play",
    "render",
    "scripted_policy",
    "talk_measures",
    "text_policy",
]
