"""Acting in environments: what learners collect.

``E`` environments with an :class:`jaxswarm.envs.AutoReset` around each, so episodes follow each
other; the true last observation of an episode is what bootstrapping looks at.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents, ``F`` features, ``G`` of what critics see.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, envs
from jaxswarm.rl.networks import Network, features_of, law_of, over_agents

PyTree = Any


class Transition(NamedTuple):
    """What agents did and what came of it; leaves ``[T, E, N, …]``.

    Attributes:
        features: ``[…, F]``, what the actor saw.
        seen: ``[…, G]``, what the critic saw.
        first: ``bool``, a new episode began with this step: memories start empty.
        raw: the heads' raw actions.
        log_prob: of the action, when it was taken; ``[…, P]`` if it has parts.
        value: the critic's, then; ``[…, V]`` of a critic that judges for several.
        next_value: the critic's of the true next observation.
        reward: after the action.
        discount: 0 where the agent's episode terminated, 1 elsewhere (also where it was cut).
        last: ``bool``, the episode is over after this step.
        mask: ``bool``, the agent was there to act.
    """

    features: jax.Array
    seen: jax.Array
    first: jax.Array
    raw: jax.Array
    log_prob: jax.Array
    value: jax.Array
    next_value: jax.Array
    reward: jax.Array
    discount: jax.Array
    last: jax.Array
    mask: jax.Array


class Acting(NamedTuple):
    """Where the environments stand between two collections; leaves ``[E, …]``.

    Attributes:
        states: of the environments.
        observation: leaves ``[E, N, …]``.
        seen: ``float32[E, N, G]``.
        carry: the networks' memories, leaves ``[E, N, …]``.
        first: ``bool[E]``.
        episode_return: ``float32[E, N]``, undiscounted, of the running episodes.
    """

    states: PyTree
    observation: PyTree
    seen: jax.Array
    carry: PyTree
    first: jax.Array
    episode_return: jax.Array


class Finished(NamedTuple):
    """Episodes that ended: ``episodes int32[]``, mean ``episode_return [N]`` (0 if none did)."""

    episodes: jax.Array
    episode_return: jax.Array


@dataclass(frozen=True)
class Worlds:
    """``num_envs`` copies of an environment and the networks that act in them; static.

    Attributes:
        env: a :class:`jaxswarm.envs.SwarmEnvironment`, not wrapped.
        network: of every agent.
        num_envs: ``E``.
        shared: agents share parameters; otherwise these lead with ``N``.

    Raises:
        ValueError: without environments.
    """

    env: Any
    network: Network
    num_envs: int
    shared: bool

    def __post_init__(self) -> None:
        if self.num_envs < 1:
            raise ValueError(f"num_envs: expected at least 1, got {self.num_envs}")

    @cached_property
    def _envs(self) -> Any:
        many = envs.Vmapped(self.env, self.num_envs)
        return envs.AutoReset(many, keeps_global=self.network.sees == "global")

    def begin(self, key: jax.Array, physics: PyTree = None, *, per_env: bool = False) -> Acting:
        """Reset all environments, with the default physics or others (see ``Vmapped.reset``)."""
        states, timestep = self._envs.reset(key, physics, per_env=per_env)
        extras, shape = timestep.extras, (self.num_envs, self.env.num_agents)
        carry = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (*shape, *x.shape)), self.network.start()
        )
        return Acting(
            states,
            timestep.observation,
            self._seen(timestep.observation, extras.get("next_global")),
            carry,
            jnp.ones(self.num_envs, bool),
            jnp.zeros(shape, jnp.float32),
        )

    def collect(
        self, key: jax.Array, params: PyTree, acting: Acting, num_steps: int
    ) -> tuple[Acting, Transition, Finished]:
        """Act for ``num_steps`` steps with one ``lax.scan``.

        Args:
            key: consumed; step, environment and agent each draw from their own stream.
            params: of the networks.
            acting: where the environments stand.
            num_steps: ``T``, static.
        """
        network, (count, n) = self.network, (self.num_envs, self.env.num_agents)
        actor = over_agents(network.actor, shared=self.shared)
        critic = over_agents(network.critic, shared=self.shared)
        head, law, blank = network.head, law_of(network), jnp.zeros(())

        def draw(params: PyTree, key: jax.Array, outputs: PyTree) -> tuple[jax.Array, ...]:
            raw, log_prob = law.sample(params, key, outputs)
            return raw, log_prob, head.action(raw)

        choose = over_agents(draw, shared=self.shared)

        def advance(carry: tuple[Acting, Any], index: jax.Array) -> tuple[Any, Transition]:
            at, (total, episodes) = carry
            step_key = jax.random.fold_in(key, index)
            keys = jax.vmap(lambda k: agents.keys(k, n))(agents.keys(step_key, count))
            features = _per_env(features_of, at.observation)
            memory, outputs = actor(params["actor"], at.carry["actor"], features)
            judging, value = at.carry["critic"], blank
            if network.recurrent:
                judging, value = critic(params["critic"], judging, at.seen)
            raw, log_prob, action = choose(params["actor"], keys, outputs)
            states, timestep = self._envs.step(at.states, action)
            extras, last = timestep.extras, timestep.last()
            true = self._seen(extras["next_obs"], extras.get("next_global"))
            follows = self._follows(states, timestep.observation, true, last)
            kept = Transition(
                features,
                blank if network.sees == "own" else at.seen,
                jnp.broadcast_to(at.first[:, None], (count, n)),
                raw,
                log_prob,
                value,
                self._ends(lambda: critic(params["critic"], judging, true)[1], last),
                timestep.reward,
                timestep.discount,
                jnp.broadcast_to(last[:, None], (count, n)),
                at.observation.agent_mask,
            )
            so_far = at.episode_return + timestep.reward
            total = total + jnp.sum(jnp.where(last[:, None], so_far, 0.0), axis=0)
            after = Acting(
                states,
                timestep.observation,
                follows,
                restart({"actor": memory, "critic": judging}, network.start(), last),
                last,
                jnp.where(last[:, None], 0.0, so_far),
            )
            return (after, (total, episodes + jnp.sum(last, dtype=jnp.int32))), kept

        none = (jnp.zeros(n, jnp.float32), jnp.int32(0))
        (acting, (total, episodes)), kept = jax.lax.scan(
            advance, (acting, none), jnp.arange(num_steps)
        )
        kept = self._judged(lambda *x: critic(params["critic"], *x)[1], acting, kept)
        return acting, kept, Finished(episodes, total / jnp.maximum(episodes, 1))

    def _ends(self, judge: Callable[[], jax.Array], last: jax.Array) -> jax.Array:
        """Values of the true last observations, ``[E, N]``; only episodes that end ask for them."""
        shape = jax.eval_shape(judge)
        return jax.lax.cond(jnp.any(last), judge, lambda: jnp.zeros(shape.shape, shape.dtype))

    def _judged(
        self, critic: Callable[..., jax.Array], acting: Acting, kept: Transition
    ) -> Transition:
        """Values of all steps, at once where there is no memory, and of what came next."""
        if self.network.sees == "own":
            kept = kept._replace(seen=kept.features)
        value = kept.value
        if not self.network.recurrent:
            flat = kept.seen.reshape(-1, *kept.seen.shape[2:])  # [T E, N, G]
            value = critic(acting.carry["critic"], flat)
            value = value.reshape(*kept.reward.shape, *value.shape[2:])
        final = critic(acting.carry["critic"], acting.seen)
        follows = jnp.concatenate([value[1:], final[None]])
        last = kept.last.reshape(*kept.last.shape, *(1 for _ in final.shape[2:]))
        next_value = jnp.where(last, kept.next_value, follows)
        return kept._replace(value=value, next_value=next_value)

    def _seen(self, observation: PyTree, whole: jax.Array | None) -> jax.Array:
        """What critics see, ``[E, N, G]``."""
        own = _per_env(features_of, observation)
        if self.network.sees == "own":
            return own
        assert whole is not None
        spread = jnp.broadcast_to(whole[:, None, :], (*own.shape[:2], whole.shape[1]))
        return jnp.concatenate([spread, own], axis=2)

    def _follows(
        self, states: PyTree, observation: PyTree, true: jax.Array, last: jax.Array
    ) -> jax.Array:
        """What critics see next: ``true``, or a new episode's beginning."""
        if self.network.sees == "own":
            return _per_env(features_of, observation)
        fresh = self._seen(observation, jax.vmap(self.env.global_state)(states))
        return jnp.where(last[:, None, None], fresh, true)


def restart(carry: PyTree, start: PyTree, first: jax.Array) -> PyTree:
    """Empty memories where ``first: bool[E]``; leaves of ``carry`` are ``[E, N, …]``."""

    def leaf(x: jax.Array, blank: jax.Array) -> jax.Array:
        where = first.reshape(first.shape + (1,) * (x.ndim - 1))
        return jnp.where(where, jnp.broadcast_to(blank, x.shape), x)

    return jax.tree.map(leaf, carry, start)


def _per_env(fn: Any, tree: PyTree) -> Any:
    return jax.vmap(fn)(tree)
