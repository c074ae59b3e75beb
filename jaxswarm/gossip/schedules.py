"""Communication schedules: the number of random in-neighbours as a function of progress.

A schedule maps progress in ``[0, 1)`` (rounds done over rounds in all) to the number ``r`` of other
agents that each agent receives from in a round; ``r = N − 1`` is a full average. ``r = 0.2`` means
one peer in one round of five.

References:
    T. Zhu et al., A single merging suffices: recovering server-based learning performance in
    decentralized learning, 2025 (later: On the surprising effectiveness of a single global
    merging).
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks, errors
from jaxswarm.gossip._averaging import averaging
from jaxswarm.gossip._mixing import complete_mean
from jaxswarm.gossip.randomized import random_neighbors
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation, common_support
from jaxswarm.types import Key, Params, PyTree

Progress = Callable[[Any], Any]

_ROUNDING = 5e-7  # tolerance of a share of the run in float32, far less than a round


def fixed(r: float) -> Progress:
    """Keep ``r`` constant."""
    _check(r=r)
    return lambda progress: jnp.full(jnp.shape(progress), r, jnp.float32)


def linear(start: float, end: float) -> Progress:
    """Change ``r`` linearly from ``start`` to ``end``."""
    _check(start=start, end=end)
    return lambda progress: start + (end - start) * progress


def cosine(start: float, end: float) -> Progress:
    """Change ``r`` from ``start`` to ``end`` along half a cosine."""
    _check(start=start, end=end)
    return lambda progress: end + (start - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))


def slow_decrease(start: float, end: float, *, rate: float = 10.0) -> Progress:
    """Decay ``r`` exponentially: ``end + (start − end) e^(−rate·progress)``."""
    _check(start=start, end=end, rate=rate)
    return lambda progress: end + (start - end) * jnp.exp(-rate * progress)


def truncate(start: float, end: float, *, point: float) -> Progress:
    """Use ``start`` before ``point`` and ``end`` from there on."""
    _check(start=start, end=end)
    _check_share(point=point)
    return lambda progress: jnp.where(progress < point - _ROUNDING, start, end).astype(jnp.float32)


def dense_window(start: float, dense: float, *, point: float, width: float) -> Progress:
    """Use ``dense`` inside ``[point, point + width)`` and ``start`` outside."""
    _check(start=start, dense=dense)
    _check_share(point=point, width=width)

    def schedule(progress: jax.Array) -> jax.Array:
        inside = (progress >= point - _ROUNDING) & (progress < point + width - _ROUNDING)
        return jnp.where(inside, dense, start).astype(jnp.float32)

    return schedule


SCHEDULES: dict[str, Callable[..., Progress]] = {
    "fixed": fixed,
    "linear": linear,
    "cosine": cosine,
    "slow_decrease": slow_decrease,
    "truncate": truncate,
    "dense_window": dense_window,
}
"""Name -> factory of a schedule ``progress -> r``."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CommunicationSchedule:
    """The values of a schedule, round by round; call it with a round's index.

    A pytree: a jitted function that takes several of them in turn compiles once.

    Attributes:
        values: ``float32[T]``, the ``r`` of every round.
    """

    values: Any

    def __call__(self, index: jax.Array) -> jax.Array:
        """Return ``r`` of round ``index``; beyond the last round, that round's."""
        return jnp.asarray(self.values).at[index].get(mode="clip")

    @property
    def num_rounds(self) -> int:
        """Number of rounds ``T``."""
        return self.values.shape[0]


