"""The base class of multi-agent environments: a jumanji environment from three pure functions.

A subclass writes ``start``, ``advance`` and ``observe`` on its own state pytree, the *world*.
:class:`SwarmEnvironment` makes a ``jumanji.env.Environment`` of them and handles, in one place,
keys, the step count, the time limit (which *truncates*: the discount stays 1), agents that left
(masked: reward and discount 0), and ``extras`` of the same structure at reset and step.

Within an environment ``params`` are its physics, as in gymnax; where an environment and a policy
meet, as in :func:`jaxswarm.envs.unroll`, physics are ``env_params``.

Shapes: ``N`` agents on axis 0 of every leaf of an observation, of rewards and of discounts.

References:
    C. Bonnet et al., Jumanji: a diverse suite of scalable reinforcement learning environments in
    JAX, 2023 (the interface).
"""

import abc
import contextlib
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs
from jumanji.env import Environment
from jumanji.types import StepType, TimeStep

from jaxswarm import agents, checks
from jaxswarm.types import Key, PyTree


class SwarmState(NamedTuple):
    """State of an environment.

    Attributes:
        key: a typed key; every step uses a fresh one.
        step_count: ``int32[]``, steps since reset.
        params: the physics, a pytree of numbers that may be traced and vmapped.
        world: the environment's own pytree.
    """

    key: jax.Array
    step_count: jax.Array
    params: PyTree
    world: PyTree


class Outcome(NamedTuple):
    """Result of ``advance``.

    Attributes:
        world: the world after the step.
        reward: ``float32[N]``.
        terminated: ``bool[]``, the episode ended by success or failure, not by the time limit.
        metrics: name -> array, the same names in every step; recorded in ``extras``.
        restarted: ``bool[N]``, agents whose own episode ended in this step, not by the time limit,
            and that observe the first step of another: their discount is 0, and they stay. ``None``
            where agents have no episodes of their own. In ``extras`` under its name.
    """

    world: PyTree
    reward: jax.Array
    terminated: jax.Array
    metrics: dict[str, jax.Array]
    restarted: jax.Array | None = None


