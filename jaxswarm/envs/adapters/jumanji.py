"""jumanji's multi-agent environments with an agents axis everywhere, and ours in its registry.

Tried with LevelBasedForaging, SearchAndRescue, Connector, RobotWarehouse and Cleaner.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs
from jumanji.env import Environment
from jumanji.registration import register as register_in_jumanji
from jumanji.registration import registered_environments

from jaxswarm.envs.adapters.observation import AdaptedObservation
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, SwarmState, spec_of

# Fields that jumanji gives once for all agents although their first axis may happen to be N long.
_SHARED = {"Connector": ("grid",), "Cleaner": ("grid",)}

# Environments of ours that jumanji can make by name: jumanji.make("jaxswarm.SimpleSpread-v0").
_OURS = {
    "Aloha-v0": "jaxswarm.envs.aloha:Aloha",
    "CoordinationGame-v0": "jaxswarm.envs.coordination_game:CoordinationGame",
    "CorridorMaze-v0": "jaxswarm.envs.corridor_maze:CorridorMaze",
    "Donations-v0": "jaxswarm.envs.donations:Donations",
    "Pendulum-v0": "jaxswarm.envs.pendulum:Pendulum",
    "Porters-v0": "jaxswarm.envs.porters:Porters",
    "RiskyPointMass-v0": "jaxswarm.envs.risky_point_mass:RiskyPointMass",
    "SearchAndRescue-v0": "jaxswarm.envs.search_and_rescue:SearchAndRescue",
    "SimpleSpread-v0": "jaxswarm.envs.spread:SimpleSpread",
    "SimpleTag-v0": "jaxswarm.envs.tag:SimpleTag",
    "SumGuessing-v0": "jaxswarm.envs.sum_guessing:SumGuessing",
    "Flocking-v0": "jaxswarm.envs.swarmbench:Flocking",
    "Foraging-v0": "jaxswarm.envs.swarmbench:Foraging",
    "Pursuit-v0": "jaxswarm.envs.swarmbench:Pursuit",
    "Synchronization-v0": "jaxswarm.envs.swarmbench:Synchronization",
    "Transport-v0": "jaxswarm.envs.swarmbench:Transport",
    "TwoObjectiveGrid-v0": "jaxswarm.envs.two_objectives:TwoObjectiveGrid",
}


class JumanjiWorld(NamedTuple):
    """jumanji's own state, and what it last showed."""

    state: Any
    view: Any


class FromJumanji(SwarmEnvironment):
    """A jumanji environment as a swarm environment; build it with :func:`from_jumanji`."""

    def __init__(
        self,
        env: Environment,
        num_agents: int,
        time_limit: int,
        shared: tuple[str, ...],
        time_limit_is_truncation: bool,
        succeeded: Callable[[Any], jax.Array] | None,
    ):
        self._env = env
        self._shared = shared
        self._truncates = time_limit_is_truncation
        self._succeeded = succeeded
        super().__init__(num_agents, time_limit)

    @cached_property
    def action_spec(self) -> specs.Array:
        """The original's."""
        return self._env.action_spec

    @cached_property
    def observation_spec(self) -> specs.Spec:
        """Shapes and dtypes, every leaf ``[N, ...]``."""
        state = jax.eval_shape(self._example)
        seen = jax.eval_shape(self.observe, state.world, state.params, state.step_count)
        view = seen.view if hasattr(seen.view, "_fields") else None
        if view is None:
            return specs.Spec(
                AdaptedObservation,
                "AdaptedObservation",
                view=_leaf_specs(seen.view),
                agent_mask=specs.BoundedArray((self.num_agents,), bool, False, True, "agent_mask"),
            )
        return spec_of(seen)

    def start(self, key: jax.Array, params: Any) -> JumanjiWorld:
        """The original's reset."""
        del params
        state, timestep = self._env.reset(key)
        return JumanjiWorld(state, timestep.observation)

    def advance(
        self, key: jax.Array, world: JumanjiWorld, action: jax.Array, params: Any
    ) -> Outcome:
        """The original's step. Its own time limit is undone if it counts as a truncation."""
        del key, params
        state, timestep = self._env.step(world.state, action)
        over = timestep.last() & jnp.all(timestep.discount == 0.0)
        if self._truncates:
            clock = jnp.asarray(_steps(state) >= self.time_limit)
            excused = ~clock if self._succeeded is None else ~clock | self._succeeded(state)
            over = jnp.logical_and(over, excused)
        reward = jnp.broadcast_to(timestep.reward, (self.num_agents,)).astype(jnp.float32)
        extras = timestep.extras if isinstance(timestep.extras, dict) else {}
        world = JumanjiWorld(state, timestep.observation)
        return Outcome(world, reward, jnp.asarray(over), dict(extras))

    def observe(self, world: JumanjiWorld, params: Any, step_count: jax.Array) -> Any:
        """The original's observation, repeated per agent where it was given once."""
        del params, step_count
        n = self.num_agents

        def agents_first(path: Any, leaf: jax.Array) -> jax.Array:
            name = getattr(path[0], "name", None)
            if name in self._shared or jnp.shape(leaf)[:1] != (n,):
                return jnp.broadcast_to(leaf, (n, *jnp.shape(leaf)))
            return leaf

        view = jax.tree.map_with_path(agents_first, world.view)
        return AdaptedObservation(view, jnp.ones(n, bool))

    def render(self, state: SwarmState, ax: Any = None) -> Any:
        """The original's picture, in a window of its own: ``ax`` is not used."""
        del ax
        return self._env.render(state.world.state)

    def animate(
        self, states: Any, interval: float = 100.0, save_path: str | Path | None = None
    ) -> Any:
        """The original's animation of states, or of one whose leaves lead with the steps."""
        if isinstance(states, SwarmState):
            worlds = states.world.state
            count = jnp.shape(states.step_count)[0]
            frames = [jax.tree.map(lambda x, t=t: x[t], worlds) for t in range(count)]
        else:
            frames = [state.world.state for state in states]
        original: Any = self._env  # jumanji's base class knows no animate
        return original.animate(
            frames, int(interval), None if save_path is None else str(save_path)
        )


