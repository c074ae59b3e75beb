"""Optimizer states of many agents, with a random stream of its own for every agent.

Optimizers that draw noise (Langevin dynamics, differentially private SGD) keep a random key in
their state. ``vmap(optimizer.init)`` would give all agents the same key and so the same noise.

Shapes: ``N`` agents on axis 0 of every leaf.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.types import ArrayLike, Params, PyTree

KEY_FIELDS = ("key", "rng", "rng_key", "prng_key")
"""Fields of an optimizer's state that hold a legacy ``uint32`` key, if their dtype is that."""


def init_per_agent(
    optimizer: Any, params: Params, ids: ArrayLike | None = None, *, index: ArrayLike | None = None
) -> PyTree:
    """Initialise an optimizer for every agent, with independent random keys in its state.

    Args:
        optimizer: any optax optimizer.
        params: leaves ``[N, ...]``.
        ids: ``int[N]``, global ids of the agents; ``0 .. N - 1`` if omitted.
        index: ``int[]``, number of the round, where the state is initialised anew in each.

    Returns:
        The optimizer's state, leaves ``[N, ...]``. Without keys it is that of
        ``vmap(optimizer.init)`` to the bit.

    Raises:
        ValueError: if the leaves of ``params`` do not lead with one number of agents.

    Example:
        >>> import jax.numpy as jnp, optax
        >>> state = init_per_agent(optax.add_noise(1.0, 0.5, key=0), jnp.zeros((3, 2)))
        >>> len({tuple(data.tolist()) for data in jax.random.key_data(state.rng_key)})
        3
    """
    n = agents.num_agents(params)
    state = jax.vmap(optimizer.init)(params)
    return independent_keys(state, jnp.arange(n) if ids is None else ids, index=index)


def independent_keys(state: PyTree, ids: ArrayLike, *, index: ArrayLike | None = None) -> PyTree:
    """Fold the agents' ids into all random keys of a state; other leaves stay as they are.

    Typed keys ``[N]`` are found by their dtype, legacy ones ``uint32[N, 2]`` by the name of their
    field, one of :data:`KEY_FIELDS`.

    Args:
        state: leaves ``[N, ...]``.
        ids: ``int[N]``, global ids of the agents.
        index: ``int[]``, a number that is folded in as well.
    """

    def fold(key: jax.Array, agent: jax.Array) -> jax.Array:
        key = jax.random.fold_in(key, agent)
        return key if index is None else jax.random.fold_in(key, index)

    def leaf(path: tuple[Any, ...], value: Any) -> Any:
        if not _is_key(path, value):
            return value
        if jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            return jax.vmap(fold)(value, jnp.asarray(ids))
        keys = jax.vmap(fold)(jax.random.wrap_key_data(value), jnp.asarray(ids))
        return jax.random.key_data(keys)

    return jax.tree_util.tree_map_with_path(leaf, state)


def _is_key(path: tuple[Any, ...], value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return False
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return value.ndim == 1
    last = path[-1] if path else None
    name = getattr(last, "name", getattr(last, "key", None))
    return name in KEY_FIELDS and dtype == jnp.uint32 and value.ndim == 2
