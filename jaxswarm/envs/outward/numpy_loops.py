"""Environments for loops in numpy or PyTorch: PettingZoo's ``ParallelEnv``, gymnasium's vectors.

Both libraries are imported when an adapter is made; gymnasium comes with jumanji, PettingZoo is the
extra ``pettingzoo``.

Shapes: ``N`` agents, ``D`` numbers of an agent's observation, ``R`` rows.

References:
    J. Terry et al., PettingZoo: gym for multi-agent reinforcement learning, 2021.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.environment import SwarmEnvironment, require_environment
from jaxswarm.envs.outward.views import Discrete, action_mask, names, size, space_of, vectors
from jaxswarm.envs.wrappers import AutoReset, Vmapped
from jaxswarm.types import PyTree


def to_pettingzoo(env: SwarmEnvironment, env_params: PyTree = None, *, seed: int = 0) -> Any:
    """Turn an environment into a PettingZoo ``ParallelEnv`` of numpy arrays (extra ``pettingzoo``).

    Observations are ``float32[D]`` per agent; where the environment has one, the mask of legal
    actions is ``infos[agent]["action_mask"]``, ``int8[A]``. Agents that left or whose episode ended
    are *terminated*; at the time limit all are *truncated*.

    Args:
        env: of this package, or your own.
        env_params: its physics; the default if omitted.
        seed: of the episodes until ``reset(seed=…)`` gives another.

    Raises:
        ImportError: without PettingZoo.
        ValueError: if ``env`` is no environment of this kind.

    Example:
        >>> from jaxswarm import envs
        >>> env = envs.to_pettingzoo(envs.SimpleSpread(num_agents=2))  # doctest: +SKIP
        >>> observations, infos = env.reset(seed=0)  # doctest: +SKIP
    """
    require_environment(env)
    seed = checks.whole("seed", seed)
    try:
        import pettingzoo
    except ImportError as error:
        raise ImportError(
            "pettingzoo is not installed: pip install 'jaxswarm[pettingzoo]'", name="pettingzoo"
        ) from error

    def viewed(timestep: Any) -> tuple[Any, ...]:
        observation = timestep.observation
        return (
            vectors(observation),
            action_mask(observation),
            timestep.reward,
            timestep.discount,
            timestep.last(),
        )

    reset, step = _compiled(env, env_params, viewed)

    class Parallel(pettingzoo.ParallelEnv):  # its base class is of that library
        metadata = {"name": type(env).__name__, "render_modes": []}  # noqa: RUF012
        render_mode = None

        def __init__(self) -> None:
            self.possible_agents = names(env)
            self.agents: list[str] = []
            self._key, self._world, self._state = jax.random.key(seed), None, None
            self._observation_space = _box(size(env))
            self._action_spaces = _gym_spaces(env)

        def observation_space(self, agent: str) -> Any:
            return self._observation_space

        def action_space(self, agent: str) -> Any:
            return self._action_spaces[agent]

        def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[Any, Any]:
            del options
            self._key = self._key if seed is None else jax.random.key(seed)
            self._key, key = jax.random.split(self._key)
            self._world, (rows, legal, *_) = reset(key)
            self.agents = list(self.possible_agents)
            return self._seen(self.agents, rows), self._infos(self.agents, legal)

        def step(self, actions: dict[str, Any]) -> tuple[Any, ...]:
            if self._world is None:
                raise ValueError("step: expected a call of reset before the first step")
            self._world, (rows, legal, reward, discount, last) = step(
                self._world, _joined(env, actions)
            )
            acted, over = self.agents, bool(last)
            reward, discount = np.asarray(reward), np.asarray(discount)
            index = {name: i for i, name in enumerate(self.possible_agents)}
            ended = {name: bool(discount[index[name]] == 0.0) for name in acted}
            truncated = {name: over and not ended[name] for name in acted}
            self.agents = [] if over else [name for name in acted if not ended[name]]
            rewards = {name: float(reward[index[name]]) for name in acted}
            return (
                self._seen(acted, rows), rewards, ended, truncated, self._infos(acted, legal)
            )  # fmt: skip

        def state(self) -> np.ndarray:
            if self._world is None:
                raise ValueError("state: expected a call of reset before")
            return np.asarray(env.global_state(self._world))

        def render(self) -> None:
            return None

        def close(self) -> None:
            self._world = None

        def _seen(self, agents: list[str], rows: Any) -> dict[str, np.ndarray]:
            table = np.asarray(rows)
            return {n: table[i] for i, n in enumerate(self.possible_agents) if n in agents}

        def _infos(self, agents: list[str], legal: Any) -> dict[str, dict[str, Any]]:
            if legal is None:
                return {name: {} for name in agents}
            table = np.asarray(legal).astype(np.int8)
            index = {name: i for i, name in enumerate(self.possible_agents)}
            return {name: {"action_mask": table[index[name]]} for name in agents}

    return Parallel()


def to_gymnasium(
    env: SwarmEnvironment, num_envs: int = 1, env_params: PyTree = None, *, seed: int = 0
) -> Any:
    """Turn environments into one gymnasium ``VectorEnv``, a row per agent, numpy in and out.

    Row ``e · N + i`` is agent ``i`` of environment ``e``, so that loops that train one policy in
    many environments train one policy for all agents. They need one action space. A new episode
    begins in the step in which one ends (``AutoresetMode.SAME_STEP``): ``infos["final_obs"]`` has
    the last observations of the old one in the rows of ``infos["_final_obs"]``. Agents that left
    are *terminated* until then, with rewards of 0. Masks of legal actions are
    ``infos["action_mask"]``, ``int8[R, A]``.

    Args:
        env: of this package, or your own.
        num_envs: number of environments, ``R = num_envs · N``.
        env_params: their physics; the default if omitted.
        seed: of the episodes until ``reset(seed=…)`` gives another.

    Raises:
        ValueError: if ``env`` is no environment of this kind, or its agents have different action
            spaces.

    Example:
        >>> from jaxswarm import envs
        >>> env = envs.to_gymnasium(envs.SimpleSpread(num_agents=2), num_envs=4)
        >>> observations, infos = env.reset(seed=0)
        >>> observations.shape, env.single_action_space.shape
        ((8, 10), (2,))
        >>> observations, rewards, *_ = env.step(env.action_space.sample())
        >>> rewards.shape
        (8,)
    """
    require_environment(env)
    num_envs, seed = checks.whole("num_envs", num_envs, 1), checks.whole("seed", seed)
    from gymnasium import vector
    from gymnasium.vector.utils import batch_space

    spaces = list(_gym_spaces(env).values())
    if any(space != spaces[0] for space in spaces):
        raise ValueError("env: expected one action space for all agents, got different ones")
    many = AutoReset(Vmapped(env, num_envs))
    rows = num_envs * env.num_agents

    def viewed(timestep: Any) -> tuple[Any, ...]:
        flat = jax.vmap(lambda x: (vectors(x), action_mask(x)))
        now, legal = flat(timestep.observation)
        final, _ = flat(timestep.extras["next_obs"])
        return now, legal, final, timestep.reward, timestep.discount, timestep.last()

    reset, step = _compiled(many, env_params, viewed)

    class Vector(vector.VectorEnv):
        metadata = {"autoreset_mode": vector.AutoresetMode.SAME_STEP}  # noqa: RUF012
        render_mode = None

        def __init__(self) -> None:
            self.num_envs = rows
            self.single_observation_space = _box(size(env))
            self.single_action_space = spaces[0]
            self.observation_space = batch_space(self.single_observation_space, rows)
            self.action_space = batch_space(self.single_action_space, rows)
            self._keys, self._state = jax.random.key(seed), None

        def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
            del options
            first = seed[0] if isinstance(seed, (list, tuple)) else seed
            self._keys = self._keys if first is None else jax.random.key(first)
            self._keys, key = jax.random.split(self._keys)
            self._state, (now, legal, *_) = reset(key)
            return _rows(now), _masks(legal)

        def step(self, actions: Any) -> tuple[Any, ...]:
            if self._state is None:
                raise ValueError("step: expected a call of reset before the first step")
            shape = (num_envs, env.num_agents, *env.action_spec.shape[1:])
            given = np.asarray(actions, env.action_spec.dtype).reshape(shape)
            self._state, (now, legal, final, reward, discount, last) = step(self._state, given)
            over = np.repeat(np.asarray(last), env.num_agents)
            ended = np.asarray(discount).reshape(-1) == 0.0
            infos = _masks(legal)
            if over.any():
                infos |= {"final_obs": _rows(final), "_final_obs": over}
            gained = np.asarray(reward, np.float64).reshape(-1)
            return _rows(now), gained, ended, over & ~ended, infos

    return Vector()


def _compiled(
    env: Any, env_params: PyTree, viewed: Callable[[Any], tuple[Any, ...]]
) -> tuple[Callable[[jax.Array], tuple[Any, Any]], Callable[[Any, Any], tuple[Any, Any]]]:
    """Compiled ``reset`` and ``step``, which return the state and what is viewed of a time step."""

    @jax.jit
    def reset(key: jax.Array) -> tuple[Any, Any]:
        state, timestep = env.reset(key, env_params)
        return state, viewed(timestep)

    @jax.jit
    def step(state: Any, action: Any) -> tuple[Any, Any]:
        state, timestep = env.step(state, action)
        return state, viewed(timestep)

    return reset, step


def _rows(x: Any) -> np.ndarray:
    return np.asarray(x).reshape(-1, np.shape(x)[-1])


def _masks(legal: Any) -> dict[str, Any]:
    return {} if legal is None else {"action_mask": _rows(legal).astype(np.int8)}


def _box(length: int) -> Any:
    from gymnasium import spaces

    return spaces.Box(-np.inf, np.inf, (length,), np.float32)


def _gym_spaces(env: SwarmEnvironment) -> dict[str, Any]:
    """Gymnasium's action space of every agent."""
    from gymnasium import spaces

    found = {}
    for index, name in enumerate(names(env)):
        space = space_of(env, index)
        if isinstance(space, Discrete):
            found[name] = spaces.Discrete(space.n)
        else:
            low, high = (np.asarray(x, np.float32) for x in (space.low, space.high))
            found[name] = spaces.Box(low, high, space.shape, np.float32)
    return found


def _joined(env: SwarmEnvironment, actions: dict[str, Any]) -> np.ndarray:
    """Actions of all agents, zeros for those that are missing because they left."""
    known = names(env)
    if not isinstance(actions, dict) or not set(actions) <= set(known):
        raise ValueError(f"actions: expected a dict with some of {known}, got {actions!r}")
    joined = np.zeros(env.action_spec.shape, env.action_spec.dtype)
    for index, name in enumerate(known):
        if name in actions:
            joined[index] = actions[name]
    return joined