def from_jumanji(
    env: Environment,
    *,
    num_agents: int | None = None,
    shared: Sequence[str] | None = None,
    time_limit: int | None = None,
    time_limit_is_truncation: bool = True,
    succeeded: Callable[[Any], jax.Array] | None = None,
) -> SwarmEnvironment:
    """A jumanji environment of several agents, as :class:`jaxswarm.envs.SwarmEnvironment`.

    A scalar reward becomes every agent's. Several of jumanji's environments *terminate* (discount
    0) at their time limit, which teaches a critic that the future is worth nothing there; by
    default that end is a truncation (discount 1) here.

    Args:
        env: the original.
        num_agents: ``N``, read from its action spec if omitted.
        shared: fields of its observation that are not per agent although their first axis is
            ``N`` long; known for jumanji's own environments.
        time_limit: its limit, read from ``env.time_limit`` if omitted.
        time_limit_is_truncation: false keeps the original's discount at the limit.
        succeeded: ``succeeded(state) -> bool[]``, to tell a success in the very last step from
            the clock; without it that step counts as truncated.

    Raises:
        ValueError: if ``env`` has no agents axis in its actions, no state field that counts steps,
            or its time limit is unknown.
    """
    if not isinstance(env, Environment):
        raise ValueError(f"env: expected a jumanji environment, got {type(env).__name__}")
    shape = env.action_spec.shape
    if num_agents is None:
        if not shape:
            raise ValueError("env: expected actions with an agents axis, got a scalar action")
        num_agents = int(shape[0])
    if shape[:1] != (num_agents,):
        raise ValueError(f"num_agents: actions have shape {shape}, got {num_agents} agents")
    limit = getattr(env, "time_limit", None) if time_limit is None else time_limit
    if limit is None:
        raise ValueError("time_limit: the environment does not say its own; expected one")
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    if _steps(state) is None:
        raise ValueError("env: expected a state with a field step_count or step, got neither")
    name = type(env.unwrapped).__name__
    fields = _SHARED.get(name, ()) if shared is None else tuple(shared)
    return FromJumanji(env, num_agents, int(limit), fields, time_limit_is_truncation, succeeded)


def register() -> list[str]:
    """Put our environments into jumanji's registry, ``jumanji.make("jaxswarm.SimpleSpread-v0")``.

    (Its names allow no slash.)

    Returns:
        Their names. Calling it again changes nothing.
    """
    names = []
    for name, entry_point in _OURS.items():
        full = f"jaxswarm.{name}"
        if full not in registered_environments():
            register_in_jumanji(full, entry_point=entry_point)
        names.append(full)
    return names


def _steps(state: Any) -> Any:
    for field in ("step_count", "step"):
        if hasattr(state, field):
            return getattr(state, field)
    return None


def _leaf_specs(view: Any) -> specs.Spec:
    """The spec of a dataclass observation."""
    fields = {
        name: specs.Array(getattr(view, name).shape, getattr(view, name).dtype, name)
        for name in inspect.signature(type(view)).parameters
    }
    return specs.Spec(type(view), type(view).__name__, **fields)
