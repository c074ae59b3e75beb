"""What a network process is, the reliable one, and how several become one.

Shapes: ``N`` agents, ``E`` directed edge slots of the topology.
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.gossip.types import Exchange, combine_masks
from jaxswarm.topology import Topology
from jaxswarm.topology.validation import is_traced
from jaxswarm.types import PyTree


class InitFn(Protocol):
    """``init() -> state``: the network before round 0."""

    def __call__(self) -> PyTree: ...


class StepFn(Protocol):
    """``step(key, state, index) -> (state, Exchange)``: what round ``index`` delivers."""

    def __call__(self, key: jax.Array, state: PyTree, index: Any) -> tuple[PyTree, Exchange]: ...


class Network(NamedTuple):
    """A network process: ``init() -> state`` and ``step(key, state, index) -> (state, Exchange)``.

    Rounds must be stepped through in order, from 0. Every agent and every link draws from a stream
    of its own, ``fold_in(key, id)``, so what happens to it does not depend on how many others there
    are.
    """

    init: InitFn
    step: StepFn


def reliable() -> Network:
    """Everyone is there and every message arrives."""
    return Network(lambda: (), lambda key, state, index: (state, Exchange(index)))


def combine(*processes: Network) -> Network:
    """All of these at once: an agent, a participant or a message must survive every one of them.

    The processes do not see each other; give :func:`~jaxswarm.network.participation.sampled` the
    process whose living it shall sample. Process ``i`` draws from ``fold_in(key, i)``: append new
    ones at the end, and the draws of the others stay the same.

    Raises:
        ValueError: if something is not a process; while tracing, if two of them disagree on the
            number of agents or edges.
    """
    for position, process in enumerate(processes):
        if not (hasattr(process, "init") and hasattr(process, "step")):
            raise ValueError(
                f"processes: expected network processes (init, step), got "
                f"{type(process).__name__} at position {position}"
            )

    def init() -> PyTree:
        return tuple(process.init() for process in processes)

    def step(key: jax.Array, state: PyTree, index: Any) -> tuple[PyTree, Exchange]:
        states, alive, participates, delivered = [], None, None, None
        for i, (process, old) in enumerate(zip(processes, state, strict=True)):
            new, now = process.step(jax.random.fold_in(key, i), old, index)
            states.append(new)
            alive = _meet("alive", alive, now.alive)
            participates = _meet("participates", participates, now.participates)
            delivered = _meet("delivered", delivered, now.delivered)
        return tuple(states), Exchange(index, alive, participates, delivered)

    return Network(init, step)


def check_chance(name: str, value: Any, size: int | None = None) -> jax.Array:
    """``value`` as a float array of probabilities, a scalar or one per entity.

    Raises:
        ValueError: if it has another shape than ``()`` or ``[size]``; if it is concrete and not in
            ``[0, 1]``.
    """
    if np.ndim(value) and (size is None or np.shape(value) != (size,)):
        expected = "a scalar" if size is None else f"a scalar or shape ({size},)"
        raise ValueError(f"{name}: expected {expected}, got shape {np.shape(value)}")
    if not is_traced(value):
        values = np.asarray(value, np.float64)
        if not ((values >= 0.0) & (values <= 1.0)).all():
            wrong = values[~((values >= 0.0) & (values <= 1.0))].flat[0]
            raise ValueError(f"{name}: expected probabilities in [0, 1], got {wrong:g}")
    return jnp.asarray(value, jnp.float32)


def check_agents(num_agents: int) -> int:
    """``num_agents`` if it is at least 1.

    Raises:
        ValueError: otherwise.
    """
    if num_agents < 1:
        raise ValueError(f"num_agents: expected at least 1, got {num_agents}")
    return num_agents


def check_round(name: str, value: Any) -> jax.Array:
    """A round number as ``int32[]``.

    Raises:
        ValueError: if it is concrete and negative or not an integer.
    """
    if not is_traced(value):
        given = np.asarray(value)
        if given.ndim or not np.issubdtype(given.dtype, np.integer) or given < 0:
            raise ValueError(f"{name}: expected a round number of at least 0, got {value!r}")
    return jnp.asarray(value, jnp.int32)


def expect_single(topology: Topology, process: str) -> None:
    """Refuse a sequence of topologies, whose edge slots mean something else every round.

    Raises:
        ValueError: naming the process.
    """
    if topology.is_sequence:
        raise ValueError(f"topology: {process} expects a single graph, got a sequence")


def _meet(field: str, a: jax.Array | None, b: jax.Array | None) -> jax.Array | None:
    if a is not None and b is not None and a.shape != b.shape:
        raise ValueError(
            f"processes: {field} has shape {a.shape} in one process and {b.shape} in another"
        )
    return combine_masks(a, b)
