"""Which optimistic actor-critic is run, as numbers: NORA, its ablations and its baselines."""

import math
from typing import Any, NamedTuple

import jax

from jaxswarm import checks, errors

DOUBLED = math.log(2.0)


class Settings(NamedTuple):
    """What distinguishes the learners of this package; numbers, all of which may be traced.

    Attributes:
        bonus: ``β`` of the elliptical bonus, at least 0; 0 is not optimistic.
        ridge: ``λ`` of the regression, positive; without visits the bonus is ``β / √λ``.
        rate: ``η`` of the actor's mirror ascent, positive.
        growth: of a step's log-determinant since the last switch at which the critic is fitted
            anew; ``log 2`` is a doubled determinant, 0 every episode, infinity never.
        tolerance: gap of the critic's values on all data above which it is fitted anew, where
            the loss decides; see :func:`actor_critic`.
        reset: whether a switch makes the policy uniform.
        on_policy: whether the critic has the current policy's values as targets, not the optimal.
        greedy: whether episodes follow the critic's largest values instead of the actor.
        exploration: probability of a uniformly drawn action instead of the policy's.
    """

    bonus: Any = 0.3
    ridge: Any = 0.01
    rate: Any = 0.5
    growth: Any = DOUBLED
    tolerance: Any = math.inf
    reset: Any = True
    on_policy: Any = False
    greedy: Any = False
    exploration: Any = 0.0


SETTINGS: dict[str, Settings] = {
    "nora": Settings(),
    "no optimism": Settings(bonus=0.0),
    "no reset": Settings(reset=False),
    "reset in every episode": Settings(growth=0.0),
    "no rare switching": Settings(growth=0.0, reset=False),
    "douhua": Settings(growth=0.0, reset=False, on_policy=True),
    "lsvi-ucb": Settings(growth=0.0, reset=False, greedy=True),
    "rare lsvi-ucb": Settings(reset=False, greedy=True),
    "epsilon-greedy": Settings(bonus=0.0, growth=0.0, reset=False, greedy=True, exploration=0.1),
    "uniform": Settings(growth=math.inf, reset=False, exploration=1.0),
}
"""Settings by name: NORA, DOUHUA, NORA without one of its parts, and baselines."""


def settings_of(name: str, **changed: Any) -> Settings:
    """Settings of a learner by name, with some numbers changed.

    Args:
        name: one of :data:`SETTINGS`.
        changed: fields of :class:`Settings`.

    Example:
        >>> from jaxswarm.systems import nora
        >>> nora.settings_of("no optimism", rate=2.0).bonus
        0.0

    Raises:
        ValueError: for an unknown name or field, or numbers out of range.
    """
    checks.choice("settings", name, SETTINGS)
    for field in changed:
        if field not in Settings._fields:
            raise errors.unknown("field of settings", field, Settings._fields)
    return check_settings(SETTINGS[name]._replace(**changed))


def check_settings(settings: Any, name: str = "settings") -> Settings:
    """Check the numbers of :class:`Settings` and return them.

    Raises:
        ValueError: naming the number.
    """
    checks.instance(name, settings, Settings, "nora.Settings()")
    checks.real(f"{name}.bonus", settings.bonus, 0.0)
    checks.real(f"{name}.ridge", settings.ridge, above=0.0)
    checks.real(f"{name}.rate", settings.rate, above=0.0)
    checks.real(f"{name}.growth", settings.growth, 0.0, infinite=True)
    checks.real(f"{name}.tolerance", settings.tolerance, 0.0, infinite=True)
    checks.probability(f"{name}.exploration", settings.exploration)
    for field in ("reset", "on_policy", "greedy"):
        value = getattr(settings, field)
        if not isinstance(value, jax.Array):  # traced and concrete arrays switch by their values
            checks.flag(f"{name}.{field}", value)
        elif value.shape != () or value.dtype != bool:
            raise ValueError(f"{name}.{field}: expected bool[], got {checks.shown(value)}")
    return settings
