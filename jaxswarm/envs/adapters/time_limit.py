"""Time limits and step clocks of other libraries' environments, whatever they are called.

An original that ends at its own time limit reports that end like any other. The adapters count the
steps since the reset themselves, and so tell the two apart without knowing the original's clock;
where the original's state has a clock as well, its reading counts too.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import PyTree

LIMITS = (
    "max_steps",
    "time_limit",
    "max_steps_in_episode",
    "max_episode_steps",
    "episode_length",
    "episode_limit",
    "max_episode_length",
    "max_timesteps",
    "max_cycles",
    "horizon",
)
"""Names under which environments and their parameters hold a time limit in steps."""

CLOCKS = (
    "step",
    "steps",
    "step_count",
    "num_steps",
    "n_steps",
    "current_step",
    "env_step",
    "episode_step",
    "elapsed_steps",
    "time",
    "timestep",
    "timesteps",
    "time_step",
    "t",
    "clock",
    "tick",
    "counter",
)
"""Names under which states hold the number of steps so far."""


def own_limit(*sources: Any) -> tuple[str, int] | None:
    """The first time limit found among attributes or keys of ``sources``: its name and number.

    Args:
        sources: environments, or their parameters.
    """
    for source in sources:
        for name in LIMITS:
            found = source.get(name) if isinstance(source, dict) else getattr(source, name, None)
            number = _as_steps(found)
            if number is not None:
                return name, number
    return None


def choose_limit(given: Any, own: tuple[str, int] | None, *, extends: bool = False) -> int:
    """The time limit to use: the one given, or the original's own.

    Args:
        given: what the user asked for; ``None`` for the original's own.
        own: from :func:`own_limit`.
        extends: whether the adapter can make the original run beyond its own limit.

    Raises:
        ValueError: if neither is known, or the one given is beyond the original's own, at which it
            ends.
    """
    if given is None and own is None:
        raise ValueError(
            "time_limit: expected a number of steps, got None, and the environment has no limit of "
            f"its own; looked for {', '.join(LIMITS)}"
        )
    if given is None:
        assert own is not None
        return checks.whole("time_limit", own[1], 1)
    limit = checks.whole("time_limit", given, 1)
    if own is not None and limit > own[1] and not extends:
        raise ValueError(
            f"time_limit: expected at most the {own[1]} steps after which the environment ends "
            f"itself ({own[0]}), got {limit}"
        )
    return limit


def clocks_by_name(state: PyTree) -> list[int]:
    """Positions among the leaves of a state (arrays or shapes) of those named like a clock."""
    return [
        index
        for index, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(state))
        if _is_count(leaf) and _name(path) in CLOCKS
    ]


def clocks_by_stepping(
    reset: Callable[[jax.Array], PyTree],
    step: Callable[[jax.Array, PyTree], PyTree],
    limit: int,
    *,
    from_environment: bool,
) -> list[int]:
    """Positions among the leaves of a state of its clocks, found by three steps on the host.

    A clock is an integer, one or one per agent, that grows by one in every step.

    Args:
        reset: ``reset(key) -> state``.
        step: ``step(key, state) -> state``, by any action.
        limit: the time limit.
        from_environment: whether the limit is the environment's own.

    Raises:
        ValueError: if the limit is the environment's own and a leaf named like a clock grows by
            more than one, so that the limit is not in steps.
    """
    with jax.numpy_rank_promotion("allow"):  # the originals rely on rank promotion
        key, advance = jax.random.key(0), jax.jit(step)
        states = [jax.jit(reset)(key)]
        for index in range(3):
            states.append(advance(jax.random.fold_in(key, index), states[-1]))
    rows = [jax.tree_util.tree_leaves_with_path(state) for state in states]
    clocks = []
    for index, (path, leaf) in enumerate(rows[0]):
        if not _is_count(leaf) or any(len(row) != len(rows[0]) for row in rows):
            continue
        readings = np.array([np.asarray(row[index][1]).astype(np.int64) for row in rows])
        growth = np.diff(readings, axis=0)
        if growth.size and (growth == 1).all():
            clocks.append(index)
        pace = int(growth.flat[0]) if growth.size else 0
        named = _name(path) in CLOCKS and pace > 1 and (growth == pace).all()
        if named and from_environment:
            raise ValueError(
                f"time_limit: expected a number of steps, got {limit} from the environment, whose "
                f"clock {jax.tree_util.keystr(path)} grows by {pace} in a step; give "
                f"time_limit={-(-limit // pace)}"
            )
    return clocks


def is_over(state: PyTree, clocks: list[int], steps: jax.Array, limit: int) -> jax.Array:
    """Whether a time limit is reached, ``bool[]``, by the adapter's count or a clock of the state.

    Args:
        state: the original's.
        clocks: positions of its clocks among its leaves.
        steps: ``int32[]``, steps since the reset.
        limit: the time limit.
    """
    leaves = jax.tree.leaves(state)
    over = steps >= limit
    for index in clocks:
        over = over | jnp.all(jnp.asarray(leaves[index]) >= limit)
    return over


def _is_count(leaf: Any) -> bool:
    """Whether a leaf is an integer, one or one per agent."""
    dtype = jnp.result_type(leaf) if not hasattr(leaf, "dtype") else leaf.dtype
    return jnp.issubdtype(dtype, jnp.integer) and len(jnp.shape(leaf)) <= 1


def _as_steps(value: Any) -> int | None:
    """A positive whole number of steps as ``int``; some originals have ``100.0`` or arrays."""
    if value is None or callable(value) or isinstance(value, (bool, str)):
        return None
    try:
        number = float(np.asarray(value))
    except (TypeError, ValueError):
        return None
    return int(number) if np.isfinite(number) and number >= 1 and number % 1 == 0 else None


def _name(path: Any) -> str:
    """The last field of a leaf's path."""
    last = path[-1] if path else ""
    for attribute in ("name", "key", "idx"):
        if hasattr(last, attribute):
            return str(getattr(last, attribute)).lower().strip("_")
    return str(last)
