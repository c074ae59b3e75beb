"""Settings of a performance: controllers that can be switched off, roles, latencies, modes.

Shapes: ``N`` actors.

References:
    S. Jiang et al., HAMLET: a hierarchical and adaptive multi-agent framework, 2026.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs import theatre

SILENT, FAST, SLOW = 0, 1, 2
MODES = ("silence", "fast", "slow")
"""What perceive-and-decide returns: no act, a one-step heuristic, a bounded look-ahead."""
PUBLIC, PRIVATE = 0, 1
GOALS = ("public", "private")
"""The two goals of an actor: the point's flag, and its own."""
OWN, RANDOM, DIRECTED, MUTE = 0, 1, 2, 3
ROLES = ("own policy", "random", "directed", "mute")
"""Who decides for an actor: its policy; chance; a planner that knows the world (an oracle for
comparison); silence at every moment (a control)."""
PENALTY_STEPS = np.array([2.0, 4.0, 8.0], np.float32)
"""Seconds from which the penalty of a latency is .05, .10 and .15; 0 below."""
PENALTY = 0.05


class Settings(NamedTuple):
    """Numbers of a performance; all may be traced, and swept by ``vmap``.

    Attributes:
        advancer: whether actors are prompted when the play stalls.
        threshold: seconds without progress from which it stalls, above 0.
        period: seconds from one prompt to the next while it is stalled, above 0.
        reach: of broadcasts, see ``theatre.NONE``, ``theatre.ITSELF``, ``theatre.ALL``.
        modes: ``bool[3]``, which of :data:`MODES` an actor may use; others become the quickest one
            that it may use and that acts, or silence if there is none.
        roles: ``int32[N]``, see :data:`ROLES`.
        noise: probability in ``[0, 1]`` with which the fast mode takes any possible act.
        seconds: ``float32[3]``, mean latency of each mode; silence takes none, but a moment in
            which no actor acts takes the first number.
        spread: standard deviation of a latency's logarithm.
        private_reward: of a private goal; a point is worth 1 to every actor.
        progress_reward: for each unit by which the world comes nearer to the flag, as the planner
            sees it; what is lost again is subtracted, so that a point earns a fixed sum.
        waste_penalty: of an act that fails or does not help.
    """

    advancer: Any = True
    threshold: Any = 15.0
    period: Any = 1.0
    reach: Any = theatre.ALL
    modes: Any = (True, True, True)
    roles: Any = ()
    noise: Any = 0.2
    seconds: Any = (1.0, 1.0, 4.5)
    spread: Any = 0.3
    private_reward: Any = 0.25
    progress_reward: Any = 0.3
    waste_penalty: Any = 0.05


def settings(num_actors: int, **changes: Any) -> Settings:
    """Make settings as arrays, for ``N`` actors who all follow their own policy unless changed.

    Args:
        num_actors: ``N``.
        changes: fields of :class:`Settings`; ``roles`` and ``modes`` may be names.

    Raises:
        ValueError: for an unknown field, a threshold that is not above 0, or a number out of range.

    Example:
        >>> from jaxswarm.systems import hamlet
        >>> made = hamlet.settings(2, modes=["silence", "fast"], roles=["random", "own policy"])
        >>> made.modes.tolist(), made.roles.tolist()
        ([True, True, False], [1, 0])
    """
    n = checks.whole("num_actors", num_actors, 1)
    for name in changes:
        if name not in Settings._fields:
            raise ValueError(f"unknown setting {name!r}: expected one of {Settings._fields}")
    modes = changes.get("modes", (True,) * 3)
    if any(isinstance(mode, str) for mode in modes):
        modes = [name in [checks.choice("mode", mode, MODES) for mode in modes] for name in MODES]
    roles = changes.get("roles", (OWN,) * n)
    roles = [
        ROLES.index(checks.choice("role", r, ROLES)) if isinstance(r, str) else r for r in roles
    ]
    changes = changes | {"modes": np.array(modes), "roles": np.array(roles, np.int32)}
    given = check_settings(Settings(**changes), n)
    numbers = {
        name: jnp.asarray(getattr(given, name), jnp.float32)
        for name in Settings._fields
        if name not in ("advancer", "reach", "modes", "roles")
    }
    return Settings(
        advancer=jnp.asarray(given.advancer), reach=jnp.asarray(given.reach, jnp.int32),
        modes=jnp.asarray(given.modes), roles=jnp.asarray(given.roles), **numbers,
    )  # fmt: skip


def check_settings(given: Any, num_actors: int, name: str = "settings") -> Settings:
    """Check the known values of settings and return them; traced ones pass.

    Raises:
        ValueError: naming what is out of range.
    """
    checks.instance(name, given, Settings, "hamlet.settings(3)")
    checks.mask("advancer", given.advancer, ())
    for field in ("threshold", "period"):
        checks.real(field, getattr(given, field), above=0.0)
    checks.index("reach", given.reach, 3)
    checks.mask("modes", given.modes, (3,))
    checks.wholes("roles", given.roles, 0, len(ROLES) - 1, shape=(num_actors,))
    checks.probability("noise", given.noise)
    checks.real("seconds", given.seconds, above=0.0, shape=(3,))
    for field in ("spread", "private_reward", "progress_reward", "waste_penalty"):
        checks.real(field, getattr(given, field), 0.0)
    return given


def latency_penalty(seconds: jax.Array) -> jax.Array:
    """Penalty of a latency: 0, .05, .10 or .15, a step function of its seconds.

    Example:
        >>> import jax.numpy as jnp
        >>> (100 * latency_penalty(jnp.array([1.0, 3.0, 5.0, 9.0]))).round().tolist()
        [0.0, 5.0, 10.0, 15.0]
    """
    steps = jnp.searchsorted(PENALTY_STEPS, seconds, side="right", method="compare_all")
    return (PENALTY * steps).astype(jnp.float32)
