"""The contract of a network process, the reliable network, and combination of processes.

Shapes: ``N`` agents, ``E`` directed edge slots of the topology.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.gossip.types import Exchange, combine_masks
from jaxswarm.topology import Topology, require_topology
from jaxswarm.types import ArrayLike, PyTree


class Network(NamedTuple):
    """A network process: which agents and messages take part in each round.

    Rounds must be stepped through in order, from 0. Every agent and every link draws from a stream
    of its own, ``fold_in(key, id)``, so its faults do not depend on how many others there are.

    Attributes:
        init: ``init() -> state``, the network before round 0.
        step: ``step(key, state, index) -> (state, exchange)``, with the ``gossip.Exchange`` of
            round ``index``.
    """

    init: Callable[[], PyTree]
    step: Callable[[jax.Array, Any, ArrayLike], tuple[Any, Exchange]]


def reliable() -> Network:
    """A network in which all agents are alive and every message is delivered."""
    return Network(lambda: (), lambda key, state, index: (state, Exchange(index)))


def combine(*processes: Network) -> Network:
    """Compose processes: an agent or message takes part in a round if all of them let it.

    The processes do not depend on each other; give :func:`jaxswarm.network.sampled` the process
    from whose alive agents it samples. Process ``i`` draws from ``fold_in(key, i)``: append new
    ones at the end, and the draws of the others stay the same.

    Raises:
        ValueError: if an argument is not a process; while tracing, if two of them disagree on the
            number of agents or edges.

    Example:
        >>> import jax
        >>> from jaxswarm import network, topology
        >>> graph = topology.ring(8)
        >>> faults = network.combine(network.churn(8, crash=0.1), network.link_loss(graph, 0.2))
        >>> _, exchange = faults.step(jax.random.key(0), faults.init(), 0)
        >>> exchange.alive.shape, exchange.delivered.shape
        ((8,), (16,))
    """
    for position, process in enumerate(processes):
        check_process(f"processes[{position}]", process)

    def init() -> PyTree:
        return tuple(process.init() for process in processes)

    def step(key: jax.Array, state: PyTree, index: ArrayLike) -> tuple[PyTree, Exchange]:
        checks.key(key)
        states, alive, participates, delivered = [], None, None, None
        for i, (process, old) in enumerate(zip(processes, state, strict=True)):
            new, exchange = process.step(jax.random.fold_in(key, i), old, index)
            states.append(new)
            alive = _conjunction("alive", alive, exchange.alive)
            participates = _conjunction("participates", participates, exchange.participates)
            delivered = _conjunction("delivered", delivered, exchange.delivered)
        return tuple(states), Exchange(index, alive, participates, delivered)

    return Network(init, step)


def check_process(name: str, value: Any) -> None:
    """Refuse anything but a network process.

    Raises:
        ValueError: naming the argument and what came.
    """
    if not (callable(getattr(value, "init", None)) and callable(getattr(value, "step", None))):
        raise ValueError(
            f"{name}: expected a network process (init, step) such as network.churn(64), got "
            f"{checks.shown(value)}"
        )


def check_probability(name: str, value: ArrayLike, size: int | None = None) -> jax.Array:
    """``value`` as a float array of probabilities, a scalar or one per entity.

    Raises:
        ValueError: if it has another shape than ``()`` or ``[size]``; if it is concrete and not in
            ``[0, 1]``.
    """
    checks.probability(name, value, shape=None)
    if np.ndim(value) and (size is None or np.shape(value) != (size,)):
        expected = "a scalar" if size is None else f"a scalar or shape ({size},)"
        raise ValueError(f"{name}: expected {expected}, got shape {np.shape(value)}")
    return jnp.asarray(value, jnp.float32)


def check_integer(
    name: str, value: ArrayLike, low: int = 0, high: int = checks.LARGEST
) -> int | jax.Array:
    """A whole number that may be traced: a round, a duration, a size of a sample.

    Raises:
        ValueError: if it is no integer, or it is concrete and out of range.
    """
    if not checks.is_traced(value):
        return checks.whole(name, value, low, high)
    return checks.wholes(name, value, low, high, shape=())


def expect_single(topology: Topology, process: str) -> None:
    """Refuse anything but a single topology: in a sequence edge slots differ from round to round.

    Raises:
        ValueError: naming the process.
    """
    require_topology(topology)
    if topology.is_sequence:
        raise ValueError(f"topology: {process} expects a single graph, got a sequence")


def _conjunction(field: str, a: jax.Array | None, b: jax.Array | None) -> jax.Array | None:
    if a is not None and b is not None and a.shape != b.shape:
        raise ValueError(
            f"processes: {field} has shape {a.shape} in one process and {b.shape} in another"
        )
    return combine_masks(a, b)
