"""Run copies of an environment side by side: reset, step, restart finished episodes, track returns.

Every learner collects its data through :class:`EnvRunner`. What differs between learners is passed
in: how actions are computed from observations, and what is recorded of a step.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jaxswarm import checks, envs
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.types import Key, PyTree


class EpisodeStats(NamedTuple):
    """Statistics of the episodes that ended during a collection.

    Attributes:
        count: ``int32[]``, number of episodes that ended, in all environments together; where
            agents have episodes of their own (``extras["restarted"]``), those of the agent with the
            most.
        mean_return: ``float32[N]``, their mean undiscounted return; 0 if none ended.
    """

    count: jax.Array
    mean_return: jax.Array


class RunnerState(NamedTuple):
    """State of the environments between two collections; leaves ``[E, …]``.

    Attributes:
        env_state: states of the environments.
        observation: leaves ``[E, N, …]``.
        carry: what acting carries from step to step, such as recurrent states; ``()`` for nothing.
        episode_return: ``float32[E, N]``, undiscounted returns so far of the running episodes.
    """

    env_state: PyTree
    observation: PyTree
    carry: PyTree
    episode_return: jax.Array


class EnvStep(NamedTuple):
    """Outcome of one step of all environments.

    Attributes:
        reward: ``float32[E, N]``.
        discount: ``float32[E, N]``, 0 where the agent's episode terminated, 1 elsewhere (also where
            it was truncated).
        last: ``bool[E]``, the episode is over after this step.
        next_observation: leaves ``[E, N, …]``, the true next observation, which bootstrapping
            needs: never one of the following episode.
        next_global_state: ``[E, D]``, the global state that belongs to it; ``None`` unless kept.
        observation: leaves ``[E, N, …]``, the observation to act on next: the first one of a new
            episode where ``last``.
        env_state: state that belongs to ``observation``.
        metrics: the environment's ``extras``, name -> ``[E, …]``.
    """

    reward: jax.Array
    discount: jax.Array
    last: jax.Array
    next_observation: PyTree
    next_global_state: jax.Array | None
    observation: PyTree
    env_state: PyTree
    metrics: dict[str, jax.Array]


ActFn: TypeAlias = Callable[[Key, PyTree, PyTree], tuple[jax.Array, PyTree]]
"""``act(key, carry, observation) -> (action [E, N, …], details)``."""

RecordFn: TypeAlias = Callable[[RunnerState, PyTree, EnvStep], tuple[PyTree, PyTree]]
"""``record(state, details, step) -> (carry, transition)``; ``state`` is that before the step."""


@dataclass(frozen=True)
class EnvRunner:
    """``num_envs`` copies of an environment with automatic reset; static, so close over it.

    Attributes:
        env: environment, not wrapped.
        num_envs: ``E``, at least 1.
        keep_global_state: also keep the global state of the true next observation.

    Raises:
        ValueError: if ``num_envs < 1``, or ``env`` is wrapped or no environment.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs, rl
        >>> runner = rl.EnvRunner(envs.Donations(3, time_limit=5), num_envs=2)
        >>> def act(key, carry, observation):
        ...     return jnp.ones((2, 3), jnp.int32), None
        >>> def record(state, details, step):
        ...     return (), step.reward
        >>> state = runner.reset(jax.random.key(0))
        >>> state, rewards, stats = runner.collect(jax.random.key(1), act, record, state, 10)
        >>> rewards.shape, int(stats.count)
        ((10, 2, 3), 4)
    """

    env: SwarmEnvironment
    num_envs: int
    keep_global_state: bool = False

    def __post_init__(self) -> None:
        require_environment(self.env)
        checks.whole("num_envs", self.num_envs, 1)
        checks.instance("keep_global_state", self.keep_global_state, bool)

    @cached_property
    def _envs(self) -> envs.AutoReset:
        many = envs.Vmapped(self.env, self.num_envs)
        return envs.AutoReset(many, keeps_global=self.keep_global_state)

    def reset(
        self, key: Key, env_params: PyTree = None, *, carry: PyTree = (), per_env: bool = False
    ) -> RunnerState:
        """Reset all environments.

        Args:
            key: consumed; environment ``e`` resets with ``fold_in(key, e)``.
            env_params: the environment's physics; its own if omitted.
            carry: what acting carries from step to step, at the beginning of an episode.
            per_env: each environment has its own physics, leaves ``[E, …]``.
        """
        env_state, timestep = self._envs.reset(key, env_params, per_env=per_env)
        returns = jnp.zeros((self.num_envs, self.env.num_agents), jnp.float32)
        return RunnerState(env_state, timestep.observation, carry, returns)

    def collect(
        self, key: Key, act: ActFn, record: RecordFn, state: RunnerState, num_steps: int
    ) -> tuple[RunnerState, PyTree, EpisodeStats]:
        """Act for ``num_steps`` steps in all environments; one ``lax.scan``.

        Args:
            key: consumed; step ``t`` acts with ``fold_in(key, t)``. The environments draw from the
                keys in their own states.
            act: computes the actions of all agents.
            record: makes the transition that is kept, and the carry for the next step.
            state: of the environments.
            num_steps: ``T``, static.

        Returns:
            The state after, transitions with leaves ``[T, …]``, and the episodes that ended.

        Raises:
            ValueError: for a legacy key, a state of another kind, or fewer than one step.
        """
        checks.key(key)
        checks.function("act", act)
        checks.function("record", record)
        checks.instance("state", state, RunnerState, "what reset returns")
        num_steps = checks.whole("num_steps", num_steps, 1)

        def step(totals: tuple, index: jax.Array) -> tuple[tuple, PyTree]:
            state, total_return, count = totals
            action, details = act(jax.random.fold_in(key, index), state.carry, state.observation)
            timestep: Any
            env_state, timestep = self._envs.step(state.env_state, action)
            metrics = dict(timestep.extras)
            outcome = EnvStep(
                timestep.reward,
                timestep.discount,
                timestep.last(),
                metrics.pop("next_obs"),
                metrics.pop("next_global", None),
                timestep.observation,
                env_state,
                metrics,
            )
            carry, transition = record(state, details, outcome)
            ended = outcome.last[:, None] | metrics.get("restarted", False)  # [E, 1] or [E, N]
            episode_return = state.episode_return + outcome.reward
            total_return = total_return + jnp.sum(jnp.where(ended, episode_return, 0.0), axis=0)
            count = count + jnp.sum(ended, axis=0, dtype=jnp.int32)
            episode_return = jnp.where(ended, 0.0, episode_return)
            state = RunnerState(env_state, outcome.observation, carry, episode_return)
            return (state, total_return, count), transition

        n = self.env.num_agents
        start = (state, jnp.zeros(n, jnp.float32), jnp.zeros(n, jnp.int32))
        totals, transitions = jax.lax.scan(step, start, jnp.arange(num_steps))
        state, total_return, count = totals
        return (
            state,
            transitions,
            EpisodeStats(jnp.max(count), total_return / jnp.maximum(count, 1)),
        )
