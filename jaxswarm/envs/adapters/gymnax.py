"""Adapter for gymnax environments, one copy per agent.

gymnax is not a dependency; install it (``pip install gymnax``) and pass one of its environments.
Tested with its releases 0.0.9 and 1.0.1.

References:
    R. T. Lange, gymnax: a JAX-based reinforcement learning environment library, 2022.
"""

import dataclasses
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm.envs.adapters.copies import CopyStep, IndependentCopies, require, require_one_array
from jaxswarm.envs.adapters.observation import NO_TIME_LIMIT
from jaxswarm.envs.environment import SwarmEnvironment, discrete_actions
from jaxswarm.types import PyTree

TIME_LIMIT = "max_steps_in_episode"


class FromGymnax(IndependentCopies):
    """A gymnax environment as a swarm environment; build it with :func:`from_gymnax`."""

    def __init__(self, env: Any, params: PyTree, num_agents: int, time_limit: int):
        self._env = env
        self._params = params
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> PyTree:
        """The original's parameters, including the time limit."""
        return self._params

    @cached_property
    def action_spec(self) -> specs.Array:
        """The original's action space for every agent."""
        space = self._env.action_space(self._params)
        if hasattr(space, "n"):
            return discrete_actions(self.num_agents, int(space.n))
        shape = (self.num_agents, *space.shape)
        low, high = (np.broadcast_to(np.float32(x), shape) for x in (space.low, space.high))
        return specs.BoundedArray(shape, jnp.float32, low, high, "action")

    def begin(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Reset one copy by the original's ``reset_env``."""
        view, state = self._env.reset_env(key, _limited(params, self.time_limit))
        return state, view

    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> CopyStep:
        """The original's ``step_env``, which unlike its ``step`` does not reset.

        Its ``done`` may be due to its time limit; whether the copy has terminated is read from the
        same step under an infinite limit. Nothing else of that step is used, so the compiler
        reduces it to a comparison.
        """
        step, limited = self._env.step_env, _limited(params, self.time_limit)
        view, after, reward, _, _ = step(key, state, action, limited)
        *_, over, _ = step(key, state, action, _limited(params, None))
        terminated = jnp.reshape(over, ()).astype(bool)
        return CopyStep(after, view, jnp.reshape(reward, ()), terminated, {})


def from_gymnax(
    env: Any, env_params: PyTree = None, *, num_agents: int = 1, time_limit: int | None = None
) -> SwarmEnvironment:
    """Turn a gymnax environment into a :class:`jaxswarm.envs.SwarmEnvironment`, a copy per agent.

    The copies are independent; actions are ``int32[N]`` or ``float32[N, ...]``, observations
    ``[N, ...]``. The time limit truncates (discount 1), also where gymnax only returns ``done``; a
    copy that terminates is masked out until all have terminated.

    gymnax's parameters are the physics: ``reset(key, params)`` takes others, traced or ``vmap``ped,
    each leaf one for all agents or with a leading ``N``. Only ``max_steps_in_episode`` is not used
    there: ``time_limit`` replaces it.

    Args:
        env: the environment that ``gymnax.make`` returns, without wrappers.
        env_params: its parameters, which ``gymnax.make`` also returns; ``env.default_params`` if
            omitted.
        num_agents: ``N``.
        time_limit: read from ``env_params.max_steps_in_episode`` if omitted.

    Raises:
        ValueError: if ``env`` is not a gymnax environment, is wrapped, has other spaces than
            discrete or bounded actions and observations that are one array; or the time limit is
            unknown.
    """
    require(env, ("default_params", "reset_env", "step_env", "action_space"), "gymnax")
    if "_env" in getattr(env, "__dict__", {}):
        raise ValueError(
            f"env: expected a gymnax environment without wrappers, got a {type(env).__name__}, "
            "whose own reset and step would not be used"
        )
    if isinstance(env_params, int):
        raise ValueError(
            f"env_params: expected parameters such as env.default_params, got {env_params}; the "
            "number of agents is a keyword, num_agents="
        )
    params = env.default_params if env_params is None else env_params
    limit = _whole(getattr(params, TIME_LIMIT, None)) if time_limit is None else time_limit
    if limit is None:
        raise ValueError(NO_TIME_LIMIT)
    if hasattr(params, TIME_LIMIT):
        params = dataclasses.replace(params, **{TIME_LIMIT: limit})
    _check_actions(env.action_space(params))
    with jax.numpy_rank_promotion("allow"):
        view, _ = jax.eval_shape(env.reset_env, jax.random.key(0), params)
    require_one_array(view)
    return FromGymnax(env, params, num_agents, limit)


def _whole(limit: Any) -> Any:
    """A time limit as an integer; some originals have ``100.0`` or arrays."""
    if limit is None or np.ndim(limit) or int(limit) != limit:
        return limit
    return int(limit)


def _check_actions(space: Any) -> None:
    if hasattr(space, "n"):
        return
    if not all(hasattr(space, name) for name in ("low", "high", "shape")):
        raise ValueError(
            "env: expected discrete actions or a box of them, got actions in a "
            f"{type(space).__name__}"
        )
    bounds = np.asarray(space.low), np.asarray(space.high)
    if not all(np.isfinite(bound).all() for bound in bounds) or (bounds[0] >= bounds[1]).any():
        raise ValueError(f"env: expected actions in finite increasing bounds, got {bounds}")


def _limited(params: PyTree, steps: int | None) -> PyTree:
    """Parameters with another time limit, ``None`` for an infinite one."""
    if not hasattr(params, TIME_LIMIT):
        return params
    limit = jnp.asarray(getattr(params, TIME_LIMIT))
    if steps is None:
        whole = jnp.issubdtype(limit.dtype, jnp.integer)
        limit = jnp.full_like(limit, jnp.iinfo(limit.dtype).max if whole else jnp.inf)
    else:
        limit = jnp.full_like(limit, steps)
    return dataclasses.replace(params, **{TIME_LIMIT: limit})
