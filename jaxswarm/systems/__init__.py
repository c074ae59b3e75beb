"""Published systems: what belongs to one paper alone, built from the packages below.

One package for each, named as its experiment and its docs page:
:mod:`~jaxswarm.systems.agent_conductor`, :mod:`~jaxswarm.systems.agentnet`,
:mod:`~jaxswarm.systems.bn_actor_critic`, :mod:`~jaxswarm.systems.bristle`,
:mod:`~jaxswarm.systems.disrupted`, :mod:`~jaxswarm.systems.fantasy_hsi`,
:mod:`~jaxswarm.systems.fortytwo`, :mod:`~jaxswarm.systems.generative_consensus`,
:mod:`~jaxswarm.systems.hamlet`, :mod:`~jaxswarm.systems.hammer`,
:mod:`~jaxswarm.systems.knexa_fl`, :mod:`~jaxswarm.systems.matrix`,
:mod:`~jaxswarm.systems.modest`, :mod:`~jaxswarm.systems.nora`, :mod:`~jaxswarm.systems.sapo`,
:mod:`~jaxswarm.systems.scaling_agents`,
:mod:`~jaxswarm.systems.sl_mgac`, :mod:`~jaxswarm.systems.stac`, :mod:`~jaxswarm.systems.sybilwall`,
:mod:`~jaxswarm.systems.symphony` and :mod:`~jaxswarm.systems.symphony_coord`. They may import
every other package, but not one another; no package imports them. A system whose method is a
textbook building block has no entry here (SAC is :func:`jaxswarm.rl.sac`).
"""

import importlib
import pkgutil
from types import ModuleType

__all__ = [module.name for module in pkgutil.iter_modules(__path__)]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
