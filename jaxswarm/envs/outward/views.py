"""What all outward adapters share: vectors of observations, masks, spaces, keys.

Shapes: ``N`` agents, ``D`` numbers of an agent's observation, ``A`` discrete actions.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs.environment import SwarmEnvironment
from jaxswarm.types import Key, PyTree

_MASKS = ("agent_mask", "action_mask")


@dataclass(frozen=True)
class Discrete:
    """Actions ``0 … n - 1``, as gymnax's space of that name."""

    n: int

    shape = ()
    dtype = jnp.int32

    def sample(self, key: Key) -> jax.Array:
        """A uniform random action."""
        return jax.random.randint(typed(key), (), 0, self.n)

    def contains(self, x: Any) -> jax.Array:
        """Whether ``x`` is one of the actions."""
        return jnp.logical_and(x >= 0, x < self.n)


@dataclass(frozen=True)
class Box:
    """Numbers of a shape within bounds, as gymnax's space of that name."""

    low: Any
    high: Any
    shape: tuple[int, ...]
    dtype: Any = jnp.float32

    def sample(self, key: Key) -> jax.Array:
        """Uniform random numbers within the bounds, standard normal ones without."""
        low, high = (np.broadcast_to(x, self.shape) for x in (self.low, self.high))
        if np.isfinite(low).all() and np.isfinite(high).all():
            return jax.random.uniform(typed(key), self.shape, self.dtype, low, high)
        return jax.random.normal(typed(key), self.shape, self.dtype)

    def contains(self, x: Any) -> jax.Array:
        """Whether all numbers are within the bounds."""
        return jnp.all((x >= self.low) & (x <= self.high))


def typed(key: Any) -> jax.Array:
    """A typed key of a typed or a legacy ``uint32[2]`` one.

    Raises:
        ValueError: for anything else.
    """
    dtype = getattr(key, "dtype", None)
    if dtype == jnp.uint32 and jnp.shape(key) == (2,):
        return jax.random.wrap_key_data(key)
    return checks.key(key)


def vectors(observation: PyTree) -> jax.Array:
    """Observations as ``float32[N, D]``: the leaves of each agent in order, without its masks."""
    rows = [
        jnp.reshape(leaf, (leaf.shape[0], -1)).astype(jnp.float32)
        for path, leaf in jax.tree_util.tree_leaves_with_path(observation)
        if _last(path) not in _MASKS
    ]
    return jnp.concatenate(rows, axis=1)


def action_mask(observation: PyTree) -> jax.Array | None:
    """Legal actions ``bool[N, A]``, the leaf ``action_mask`` of observations; ``None`` without."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(observation):
        if _last(path) == "action_mask":
            return leaf
    return None


def names(env: SwarmEnvironment) -> list[str]:
    """Names of the agents, ``agent_0``, ``agent_1``, and so on."""
    return [f"agent_{index}" for index in range(env.num_agents)]


def size(env: SwarmEnvironment) -> int:
    """``D``."""
    key = jax.random.key(0)
    return jax.eval_shape(lambda: vectors(env.reset(key)[1].observation)).shape[1]


def space_of(env: SwarmEnvironment, agent: int) -> Discrete | Box:
    """The action space of one agent.

    Raises:
        ValueError: if an action of an agent is neither one choice nor numbers.
    """
    spec = env.action_spec
    if isinstance(spec, specs.MultiDiscreteArray):
        counts = np.asarray(spec.num_values)
        if counts.ndim != 1:
            raise ValueError(
                f"env: expected one choice per agent, got actions of shape {counts.shape}"
            )
        return Discrete(int(counts[agent]))
    if isinstance(spec, specs.BoundedArray):
        low, high = (
            np.broadcast_to(np.asarray(x), spec.shape)[agent] for x in (spec.minimum, spec.maximum)
        )
        return Box(low, high, spec.shape[1:], spec.dtype)
    raise ValueError(f"env: expected discrete or bounded actions, got {type(spec).__name__}")


def _last(path: Any) -> str:
    return str(getattr(path[-1], "name", getattr(path[-1], "key", ""))) if path else ""