def communication_schedule(name: str, num_rounds: int, **options: Any) -> CommunicationSchedule:
    """Build a schedule by name over ``num_rounds`` rounds.

    Shares of the run (``point``, ``width``) are rounded to whole rounds, at least one of them
    dense: a window of one width costs the same wherever it is, and lies within the run.

    Args:
        name: one of :data:`SCHEDULES`.
        num_rounds: ``T``, at least 1.
        options: the arguments of that schedule.

    Example:
        >>> communication_schedule("truncate", 5, start=0.5, end=3.0, point=0.8).values.tolist()
        [0.5, 0.5, 0.5, 0.5, 3.0]

    Raises:
        ValueError: unknown name or option (with a suggestion), an option missing or out of range,
            a window that ends after the run, or ``num_rounds < 1``.
    """
    if name not in SCHEDULES:
        raise errors.unknown("communication schedule", name, SCHEDULES)
    num_rounds = checks.whole("num_rounds", num_rounds, 1)
    parameters = inspect.signature(SCHEDULES[name]).parameters
    for option in options:
        if option not in parameters:
            raise errors.unknown(f"option of communication schedule {name!r}", option, parameters)
    for option, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise ValueError(f"{option}: communication schedule {name!r} expects it, got none")
    progress = np.arange(num_rounds, dtype=np.float64) / num_rounds
    schedule = SCHEDULES[name](**_whole_rounds(options, num_rounds))
    return CommunicationSchedule(np.asarray(schedule(progress), np.float32))


def _whole_rounds(options: dict[str, Any], num_rounds: int) -> dict[str, Any]:
    """Round ``point`` and ``width`` to multiples of ``1/num_rounds``."""
    options = dict(options)
    _check_share(**{name: options[name] for name in ("point", "width") if name in options})
    last = num_rounds
    if "width" in options:
        if options["point"] + options["width"] > 1.0 + _ROUNDING:
            raise ValueError(
                "point, width: expected a window inside the run, point + width <= 1, got "
                f"{options['point']} + {options['width']}"
            )
        wide = round(options["width"] * num_rounds)
        wide = max(wide, 1) if options["width"] > 0.0 else 0
        options["width"] = wide / num_rounds
        last -= wide
    if "point" in options:
        first = round(options["point"] * num_rounds)
        if options["point"] < 1.0 and "width" not in options:
            last -= 1
        options["point"] = min(first, last) / num_rounds
    return options


def random_gossip(
    num_agents: int, r: float | Progress | CommunicationSchedule, *, maximum: int | None = None
) -> GossipTransformation:
    """Average with ``r`` random others, and with all agents in rounds where ``r`` is ``N − 1``.

    Full rounds are one mean and sparse rounds cost ``O(N · maximum)``; only the one is computed.

    Args:
        num_agents: ``N``, at least 2.
        r: number of random in-neighbours in a round, a :func:`communication_schedule`, or any
            function ``round index -> r``.
        maximum: slots of a sparse round, beyond which its ``r`` is clipped. Derived from a number
            or a concrete schedule; a function, or a schedule traced by ``jit``, must come with it.

    Raises:
        ValueError: as :func:`jaxswarm.gossip.random_neighbors`, and if a schedule asks for more
            than ``N − 1`` neighbours.
    """
    n = checks.whole("num_agents", num_agents, 2)
    full = averaging(complete_mean(n))
    if not callable(r):
        if not checks.is_traced(r) and r == n - 1:
            return full
        return averaging(random_neighbors(n, r, maximum=maximum))
    if isinstance(r, CommunicationSchedule) and not isinstance(r.values, jax.core.Tracer):
        values = np.asarray(r.values)
        if values.max() > n - 1:
            raise ValueError(
                f"r: expected at most N - 1 = {n - 1} neighbours, got {values.max():g} in round "
                f"{int(values.argmax())}"
            )
        if maximum is None:
            sparse_rounds = values[values < n - 1]
            maximum = int(np.ceil(sparse_rounds.max(initial=0.0)))
    sparse = averaging(random_neighbors(n, r, maximum=maximum))

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        # Not ``scheduled``, which would number the sparse rounds anew: r is one of all rounds.
        return jax.lax.cond(
            jnp.asarray(r(jnp.asarray(exchange.index))) >= n - 1,
            lambda: full.mix(key, params, state, exchange),
            lambda: sparse.mix(key, params, state, exchange),
        )

    return GossipTransformation(sparse.init, mix_fn, common_support(full, sparse))


def _check(**numbers: float) -> None:
    for name, value in numbers.items():
        checks.real(name, value, 0.0)


def _check_share(**numbers: float) -> None:
    for name, value in numbers.items():
        checks.probability(name, value)
