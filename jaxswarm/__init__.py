"""jaxswarm: decentralized agents as arrays.

Graphs, gossip, learners, environments, policies and networks are pure functions over pytrees whose
first axis is the agents', so thousands of agents run as one XLA program on one CPU, GPU or TPU.

``import jaxswarm as js`` is light: it loads no package below. ``js.gossip``, ``js.topology``,
``js.rl`` and the others load when they are first used, and so do the functions ``js.simulate``,
``js.rollout`` and ``js.sweep``. On Linux it tells the C library to keep freed memory, which makes
large simulations on a CPU up to twice as fast (``JAXSWARM_ALLOCATOR=system`` leaves it as it is).
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxswarm import _allocator

__version__ = "0.1.0"

_PACKAGES = (
    "agents",
    "algorithm",
    "checkpoint",
    "collective",
    "coordination",
    "data",
    "envs",
    "errors",
    "generative",
    "gossip",
    "language",
    "launch",
    "learning",
    "loggers",
    "models",
    "network",
    "plotting",
    "progress",
    "rl",
    "sharding",
    "space",
    "statistics",
    "swarms",
    "systems",
    "topology",
    "trust",
    "types",
)
_NAMES = {
    "Algorithm": "algorithm",
    "Checkpoint": "checkpoint",
    "NonFiniteWarning": "progress",
    "Records": "_rollout",
    "Timing": "_simulate",
    "rollout": "_rollout",
    "simulate": "_simulate",
    "sweep": "_sweep",
}

__all__ = [*_PACKAGES, *_NAMES, "__version__"]


_allocator.keep_memory()


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"jaxswarm.{name}")
    if name in _NAMES:
        value = getattr(importlib.import_module(f"jaxswarm.{_NAMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'jaxswarm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from jaxswarm import (
        agents,
        algorithm,
        checkpoint,
        collective,
        coordination,
        data,
        envs,
        errors,
        generative,
        gossip,
        language,
        launch,
        learning,
        loggers,
        models,
        network,
        plotting,
        progress,
        rl,
        sharding,
        space,
        statistics,
        swarms,
        systems,
        topology,
        trust,
        types,
    )
    from jaxswarm._rollout import Records, rollout
    from jaxswarm._simulate import Timing, simulate
    from jaxswarm._sweep import sweep
    from jaxswarm.algorithm import Algorithm
    from jaxswarm.checkpoint import Checkpoint
    from jaxswarm.progress import NonFiniteWarning