class SwarmEnvironment(Environment, abc.ABC):
    """A jumanji environment of ``num_agents`` agents; subclasses write the world's functions.

    Attributes:
        num_agents: ``N``.
        time_limit: steps after which an episode is truncated.

    Raises:
        ValueError: if there are no agents or ``time_limit < 1``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> env = envs.SimpleSpread(num_agents=3)
        >>> state, timestep = env.reset(jax.random.key(0))
        >>> state, timestep = env.step(state, jnp.zeros((3, 2)))
        >>> timestep.reward.shape, timestep.observation.position.shape
        ((3,), (3, 2))
    """

    def __init__(self, num_agents: int, time_limit: int):
        self.num_agents = checks.whole("num_agents", num_agents, 1)
        self.time_limit = checks.whole("time_limit", time_limit, 1)
        tracing = checks.is_traced(jnp.zeros(()))
        # Specs are known, also where jit is tracing.
        with jax.ensure_compile_time_eval() if tracing else contextlib.nullcontext():
            super().__init__()

    # Written by subclasses.

    @property
    def params(self) -> PyTree:
        """The default physics: a pytree of numbers; ``reset`` takes others."""
        return ()

    @abc.abstractmethod
    def start(self, key: jax.Array, params: PyTree) -> PyTree:
        """The world at the start of an episode."""

    @abc.abstractmethod
    def advance(self, key: jax.Array, world: PyTree, action: jax.Array, params: PyTree) -> Outcome:
        """One step of the world."""

    @abc.abstractmethod
    def observe(self, world: PyTree, params: PyTree, step_count: jax.Array) -> PyTree:
        """A NamedTuple whose leaves are ``[N, ...]``, one of them ``agent_mask: bool[N]``."""

    def agent_mask(self, world: PyTree) -> jax.Array:
        """Mask of the agents that are still in the world, ``bool[N]``; all unless overridden."""
        del world
        return jnp.ones(self.num_agents, bool)

    def global_state(self, state: SwarmState) -> jax.Array:
        """Input of a centralised critic, ``float32[D]``; all observations by default.

        Observations of agents that left are 0.
        """
        observation = self.observe(state.world, state.params, state.step_count)
        mask = self.agent_mask(state.world)
        observation = agents.where(mask, observation, jax.tree.map(jnp.zeros_like, observation))
        return jnp.concatenate(
            [jnp.ravel(leaf).astype(jnp.float32) for leaf in jax.tree.leaves(observation)]
        )

    @cached_property
    @abc.abstractmethod
    def action_spec(self) -> specs.Array:
        """Spec of the actions, with agents on axis 0."""

    def draw(self, world: PyTree, params: PyTree, ax: Any) -> None:
        """Draw one world, leaves as numpy arrays, into empty matplotlib axes.

        Raises:
            NotImplementedError: unless a subclass overrides it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no rendering yet: write draw(world, params, ax)"
        )

    # Called by jumanji and by training loops.

    def reset(self, key: Key, params: PyTree = None) -> tuple[SwarmState, TimeStep]:
        """Start an episode, with the given physics or the default.

        Args:
            key: a random key.
            params: physics like ``self.params``; leaves may be traced.

        Raises:
            ValueError: if ``key`` is not a typed key, or ``params`` has another structure than
                ``self.params`` or a leaf that is NaN or no number.
        """
        checks.key(key)
        default = self.params
        if params is None:
            params = default
        elif jax.tree.structure(params) != jax.tree.structure(default):
            raise ValueError(
                f"params: expected {jax.tree.structure(default)}, got {jax.tree.structure(params)}"
            )
        jax.tree.map_with_path(_check_physics, params)
        params = jax.tree.map(jnp.asarray, params)
        start_key, key = jax.random.split(key)
        state = SwarmState(key, jnp.int32(0), params, self.start(start_key, params))
        return state, TimeStep(
            step_type=StepType.FIRST,
            reward=jnp.zeros(self.num_agents, jnp.float32),
            discount=self.agent_mask(state.world).astype(jnp.float32),
            observation=self.observe(state.world, params, state.step_count),
            extras=self._blank_extras(state),
        )

    def step(self, state: SwarmState, action: jax.Array) -> tuple[SwarmState, TimeStep]:
        """One step of all agents; actions of agents that left are ignored by the world.

        Raises:
            ValueError: if ``action`` does not have the shape and the kind of ``action_spec``, or a
                known discrete action of an agent that is present does not exist.
        """
        checks.instance("state", state, SwarmState, "what reset returns")
        acting = self.agent_mask(state.world)
        action = _checked_action(action, self.action_spec, acting)
        key, draw = jax.random.split(state.key)
        outcome = self.advance(draw, state.world, action, state.params)
        state = SwarmState(key, state.step_count + 1, state.params, outcome.world)
        truncated = state.step_count >= self.time_limit
        last = outcome.terminated | truncated
        goes_on = self.agent_mask(state.world) & ~outcome.terminated
        if outcome.restarted is not None:
            goes_on = goes_on & ~outcome.restarted
        return state, TimeStep(
            step_type=jnp.where(last, StepType.LAST, StepType.MID),
            reward=jnp.where(acting, outcome.reward, 0.0),
            discount=jnp.where(goes_on, 1.0, 0.0),
            observation=self.observe(state.world, state.params, state.step_count),
            extras={**_extras(outcome), "truncated": truncated & ~outcome.terminated},
        )

    def render(self, state: SwarmState, ax: Any = None) -> Any:
        """Draw one state into matplotlib axes, new ones unless given.

        Raises:
            ValueError: if ``state`` is a batch or a trajectory of states.
        """
        from jaxswarm import plotting

        checks.instance("state", state, SwarmState, "what reset returns")
        if jnp.ndim(state.step_count):
            raise ValueError(
                f"state: expected a single one, got a batch {jnp.shape(state.step_count)}; "
                "pick one with jax.tree.map(lambda x: x[t], state), or animate"
            )
        ax = plotting.axes(width=4.5, height=4.5) if ax is None else ax
        self.draw(_on_host(state.world), _on_host(state.params), ax)
        return ax

    def animate(
        self,
        states: Any,
        interval: float = 100.0,
        save_path: str | Path | None = None,
        *,
        dpi: int = 90,
    ) -> Any:
        """Make a matplotlib animation of an episode; written to ``save_path`` if given.

        Args:
            states: a sequence of states, or one whose leaves lead with the steps, such as
                ``unroll(..., keep_states=True)`` returns.
            interval: milliseconds between frames.
            save_path: a file name that ends in ``.gif``, or in ``.mp4`` (which needs the program
                ``ffmpeg``); parent folders are created.
            dpi: dots per inch of the 4.5-inch figure.

        Raises:
            ValueError: without states, for another kind of file, or ``.mp4`` without ffmpeg.
        """
        from jaxswarm import plotting

        if isinstance(states, SwarmState):
            count = jnp.shape(states.step_count)
            if len(count) != 1:
                raise ValueError(f"states: expected leaves that lead with the steps, got {count}")
            worlds, params = _on_host(states.world), _on_host(states.params)
            frames = [jax.tree.map(lambda x, t=t: x[t], (worlds, params)) for t in range(count[0])]
        else:
            frames = [
                (_on_host(state.world), _on_host(state.params)) for state in _each_state(states)
            ]
        if not frames:
            raise ValueError("states: expected at least one, got none")

        def draw(ax: Any, frame: int) -> None:
            world, params = frames[frame]
            self.draw(world, params, ax)

        return plotting.movie(draw, len(frames), interval, save_path, dpi=dpi)

    def _blank_extras(self, state: SwarmState) -> dict[str, jax.Array]:
        spec = self.action_spec
        shape = jax.eval_shape(
            lambda s, a: _extras(self.advance(s.key, s.world, a, s.params)),
            state,
            jax.ShapeDtypeStruct(spec.shape, spec.dtype),
        )
        blank = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shape)
        return {**blank, "truncated": jnp.zeros((), bool)}

    @cached_property
    def observation_spec(self) -> specs.Spec:
        """Shapes and dtypes of an observation, derived from ``observe``."""
        state = jax.eval_shape(self._example)
        observation = jax.eval_shape(self.observe, state.world, state.params, state.step_count)
        return spec_of(observation)

    @cached_property
    def reward_spec(self) -> specs.Array:
        """Spec of the rewards, ``float32[N]``."""
        return specs.Array((self.num_agents,), jnp.float32, "reward")

    @cached_property
    def discount_spec(self) -> specs.BoundedArray:
        """Spec of the discounts, ``float32[N]`` in ``[0, 1]``."""
        return specs.BoundedArray((self.num_agents,), jnp.float32, 0.0, 1.0, "discount")

    def _example(self) -> SwarmState:
        params = jax.tree.map(jnp.asarray, self.params)
        key = jax.random.key(0)
        return SwarmState(key, jnp.int32(0), params, self.start(key, params))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_agents={self.num_agents}, time_limit={self.time_limit})"


def _extras(outcome: Outcome) -> dict[str, jax.Array]:
    if outcome.restarted is None:
        return outcome.metrics
    return {**outcome.metrics, "restarted": outcome.restarted}


def _on_host(tree: PyTree) -> PyTree:
    """Leaves as numpy arrays; typed keys are left unchanged."""

    def leaf(x: Any) -> Any:
        return x if jnp.issubdtype(jnp.asarray(x).dtype, jax.dtypes.prng_key) else np.asarray(x)

    return jax.tree.map(leaf, tree)


def _each_state(states: Any) -> list[SwarmState]:
    """The given states as a list.

    Raises:
        ValueError: unless they are a sequence of :class:`SwarmState`.
    """
    if not isinstance(states, (list, tuple)):
        raise ValueError(f"states: expected a sequence of states, got {checks.shown(states)}")
    return [checks.instance("states", state, SwarmState, "what reset returns") for state in states]


def _check_physics(path: Any, leaf: Any) -> None:
    """Refuse physics that are no numbers or NaN; infinite and traced ones pass."""
    if checks.is_traced(leaf) or jnp.issubdtype(
        getattr(leaf, "dtype", np.float32), jax.dtypes.prng_key
    ):
        return
    name = f"params{jax.tree_util.keystr(path)}"
    array = checks.as_array(name, leaf, "numbers")
    if jnp.issubdtype(array.dtype, jnp.floating) and np.isnan(array).any():
        raise ValueError(f"{name}: expected numbers, got nan")


def _checked_action(action: Any, spec: specs.Array, acting: jax.Array) -> jax.Array:
    """An action as an array, after a check of its shape, its kind and known discrete choices."""
    wanted = f"{np.dtype(spec.dtype)}{list(spec.shape)}"
    known = isinstance(action, jax.Array) or checks.is_traced(action)
    array = action if known else checks.as_array("action", action, wanted)
    if array.shape != spec.shape:
        raise ValueError(f"action: expected shape {spec.shape}, got {array.shape}")
    discrete = jnp.issubdtype(spec.dtype, jnp.integer)
    fits = jnp.issubdtype(array.dtype, jnp.integer)
    fits = fits or (not discrete and jnp.issubdtype(array.dtype, jnp.floating))
    if not fits:
        raise ValueError(f"action: expected {wanted}, got {array.dtype}{list(array.shape)}")
    is_known = not (checks.is_traced(array) or checks.is_traced(acting))
    if isinstance(spec, specs.MultiDiscreteArray) and is_known:
        numbers, counts = np.asarray(array), np.asarray(spec.num_values)
        present = np.asarray(acting).reshape(-1, *(1,) * (numbers.ndim - 1))
        bad = ((numbers < 0) | (numbers >= counts)) & present
        if bad.any():
            raise ValueError(
                f"action: expected each in [0, {counts[bad][0]}), got {numbers[bad][0]}"
            )
    return jnp.asarray(array)


def require_environment(value: Any, name: str = "env") -> SwarmEnvironment:
    """Check that a value is an environment of this package or a user's, not wrapped; return it.

    Raises:
        ValueError: naming what came.
    """
    if not isinstance(value, SwarmEnvironment):
        raise ValueError(
            f"{name}: expected a SwarmEnvironment such as envs.SimpleSpread(3), not wrapped, got "
            f"{checks.shown(value)}; envs.from_jumanji and its like adapt others"
        )
    return value


def spec_of(example: Any, name: str = "observation") -> specs.Spec:
    """Build a jumanji spec from a NamedTuple of arrays or shapes; boolean leaves are bounded.

    Raises:
        ValueError: if ``example`` is not a NamedTuple, or a field of it has no shape and dtype.
    """
    if not hasattr(example, "_fields"):
        raise ValueError(f"{name}: expected a NamedTuple, got {checks.shown(example)}")
    fields = {}
    for field, leaf in example._asdict().items():
        if hasattr(leaf, "_fields"):
            fields[field] = spec_of(leaf, field)
        elif not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            raise ValueError(f"{name}.{field}: expected an array, got {checks.shown(leaf)}")
        elif leaf.dtype == jnp.bool_:
            fields[field] = specs.BoundedArray(leaf.shape, bool, False, True, field)
        else:
            fields[field] = specs.Array(leaf.shape, leaf.dtype, field)
    return specs.Spec(type(example), type(example).__name__, **fields)


def discrete_actions(num_agents: int, num_actions: int) -> specs.MultiDiscreteArray:
    """Spec of discrete actions: one of ``num_actions`` per agent, ``int32[N]``.

    Raises:
        ValueError: for sizes below 1.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    num_actions = checks.whole("num_actions", num_actions, 1)
    return specs.MultiDiscreteArray(
        num_values=np.full(num_agents, num_actions, np.int32),
        name="action",  # pyright: ignore
    )


def continuous_actions(
    num_agents: int, size: int, low: float = -1.0, high: float = 1.0
) -> specs.BoundedArray:
    """Spec of continuous actions: ``size`` numbers in ``[low, high]`` per agent.

    The actions are ``float32[N, size]``.

    Raises:
        ValueError: for sizes below 1, or bounds that are not finite and increasing.
    """
    num_agents, size = checks.whole("num_agents", num_agents, 1), checks.whole("size", size, 1)
    checks.real("low", low)
    checks.real("high", high)
    if not low < high:
        raise ValueError(f"low, high: expected finite increasing bounds, got {low}, {high}")
    return specs.BoundedArray((num_agents, size), jnp.float32, low, high, "action")
