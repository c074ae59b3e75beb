"""Collect transitions with actor and critic networks, for learners such as PPO.

Critics may see the environment's global state; values of the true next observations are part of a
transition, so that truncated episodes bootstrap correctly.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents, ``F`` features, ``G`` inputs of the critic.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl.features import features_of
from jaxswarm.rl.networks import (
    Network,
    check_network,
    distribution_of,
    over_agents,
)
from jaxswarm.rl.runner import EnvRunner, EnvStep, EpisodeStats, RunnerState
from jaxswarm.types import Key, Params, PyTree


class Transition(NamedTuple):
    """What agents observed and did, and its outcome; leaves ``[T, E, N, …]``.

    Attributes:
        features: ``[…, F]``, input of the actor.
        critic_input: ``[…, G]``.
        first: ``bool``, the first step of an episode: recurrent states start anew.
        raw: raw actions of the head.
        log_prob: of the action under the policy that took it; ``[…, P]`` if it has parts.
        value: of the observation; ``[…, V]`` of a critic with several values.
        next_value: of the true next observation.
        reward: after the action.
        discount: 0 where the agent's episode terminated, 1 elsewhere (also where it was truncated).
        last: ``bool``, the episode is over after this step.
        mask: ``bool``, the agent was present.
    """

    features: jax.Array
    critic_input: jax.Array
    first: jax.Array
    raw: jax.Array
    log_prob: jax.Array
    value: jax.Array
    next_value: jax.Array
    reward: jax.Array
    discount: jax.Array
    last: jax.Array
    mask: jax.Array


class PolicyCarry(NamedTuple):
    """What acting carries from step to step: the ``carry`` of a :class:`RunnerState`.

    Attributes:
        recurrent: recurrent states ``{"actor", "critic"}`` of the networks, leaves ``[E, N, …]``.
        critic_input: ``float32[E, N, G]``, that belongs to the current observation.
        first: ``bool[E, N]``, the current observation is the first one of an episode.
    """

    recurrent: PyTree
    critic_input: jax.Array
    first: jax.Array


class _Acted(NamedTuple):
    features: jax.Array
    raw: jax.Array
    log_prob: jax.Array
    value: jax.Array
    recurrent: PyTree


@dataclass(frozen=True)
class OnPolicyRunner:
    """``num_envs`` copies of an environment and the networks that act in them; static.

    Attributes:
        env: environment, not wrapped.
        network: of every agent.
        num_envs: ``E``, at least 1.
        shared: agents share weights; otherwise these lead with ``N``.

    Raises:
        ValueError: if ``num_envs < 1``, or the network does not fit the environment.
    """

    env: SwarmEnvironment
    network: Network
    num_envs: int
    shared: bool

    def __post_init__(self) -> None:
        check_network(self.network, self.env)
        checks.instance("shared", self.shared, bool)
        _ = self._runner  # for its checks

    @cached_property
    def _runner(self) -> EnvRunner:
        return EnvRunner(self.env, self.num_envs, keep_global_state=self.network.centralized)

    def reset(self, key: Key, env_params: PyTree = None, *, per_env: bool = False) -> RunnerState:
        """Reset all environments; arguments as of :meth:`jaxswarm.rl.EnvRunner.reset`."""
        state = self._runner.reset(key, env_params, per_env=per_env)
        shape = (self.num_envs, self.env.num_agents)
        recurrent = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (*shape, *x.shape)), self.network.initial_carry()
        )
        global_state = self._global_state(state.env_state) if self.network.centralized else None
        critic_input = self._critic_input(state.observation, global_state)
        carry = PolicyCarry(recurrent, critic_input, jnp.ones(shape, bool))
        return state._replace(carry=carry)

    def collect(
        self, key: Key, params: Params, state: RunnerState, num_steps: int
    ) -> tuple[RunnerState, Transition, EpisodeStats]:
        """Act for ``num_steps`` steps with one ``lax.scan``.

        Args:
            key: consumed; step, environment and agent each draw from a stream of their own.
            params: weights of the networks.
            state: from :meth:`reset` or an earlier collection.
            num_steps: ``T``, static.

        Returns:
            The state after, transitions ``[T, E, N, …]``, and the episodes that ended.
        """
        network, (count, n) = self.network, (self.num_envs, self.env.num_agents)
        actor = over_agents(network.actor, shared=self.shared)
        critic = over_agents(network.critic, shared=self.shared)
        distribution, unused = distribution_of(network), jnp.zeros(())

        def sample_one(params: Params, key: Key, outputs: PyTree) -> tuple[jax.Array, ...]:
            raw, log_prob = distribution.sample(key, params, outputs)
            return raw, log_prob, network.head.action(raw)

        sample = over_agents(sample_one, shared=self.shared)

        def act(key: Key, carry: PolicyCarry, observation: PyTree) -> tuple[jax.Array, _Acted]:
            keys = jax.vmap(lambda k: agents.keys(k, n))(agents.keys(key, count))
            features = jax.vmap(features_of)(observation)
            actor_carry, outputs = actor(params["actor"], carry.recurrent["actor"], features)
            critic_carry, value = carry.recurrent["critic"], unused
            if network.recurrent:  # else values of all steps are computed at once, afterwards
                critic_carry, value = critic(params["critic"], critic_carry, carry.critic_input)
            raw, log_prob, action = sample(params["actor"], keys, outputs)
            recurrent = {"actor": actor_carry, "critic": critic_carry}
            return action, _Acted(features, raw, log_prob, value, recurrent)

        def record(
            state: RunnerState, acted: _Acted, step: EnvStep
        ) -> tuple[PolicyCarry, Transition]:
            carry: PolicyCarry = state.carry
            next_input = self._critic_input(step.next_observation, step.next_global_state)

            def next_value() -> jax.Array:
                return critic(params["critic"], acted.recurrent["critic"], next_input)[1]

            transition = Transition(
                acted.features,
                carry.critic_input if network.centralized else unused,
                carry.first,
                acted.raw,
                acted.log_prob,
                acted.value,
                _only_if(jnp.any(step.last), next_value),
                step.reward,
                step.discount,
                jnp.broadcast_to(step.last[:, None], (count, n)),
                state.observation.agent_mask,
            )
            ended = step.last[:, None] | step.metrics.get("restarted", False)
            first = jnp.broadcast_to(ended, (count, n))
            recurrent = restart(acted.recurrent, network.initial_carry(), first)
            return PolicyCarry(recurrent, self._input_after(step, next_input), first), transition

        state, transitions, stats = self._runner.collect(key, act, record, state, num_steps)
        value_of = lambda *inputs: critic(params["critic"], *inputs)[1]  # noqa: E731
        return state, self._with_values(value_of, state.carry, transitions), stats

    def _with_values(
        self, value_of: Callable[..., jax.Array], carry: PolicyCarry, transitions: Transition
    ) -> Transition:
        """Add the values of all steps (at once if not recurrent) and of the next observations."""
        if not self.network.centralized:
            transitions = transitions._replace(critic_input=transitions.features)
        value, reward = transitions.value, transitions.reward
        if not self.network.recurrent:
            inputs = transitions.critic_input
            inputs = inputs.reshape(-1, *inputs.shape[2:])  # [T E, N, G]
            value = value_of(carry.recurrent["critic"], inputs)
            value = value.reshape(*reward.shape, *value.shape[2:])
        final = value_of(carry.recurrent["critic"], carry.critic_input)
        following = jnp.concatenate([value[1:], final[None]])
        last = transitions.last
        last = last.reshape(*last.shape, *(1 for _ in final.shape[2:]))
        next_value = jnp.where(last, transitions.next_value, following)
        return transitions._replace(value=value, next_value=next_value)

    def _critic_input(self, observation: PyTree, global_state: jax.Array | None) -> jax.Array:
        """``[E, N, G]``: the agents' own features, after the global state if centralized."""
        own = jax.vmap(features_of)(observation)
        if not self.network.centralized:
            return own
        assert global_state is not None
        shape = (*own.shape[:2], global_state.shape[1])
        return jnp.concatenate([jnp.broadcast_to(global_state[:, None, :], shape), own], axis=2)

    def _input_after(self, step: EnvStep, next_input: jax.Array) -> jax.Array:
        """The critic's input for the observation to act on next: ``next_input``, or a new one."""
        if not self.network.centralized:
            return jax.vmap(features_of)(step.observation)
        fresh = self._critic_input(step.observation, self._global_state(step.env_state))
        return jnp.where(step.last[:, None, None], fresh, next_input)

    def _global_state(self, env_state: PyTree) -> jax.Array:
        return jax.vmap(self.env.global_state)(env_state)


def restart(carry: PyTree, initial: PyTree, first: jax.Array) -> PyTree:
    """Set recurrent states to ``initial`` where ``first``, which has their leading axes."""

    def leaf(x: jax.Array, blank: jax.Array) -> jax.Array:
        where = first.reshape(first.shape + (1,) * (x.ndim - first.ndim))
        return jnp.where(where, jnp.broadcast_to(blank, x.shape), x)

    return jax.tree.map(leaf, carry, initial)


def _only_if(condition: jax.Array, compute: Callable[[], jax.Array]) -> jax.Array:
    """``compute()`` where needed, else zeros; in most steps no episode ends."""
    shape = jax.eval_shape(compute)
    return jax.lax.cond(condition, compute, lambda: jnp.zeros(shape.shape, shape.dtype))
