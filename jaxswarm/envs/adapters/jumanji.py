"""Adapter for jumanji's environments: agents on axis 0 of every leaf, or a copy for each agent.

Tested with LevelBasedForaging, SearchAndRescue, Connector, RobotWarehouse and Cleaner; with copies
of Snake, Maze, Game2048 and Minesweeper.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs
from jumanji.env import Environment

from jaxswarm import checks
from jaxswarm.envs.adapters.jumanji_copies import FromJumanjiCopies
from jaxswarm.envs.adapters.observation import AdaptedObservation, adapted_spec
from jaxswarm.envs.adapters.time_limit import choose_limit, clocks_by_name, is_over, own_limit
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, SwarmState

# Fields that jumanji gives once for all agents although their first axis may be of length N.
_SHARED = {"Connector": ("grid",), "Cleaner": ("grid",)}


class JumanjiWorld(NamedTuple):
    """The original's state, its last observation, and ``steps int32[]`` since the reset."""

    state: Any
    view: Any
    steps: jax.Array


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
        """The original's action spec."""
        return self._env.action_spec

    @cached_property
    def observation_spec(self) -> specs.Spec:
        """Shapes and dtypes, every leaf ``[N, ...]``."""
        state = jax.eval_shape(self._example)
        observation = jax.eval_shape(self.observe, state.world, state.params, state.step_count)
        return adapted_spec(observation)

    def start(self, key: jax.Array, params: Any) -> JumanjiWorld:
        """Reset the original environment."""
        del params
        state, timestep = self._env.reset(key)
        return JumanjiWorld(state, timestep.observation, jnp.int32(0))

    def advance(
        self, key: jax.Array, world: JumanjiWorld, action: jax.Array, params: Any
    ) -> Outcome:
        """The original's step, without termination at its time limit if that is a truncation."""
        del key, params
        state, timestep = self._env.step(world.state, action)
        terminated, steps = timestep.last() & jnp.all(timestep.discount == 0.0), world.steps + 1
        if self._truncates:
            at_limit = is_over(state, clocks_by_name(state), steps, self.time_limit)
            counts = ~at_limit if self._succeeded is None else ~at_limit | self._succeeded(state)
            terminated = jnp.logical_and(terminated, counts)
        reward = jnp.broadcast_to(timestep.reward, (self.num_agents,)).astype(jnp.float32)
        extras = timestep.extras if isinstance(timestep.extras, dict) else {}
        world = JumanjiWorld(state, timestep.observation, steps)
        return Outcome(world, reward, jnp.asarray(terminated), dict(extras))

    def observe(self, world: JumanjiWorld, params: Any, step_count: jax.Array) -> Any:
        """The original's observation, repeated for each agent where it is given once for all."""
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
        """The original's rendering, in a window of its own: ``ax`` is not used."""
        del ax
        return self._env.render(state.world.state)

    def animate(
        self,
        states: Any,
        interval: float = 100.0,
        save_path: str | Path | None = None,
        *,
        dpi: int = 90,
    ) -> Any:
        """The original's animation of a sequence of states, or of leaves that lead with steps.

        In the original's resolution: ``dpi`` is not used.
        """
        del dpi
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
    copies: bool | None = None,
    restart: bool | None = None,
) -> SwarmEnvironment:
    """Turn a jumanji environment into a :class:`jaxswarm.envs.SwarmEnvironment`.

    The agents are those on the first axis of a multi-agent environment's actions, or each has an
    independent copy of a single-agent environment (Snake, Maze, …), as by ``from_gymnax``.

    A scalar reward of a multi-agent environment is given to every agent. Several of jumanji's
    environments *terminate* (discount 0) at their time limit, which makes a critic learn a value of
    zero there; by default that end is a truncation (discount 1) here.

    Args:
        env: the original.
        num_agents: ``N``, read from its action spec if omitted; 1 copy by default.
        shared: fields of its observation that are not per agent although their first axis has
            length ``N``; known for jumanji's own environments.
        time_limit: its time limit in steps since the reset, read from ``env.time_limit`` or an
            attribute of a similar name if omitted.
        time_limit_is_truncation: false keeps the original's discount at the limit.
        succeeded: ``succeeded(state) -> bool[]``, to distinguish a success in the last step from
            the time limit; without it that step counts as truncated.
        copies: whether every agent has a copy. By default only if the action is a scalar: actions
            with axes, as Minesweeper's, may be of several agents or of one.
        restart: of copies: false: a copy that terminates is masked out until all have, which ends
            the episode. By default true for several copies, which then begin anew (discount 0 in
            that step, ``extras["restarted"]``); a single one ends the episode.

    Raises:
        ValueError: if ``num_agents`` is not the first axis of the actions of an environment without
            copies, its time limit is unknown or beyond its own, its actions are neither discrete
            nor bounded, or an option does not belong to (or without) copies.

    Example:
        >>> import jumanji, jax
        >>> from jaxswarm import envs
        >>> env = envs.from_jumanji(jumanji.make("Snake-v1"), num_agents=4, time_limit=100)
        >>> env.action_spec.shape, jax.jit(env.reset)(jax.random.key(0))[1].reward.shape
        ((4,), (4,))
    """
    if not isinstance(env, Environment):
        raise ValueError(f"env: expected a jumanji environment, got {checks.shown(env)}")
    checks.instance("time_limit_is_truncation", time_limit_is_truncation, bool)
    if succeeded is not None:
        checks.function("succeeded", succeeded)
    shape = env.action_spec.shape
    copies = not shape if copies is None else checks.flag("copies", copies)
    if copies:
        if shared is not None:
            raise ValueError("shared: expected None with copies, of which none is shared")
        _check_action(env.action_spec)
        return FromJumanjiCopies(
            env,
            checks.whole("num_agents", 1 if num_agents is None else num_agents, 1),
            choose_limit(time_limit, own_limit(env, env.unwrapped)),
            truncates=time_limit_is_truncation,
            succeeded=succeeded,
            restart=restart,
        )
    if restart is not None:
        raise ValueError(
            "restart: expected None where agents share one environment; copies=True gives every "
            "agent its own"
        )
    if not shape:
        raise ValueError("copies: expected True for a scalar action, which has no agents axis")
    if num_agents is None:
        num_agents = int(shape[0])
    num_agents = checks.whole("num_agents", num_agents, 1)
    if shape[:1] != (num_agents,):
        raise ValueError(
            f"num_agents: expected the first axis of actions of shape {shape}, got {num_agents}; "
            "copies=True gives every agent a copy of a single-agent environment"
        )
    limit = choose_limit(time_limit, own_limit(env, env.unwrapped))
    fields = _SHARED.get(type(env.unwrapped).__name__, ())
    if shared is not None:
        if isinstance(shared, str) or not all(isinstance(name, str) for name in shared):
            raise ValueError(f"shared: expected names of fields, got {checks.shown(shared)}")
        fields = tuple(shared)
    return FromJumanji(env, num_agents, limit, fields, time_limit_is_truncation, succeeded)


def _check_action(spec: Any) -> None:
    if not isinstance(spec, (specs.DiscreteArray, specs.MultiDiscreteArray, specs.BoundedArray)):
        raise ValueError(f"env: expected discrete or bounded actions, got {checks.shown(spec)}")
