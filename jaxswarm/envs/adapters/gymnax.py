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

from jaxswarm.envs.adapters.copies import (
    CopyStep,
    IndependentCopies,
    choose_restart,
    require,
    require_one_array,
)
from jaxswarm.envs.adapters.time_limit import choose_limit, clocks_by_name, own_limit
from jaxswarm.envs.environment import SwarmEnvironment, discrete_actions
from jaxswarm.types import PyTree


class FromGymnax(IndependentCopies):
    """A gymnax environment as a swarm environment; build it with :func:`from_gymnax`."""

    def __init__(
        self,
        env: Any,
        params: PyTree,
        num_agents: int,
        time_limit: int,
        *,
        limit_name: str | None,
        ends_at_limit: bool,
        restart: bool | None,
    ):
        self._env = env
        self._params = params
        self._limit_name, self.ends_at_limit = limit_name, ends_at_limit
        self.restarts = choose_restart(restart, num_agents)
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
        view, state = self._env.reset_env(key, self._limited(params, self.time_limit))
        return state, view

    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> CopyStep:
        """The original's ``step_env``, which unlike its ``step`` does not reset.

        Its ``done`` may be due to its time limit; whether the copy has terminated is read from the
        same step under an infinite limit. Nothing else of that step is used, so the compiler
        reduces it to a comparison.
        """
        step, limited = self._env.step_env, self._limited(params, self.time_limit)
        view, after, reward, _, _ = step(key, state, action, limited)
        *_, over, _ = step(key, state, action, self._limited(params, None))
        terminated = jnp.reshape(over, ()).astype(bool)
        return CopyStep(after, view, jnp.reshape(reward, ()), terminated, {})

    def _limited(self, params: PyTree, steps: int | None) -> PyTree:
        """Parameters with another time limit, ``None`` for an infinite one."""
        if self._limit_name is None:
            return params
        limit = jnp.asarray(_field(params, self._limit_name))
        if steps is None:
            whole = jnp.issubdtype(limit.dtype, jnp.integer)
            limit = jnp.full_like(limit, jnp.iinfo(limit.dtype).max if whole else jnp.inf)
        else:
            limit = jnp.full_like(limit, steps)
        return _replaced(params, self._limit_name, limit)


def from_gymnax(
    env: Any,
    env_params: PyTree = None,
    *,
    num_agents: int = 1,
    time_limit: int | None = None,
    restart: bool | None = None,
) -> SwarmEnvironment:
    """Turn a gymnax environment into a :class:`jaxswarm.envs.SwarmEnvironment`, a copy per agent.

    The copies are independent; actions are ``int32[N]`` or ``float32[N, ...]``, observations
    ``[N, ...]``. The time limit truncates (discount 1), also where gymnax only returns ``done``; a
    copy that terminates begins anew (discount 0 in that step, ``extras["restarted"]``).

    gymnax's parameters are the physics: ``reset(key, params)`` takes others, traced or vmapped,
    each leaf one for all agents or with a leading ``N``. Only ``max_steps_in_episode`` (or a field
    of a similar name) is not used there: ``time_limit`` replaces it. An original that holds its
    limit elsewhere ends at it; a ``done`` in the last step then counts as truncated.

    Args:
        env: the environment that ``gymnax.make`` returns, without wrappers.
        env_params: its parameters, which ``gymnax.make`` also returns; ``env.default_params`` if
            omitted.
        num_agents: ``N``.
        time_limit: in steps; read from ``env_params.max_steps_in_episode`` if omitted.
        restart: false: a copy that terminates is masked out until all have, which ends the episode.
            By default true for several copies; a single one ends the episode.

    Raises:
        ValueError: if ``env`` is not a gymnax environment, is wrapped, has other spaces than
            discrete or bounded actions and observations that are one array; or the time limit is
            unknown, or beyond one of the original's own that cannot be replaced.
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
    own, elsewhere = own_limit(params), own_limit(env)
    limit = choose_limit(time_limit, own or elsewhere, extends=own is not None)
    name = None if own is None else own[0]
    if name is not None:
        params = _replaced(params, name, limit)
    _check_actions(env.action_space(params))
    with jax.numpy_rank_promotion("allow"):
        view, state = jax.eval_shape(env.reset_env, jax.random.key(0), params)
    require_one_array(view)
    hidden = own is None and (elsewhere is not None or bool(clocks_by_name(state)))
    return FromGymnax(
        env, params, num_agents, limit, limit_name=name, ends_at_limit=hidden, restart=restart
    )


def _field(params: PyTree, name: str) -> Any:
    return params[name] if isinstance(params, dict) else getattr(params, name)


def _replaced(params: PyTree, name: str, value: Any) -> PyTree:
    """Parameters with another value of one field."""
    if isinstance(params, dict):
        return {**params, name: value}
    if hasattr(params, "_replace"):
        return params._replace(**{name: value})
    return dataclasses.replace(params, **{name: value})


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
