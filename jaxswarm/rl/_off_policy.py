"""The loop of learners that replay: act, remember, draw batches, update; a pair of pure functions.

What is particular to an algorithm is a :class:`Learner` of one agent. Agents share one learner,
which sees everybody's experience, or each has its own, with its own buffer (``vmap``ped). Seeds
and hyper-parameters are outer ``vmap``s. The warm-up with random actions is part of ``init``, so
that every step updates.

Shapes: ``E`` environments, ``N`` agents, ``T`` steps, ``B`` items of a batch, ``F`` features, ``A``
numbers of an action, ``W`` items of the warm-up.

References:
    F. Pardo et al., Time limits in reinforcement learning, 2018 (a cut bootstraps).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxswarm import agents, envs
from jaxswarm.algorithm import Algorithm
from jaxswarm.rl.collect import Finished
from jaxswarm.rl.networks import features_of
from jaxswarm.rl.q_networks import QNetwork
from jaxswarm.rl.replay import Experience, Replay
from jaxswarm.rl.returns import masked_mean

PyTree = Any


class Learner(NamedTuple):
    """An algorithm as functions of one agent.

    Attributes:
        init: ``init(params, **numbers) -> state``, from the networks' parameters.
        act: ``act(key, state, features [B, F]) -> raw [B, A]``, with exploration.
        update: ``update(key, state, batch, numbers) -> (state, info)``: one gradient step.
    """

    init: Callable[..., PyTree]
    act: Callable[[jax.Array, PyTree, jax.Array], jax.Array]
    update: Callable[[jax.Array, PyTree, Experience, Any], tuple[PyTree, dict[str, jax.Array]]]


class Playing(NamedTuple):
    """Where the environments stand; leaves ``[E, …]``.

    Attributes:
        states: of the environments.
        observation: leaves ``[E, N, …]``.
        episode_return: ``float32[E, N]``, undiscounted, of the running episodes.
    """

    states: PyTree
    observation: PyTree
    episode_return: jax.Array


class OffPolicyState(NamedTuple):
    """Leaves of ``learner`` and ``replay`` lead with ``N`` unless agents share.

    Attributes:
        learner: the algorithm's.
        replay: buffers.
        playing: the environments.
    """

    learner: PyTree
    replay: PyTree
    playing: Playing


class OffPolicyInfo(NamedTuple):
    """Looked at only.

    Attributes:
        learning: name -> mean over the step's updates, ``[]`` if agents share, else ``[N]``.
        reward: ``[]``, mean per agent and step.
        finished: episodes that ended.
        metrics: of the environment, means over steps and environments.
    """

    learning: dict[str, jax.Array]
    reward: jax.Array
    finished: Finished
    metrics: dict[str, jax.Array]


@dataclass(frozen=True)
class Playground:
    """``num_envs`` copies of an environment, and a way to act in them; static.

    Attributes:
        env: a :class:`jaxswarm.envs.SwarmEnvironment`, not wrapped.
        network: of every agent.
        num_envs: ``E``.
        shared: agents share parameters; otherwise these lead with ``N``.
    """

    env: Any
    network: QNetwork
    num_envs: int
    shared: bool

    @cached_property
    def _envs(self) -> Any:
        return envs.AutoReset(envs.Vmapped(self.env, self.num_envs))

    def begin(self, key: jax.Array, physics: PyTree = None) -> Playing:
        """Reset all environments, with the default physics or others."""
        states, timestep = self._envs.reset(key, physics)
        blank = jnp.zeros((self.num_envs, self.env.num_agents), jnp.float32)
        return Playing(states, timestep.observation, blank)

    def play(
        self,
        key: jax.Array,
        act: Callable[[jax.Array, PyTree, jax.Array], jax.Array] | None,
        learner: PyTree,
        playing: Playing,
        num_steps: int,
    ) -> tuple[Playing, Experience, Finished, dict[str, jax.Array]]:
        """Act for ``num_steps`` steps with one ``lax.scan``.

        Args:
            key: consumed; a step draws from ``fold_in(key, step)``, an agent of it likewise.
            act: see :class:`Learner`; ``None`` for uniformly random actions.
            learner: its state, leaves ``[N, …]`` unless agents share.
            playing: where the environments stand.
            num_steps: ``T``, static.

        Returns:
            The environments after, experience with leaves ``[T, E, N, …]``, episodes that ended,
            and the mean metrics.
        """
        count, n = self.num_envs, self.env.num_agents
        size = (count, self.network.num_actions)

        def choose(key: jax.Array, learner: PyTree, features: jax.Array) -> jax.Array:
            if act is None:
                unit = jax.random.uniform(key, size, minval=-1.0, maxval=1.0)
                return jnp.arctanh(unit * (1.0 - 1e-6))
            return act(key, learner, features)

        own = (0, None if self.shared or act is None else 0, 1)
        over_agents = jax.vmap(choose, own, 1)

        def advance(carry: tuple[Playing, Any], index: jax.Array) -> tuple[Any, Any]:
            at, (total, episodes) = carry
            features = jax.vmap(features_of)(at.observation)
            keys = agents.keys(jax.random.fold_in(key, index), n)
            raw = over_agents(keys, learner, features)
            action = jax.vmap(jax.vmap(self.network.head.action))(raw)
            states, timestep = self._envs.step(at.states, action)
            extras, last = dict(timestep.extras), timestep.last()
            kept = Experience(
                features,
                raw,
                timestep.reward,
                timestep.discount,
                jax.vmap(features_of)(extras.pop("next_obs")),
                at.observation.agent_mask,
            )
            so_far = at.episode_return + timestep.reward
            total = total + jnp.sum(jnp.where(last[:, None], so_far, 0.0), axis=0)
            after = Playing(states, timestep.observation, jnp.where(last[:, None], 0.0, so_far))
            metrics = jax.tree.map(lambda x: jnp.mean(x.astype(jnp.float32), axis=0), extras)
            return (after, (total, episodes + jnp.sum(last, dtype=jnp.int32))), (kept, metrics)

        none = (jnp.zeros(n, jnp.float32), jnp.int32(0))
        (playing, (total, episodes)), (kept, metrics) = jax.lax.scan(
            advance, (playing, none), jnp.arange(num_steps)
        )
        finished = Finished(episodes, total / jnp.maximum(episodes, 1))
        return playing, kept, finished, jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)


def off_policy(
    env: Any,
    network: QNetwork,
    learner: Learner,
    replay: Replay,
    *,
    num_envs: int = 1,
    num_steps: int = 1,
    updates: int = 1,
    warm_up: int = 1000,
    shared: bool = True,
    parameters: Any = None,
) -> Algorithm:
    """Make the loop around a learner.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment`, not wrapped.
        network: of every agent.
        learner: the algorithm.
        replay: the buffer of one learner.
        num_envs: ``E``.
        num_steps: ``T`` between updates.
        updates: gradient steps after them; one per environment step is ``num_envs * num_steps``.
        warm_up: random steps of each environment that ``init`` takes.
        shared: one learner for all agents, else one each.
        parameters: numbers used where ``step`` gets ``None`` as inputs. A traced number is of all
            agents, or ``[N]`` each where they do not share.

    Returns:
        ``init(params, key, physics=None, **numbers) -> OffPolicyState`` with ``params`` from
        :func:`jaxswarm.rl.initialize`, and ``step(key, state, inputs)``.

    Raises:
        ValueError: sizes below 1, or a warm-up shorter than a batch.
    """
    sizes = {"num_envs": num_envs, "num_steps": num_steps, "updates": updates, "warm_up": warm_up}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
    n = env.num_agents
    items = warm_up * num_envs * (n if shared else 1)
    if items < replay.least:
        raise ValueError(
            f"warm_up: expected at least {replay.least} items in the buffer before the first "
            f"batch, got {items}"
        )
    ground = Playground(env, network, num_envs, shared)

    def flat(done: Experience) -> Experience:
        """``[T, E, N, …]`` as the items of one learner, ``[T E N, …]``, or ``[N, T E, …]``."""
        if shared:
            return jax.tree.map(lambda x: x.reshape(-1, *x.shape[3:]), done)
        return jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0).reshape(n, -1, *x.shape[3:]), done)

    def each(fn: Callable[..., Any]) -> Callable[..., Any]:
        return fn if shared else jax.vmap(fn)

    def init(
        params: PyTree, key: jax.Array, physics: PyTree = None, **numbers: Any
    ) -> OffPolicyState:
        if not shared:
            agents.check_leading_axis(params, n, "params")
            numbers = {k: jnp.broadcast_to(v, (n,)) for k, v in numbers.items()}
        begin_key, play_key = jax.random.split(key)
        playing = ground.begin(begin_key, physics)
        playing, done, _, _ = ground.play(play_key, None, (), playing, warm_up)
        state = each(lambda params, numbers: learner.init(params, **numbers))(params, numbers)
        return OffPolicyState(state, each(replay.start)(flat(done)), playing)

    def learn(key: jax.Array, state: PyTree, memory: PyTree, p: Any) -> tuple[PyTree, Any]:
        def one(state: PyTree, key: jax.Array) -> tuple[PyTree, Any]:
            sample_key, update_key = jax.random.split(key)
            return learner.update(update_key, state, replay.sample(sample_key, memory), p)

        state, seen = jax.lax.scan(one, state, jax.random.split(key, updates))
        return state, jax.tree.map(lambda x: jnp.mean(x, axis=0), seen)

    def step(
        key: jax.Array, state: OffPolicyState, inputs: Any = None
    ) -> tuple[OffPolicyState, OffPolicyInfo]:
        p = parameters if inputs is None else inputs
        play_key, learn_key = jax.random.split(key)
        playing, done, finished, metrics = ground.play(
            play_key, learner.act, state.learner, state.playing, num_steps
        )
        memory = each(replay.add)(state.replay, flat(done))
        if shared:
            held, seen = learn(learn_key, state.learner, memory, p)
        else:
            numbers = jax.tree.map(lambda x: jnp.broadcast_to(x, (n,)), p)
            keys = agents.keys(learn_key, n)
            held, seen = jax.vmap(learn)(keys, state.learner, memory, numbers)
        reward = masked_mean(done.reward, done.mask)
        return (
            OffPolicyState(held, memory, playing),
            OffPolicyInfo(seen, reward, finished, metrics),
        )

    return Algorithm(init, step)  # type: ignore[arg-type]


def check_numbers(p: Any, ranges: dict[str, tuple[float, float]]) -> None:
    """Refuse known numbers out of their closed range; traced ones and ``None`` pass.

    Raises:
        ValueError: naming the number.
    """
    for name, (low, high) in ranges.items():
        given = getattr(p, name)
        if given is None or isinstance(given, Tracer):
            continue
        array = np.asarray(given)
        if not np.all(np.isfinite(array) & (array >= low) & (array <= high)):
            raise ValueError(f"{name}: expected finite, within [{low}, {high}], got {given}")
