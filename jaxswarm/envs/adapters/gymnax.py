"""gymnax's environments, one copy per agent.

gymnax is not a dependency; install it beside (``pip install gymnax``) and hand over one of its
environments. Tried with its releases 0.0.9 and 1.0.1.

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

from jaxswarm.envs.adapters.copies import IndependentCopies, Moved, require, require_one_array
from jaxswarm.envs.environment import SwarmEnvironment, discrete_actions

PyTree = Any
CLOCK = "max_steps_in_episode"


class FromGymnax(IndependentCopies):
    """A gymnax environment as a swarm environment; build it with :func:`from_gymnax`."""

    def __init__(self, env: Any, params: PyTree, num_agents: int, time_limit: int):
        self._env = env
        self._params = params
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> PyTree:
        """The original's, with the time limit in them."""
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
        """The original's ``reset_env``."""
        view, state = self._env.reset_env(key, _limited(params, self.time_limit))
        return state, view

    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> Moved:
        """The original's ``step_env``, which does not reset by itself as its ``step`` does.

        Its ``done`` may be due to its clock; whether the copy is over is asked of the same step
        under a limit that is never reached. Nothing else of that step is used, so that a compiler
        leaves no more of it than a comparison.
        """
        step, limited = self._env.step_env, _limited(params, self.time_limit)
        view, after, reward, _, _ = step(key, state, action, limited)
        *_, over, _ = step(key, state, action, _limited(params, None))
        return Moved(after, view, jnp.reshape(reward, ()), jnp.reshape(over, ()).astype(bool), {})


def from_gymnax(
    env: Any, params: PyTree = None, *, num_agents: int = 1, time_limit: int | None = None
) -> SwarmEnvironment:
    """A gymnax environment as :class:`jaxswarm.envs.SwarmEnvironment`, a copy for every agent.

    The copies are independent; actions are ``int32[N]`` or ``float32[N, ...]``, observations
    ``[N, ...]``. The time limit truncates (discount 1), also where gymnax only says ``done``; a
    copy that terminates is masked out until all are over.

    gymnax's parameters are the physics: ``reset(key, params)`` takes others, traced or ``vmap``ped,
    each leaf one for all agents or with a leading ``N``. Only ``max_steps_in_episode`` is not asked
    there: it is ``time_limit``.

    Args:
        env: the first of what ``gymnax.make`` returns, without wrappers.
        params: the second; ``env.default_params`` if omitted.
        num_agents: ``N``.
        time_limit: read from ``params.max_steps_in_episode`` if omitted.

    Raises:
        ValueError: if ``env`` is no gymnax environment, is wrapped, has other spaces than discrete
            or bounded actions and observations that are one array; or the time limit is unknown.
    """
    require(env, ("default_params", "reset_env", "step_env", "action_space"), "gymnax")
    if "_env" in getattr(env, "__dict__", {}):
        raise ValueError(
            f"env: expected a gymnax environment itself, got one in a {type(env).__name__}, "
            "whose own reset and step would be passed by"
        )
    params = env.default_params if params is None else params
    limit = _whole(getattr(params, CLOCK, None)) if time_limit is None else time_limit
    if limit is None:
        raise ValueError("time_limit: the environment does not say its own; expected one")
    if hasattr(params, CLOCK):
        params = dataclasses.replace(params, **{CLOCK: limit})
    _check_actions(env.action_space(params))
    with jax.numpy_rank_promotion("allow"):
        view, _ = jax.eval_shape(env.reset_env, jax.random.key(0), params)
    require_one_array(view)
    return FromGymnax(env, params, num_agents, limit)


def _whole(limit: Any) -> Any:
    """A limit as an integer; one of the originals writes ``100.0``, and theirs may be arrays."""
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
    """Parameters under another time limit, ``None`` for none at all."""
    if not hasattr(params, CLOCK):
        return params
    limit = jnp.asarray(getattr(params, CLOCK))
    if steps is None:
        whole = jnp.issubdtype(limit.dtype, jnp.integer)
        limit = jnp.full_like(limit, jnp.iinfo(limit.dtype).max if whole else jnp.inf)
    else:
        limit = jnp.full_like(limit, steps)
    return dataclasses.replace(params, **{CLOCK: limit})
