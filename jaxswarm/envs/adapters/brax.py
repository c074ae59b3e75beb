"""Adapter for brax environments, one copy per agent.

brax is not a dependency; install it (``pip install brax``) and pass one of its environments. Tested
with its release 0.14.2.

References:
    C. D. Freeman et al., Brax: a differentiable physics engine for large scale rigid body
    simulation, 2021.
"""

from functools import cached_property
from typing import Any

import jax
from jumanji import specs

from jaxswarm.envs.adapters.copies import (
    CopyStep,
    IndependentCopies,
    choose_restart,
    require,
    require_one_array,
)
from jaxswarm.envs.adapters.time_limit import choose_limit, clocks_by_name, own_limit
from jaxswarm.envs.environment import SwarmEnvironment, continuous_actions
from jaxswarm.types import PyTree

# Parts of the names of brax's training wrappers, which count, restart or stack episodes themselves.
_TRAINING = ("AutoReset", "Episode", "Vmap", "Eval")


class FromBrax(IndependentCopies):
    """A brax environment as a swarm environment; build it with :func:`from_brax`."""

    def __init__(
        self,
        env: Any,
        num_agents: int,
        time_limit: int,
        *,
        ends_at_limit: bool,
        restart: bool | None,
    ):
        self._env, self.ends_at_limit = env, ends_at_limit
        self.restarts = choose_restart(restart, num_agents)
        super().__init__(num_agents, time_limit)

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``float32[N, A]`` in ``[-1, 1]``."""
        return continuous_actions(self.num_agents, int(self._env.action_size))

    def begin(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Reset the original environment."""
        del params
        state = self._env.reset(key)
        return state, state.obs

    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> CopyStep:
        """The original's step; its ``done`` is a termination, except at a limit of its own."""
        del key, params
        state = self._env.step(state, action)
        return CopyStep(state, state.obs, state.reward, state.done > 0.5, dict(state.metrics))


def from_brax(
    env: Any,
    *,
    num_agents: int = 1,
    time_limit: int | None = None,
    restart: bool | None = None,
) -> SwarmEnvironment:
    """Turn a brax environment into a :class:`jaxswarm.envs.SwarmEnvironment`, a copy per agent.

    The copies are independent; actions are ``float32[N, A]`` in ``[-1, 1]``, observations
    ``[N, O]``. brax's ``done``, such as a fall, terminates; a copy that is done begins anew
    (discount 0 in that step, ``extras["restarted"]``). The time limit truncates (discount 1), also
    where an original with a clock in its ``info`` or a limit of its own is done there. brax's
    metrics are in ``extras``, ``[N]`` each.

    Args:
        env: an environment of ``brax.envs.get_environment``; of ``brax.envs.create`` only with
            ``episode_length=None, auto_reset=False``.
        num_agents: ``N``.
        time_limit: steps; by default the original's own limit, such as ``env.episode_length``, or
            brax's usual 1,000 if it has none.
        restart: false: a copy that is done is masked out until all are, which ends the episode. By
            default true for several copies; a single one ends the episode.

    Raises:
        ValueError: if ``env`` is not a brax environment, is in one of brax's training wrappers, or
            has observations that are not one array; or for a time limit beyond the original's own.
    """
    require(env, ("reset", "step", "action_size"), "brax")
    inner, own = env, own_limit(env)
    while inner is not None:
        name = type(inner).__name__
        if name.endswith("Wrapper") and any(part in name for part in _TRAINING):
            raise ValueError(
                f"env: expected a brax environment without training wrappers, got {name}; "
                "try brax.envs.get_environment"
            )
        inner = getattr(inner, "__dict__", {}).get("env")
        own = own_limit(inner) if own is None else own
    with jax.numpy_rank_promotion("allow"):
        state = jax.eval_shape(env.reset, jax.random.key(0))
    require(state, ("obs", "reward", "done", "metrics"), "brax")
    require_one_array(state.obs)
    limit = 1_000 if time_limit is None and own is None else choose_limit(time_limit, own)
    counted = bool(clocks_by_name(getattr(state, "info", ())))
    return FromBrax(
        env, num_agents, limit, ends_at_limit=counted or own is not None, restart=restart
    )
