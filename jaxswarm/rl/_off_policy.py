"""Off-policy training loop: act, store, sample batches from replay, update.

What is particular to an algorithm is a :class:`Learner` of one agent. Agents share one learner,
which learns from the experience of all, or each has its own, with its own buffer (vmapped).
Seeds and hyper-parameters are outer ``vmap``s. The warm-up with random actions is part of ``init``,
so that every step updates.

Shapes: ``E`` environments, ``N`` agents, ``T`` steps, ``B`` items of a batch, ``F`` features, ``A``
numbers of an action, ``W`` items of the warm-up.

References:
    F. Pardo et al., Time limits in reinforcement learning, 2018 (truncation bootstraps).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm._optimizers import independent_keys
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl.actor_critic import check_temperature
from jaxswarm.rl.features import features_of
from jaxswarm.rl.hyperparameters import check_numbers, check_weights, positive_sizes
from jaxswarm.rl.q_networks import QNetwork, check_q_network
from jaxswarm.rl.replay import Experience, Replay, uniform_replay
from jaxswarm.rl.returns import keep_unless, masked_mean, select_valid
from jaxswarm.rl.runner import EnvRunner, EnvStep, EpisodeStats, RunnerState
from jaxswarm.types import Key, Params, PyTree


class Learner(NamedTuple):
    """An off-policy algorithm as functions of one agent.

    Attributes:
        init: ``init(params, **options) -> state``, from the networks' weights.
        act: ``act(key, state, features [B, F]) -> raw actions [B, A]``, with exploration.
        update: ``update(key, state, batch, hp) -> (state, metrics)``: one gradient step of each
            network.
    """

    init: Callable[..., PyTree]
    act: Callable[[Key, PyTree, jax.Array], jax.Array]
    update: Callable[[Key, PyTree, Experience, Any], tuple[PyTree, dict[str, jax.Array]]]


UpdateFn: TypeAlias = Callable[[Key, PyTree, Experience, Any], tuple[PyTree, dict[str, jax.Array]]]
"""``update`` of a :class:`Learner`."""


def valid_only(update: UpdateFn) -> UpdateFn:
    """Make an ``update`` to which items without an agent mean nothing, even if they are NaN.

    Such items are 0 before any network sees them, and a batch without any other item changes no
    state. :func:`off_policy` does this for learners that do not.
    """
    if hasattr(update, "of_valid_items"):
        return update

    def selecting(
        key: Key, state: PyTree, batch: Experience, hp: Any
    ) -> tuple[PyTree, dict[str, jax.Array]]:
        checks.key(key)
        checks.instance("batch", batch, Experience)
        updated, metrics = update(key, state, select_valid(batch, batch.mask), hp)
        return keep_unless(jnp.any(batch.mask), updated, state), metrics

    selecting.of_valid_items = update  # type: ignore[attr-defined]
    return selecting


class OffPolicyState(NamedTuple):
    """State of the loop; leaves of ``learner`` and ``replay`` lead with ``N`` unless shared.

    Attributes:
        learner: the algorithm's state, such as a :class:`SACState`.
        replay: buffers.
        runner: the environments.
    """

    learner: PyTree
    replay: PyTree
    runner: RunnerState


class OffPolicyInfo(NamedTuple):
    """Metrics of one step.

    Attributes:
        learning: name -> mean over the step's updates, ``[]`` if agents share, else ``[N]``.
        reward: ``[]``, mean per agent and step.
        episodes: statistics of the episodes that ended.
        metrics: of the environment, means over steps and environments.
    """

    learning: dict[str, jax.Array]
    reward: jax.Array
    episodes: EpisodeStats
    metrics: dict[str, jax.Array]


@dataclass(frozen=True)
class OffPolicyRunner:
    """``num_envs`` copies of an environment, and learners that act in them; static.

    Attributes:
        env: environment, not wrapped.
        network: of every agent.
        num_envs: ``E``.
        shared: agents share one learner; otherwise its leaves lead with ``N``.

    Raises:
        ValueError: if ``num_envs < 1``, or the network does not fit the environment.
    """

    env: SwarmEnvironment
    network: QNetwork
    num_envs: int
    shared: bool

    def __post_init__(self) -> None:
        _ = self._runner  # for its checks
        checks.instance("shared", self.shared, bool)
        check_q_network(self.network, self.env, has_density=False)

    @cached_property
    def _runner(self) -> EnvRunner:
        return EnvRunner(self.env, self.num_envs)

    def reset(self, key: Key, env_params: PyTree = None) -> RunnerState:
        """Reset all environments, with their own physics or others."""
        return self._runner.reset(key, env_params)

    def collect(
        self,
        key: Key,
        act: Callable[[Key, PyTree, jax.Array], jax.Array] | None,
        learner: PyTree,
        state: RunnerState,
        num_steps: int,
    ) -> tuple[RunnerState, Experience, EpisodeStats, dict[str, jax.Array]]:
        """Act for ``num_steps`` steps with one ``lax.scan``.

        Args:
            key: consumed; a step draws from ``fold_in(key, step)``, an agent of it likewise.
            act: see :class:`Learner`; ``None`` for uniformly random actions.
            learner: its state, leaves ``[N, …]`` unless agents share.
            state: of the environments.
            num_steps: ``T``, static.

        Returns:
            The state after, experience with leaves ``[T, E, N, …]``, the episodes that ended, and
            the environment's mean metrics.
        """
        n, size = self.env.num_agents, (self.num_envs, self.network.num_actions)

        def act_one(key: Key, learner: PyTree, features: jax.Array) -> jax.Array:
            if act is None:
                unit = jax.random.uniform(key, size, minval=-1.0, maxval=1.0)
                return jnp.arctanh(unit * (1.0 - 1e-6))
            return act(key, learner, features)

        learner_axis = None if self.shared or act is None else 0
        act_all = jax.vmap(act_one, (0, learner_axis, 1), 1)

        def choose(key: Key, carry: PyTree, observation: PyTree) -> tuple[jax.Array, PyTree]:
            features = jax.vmap(features_of)(observation)
            raw = act_all(agents.keys(key, n), learner, features)
            return jax.vmap(jax.vmap(self.network.head.action))(raw), (features, raw)

        def record(state: RunnerState, details: PyTree, step: EnvStep) -> tuple[PyTree, PyTree]:
            features, raw = details
            next_features = jax.vmap(features_of)(step.next_observation)
            mask = state.observation.agent_mask
            item = Experience(features, raw, step.reward, step.discount, next_features, mask)
            mean = lambda x: jnp.mean(x.astype(jnp.float32), axis=0)  # noqa: E731
            return state.carry, (item, jax.tree.map(mean, step.metrics))

        collected = self._runner.collect(key, choose, record, state, num_steps)
        state, (experience, metrics), episodes = collected
        return state, experience, episodes, jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)


def off_policy(
    env: SwarmEnvironment,
    network: QNetwork,
    learner: Learner,
    *,
    replay: Callable[[int, int], Replay] = uniform_replay,
    num_envs: int = 1,
    num_steps: int = 1,
    updates: int = 1,
    batch_size: int = 256,
    capacity: int = 100_000,
    warm_up: int = 1000,
    shared: bool = True,
    hyperparameters: Any = None,
) -> Algorithm:
    """Make the training loop around a learner; SAC and its relatives pass these options on.

    Args:
        env: environment with bounded continuous actions, not wrapped.
        network: of every agent.
        learner: the algorithm.
        replay: ``replay(capacity, batch_size)`` makes the buffer of one learner.
        num_envs: ``E``.
        num_steps: ``T``, environment steps between updates.
        updates: gradient steps after them; one per environment step is ``num_envs * num_steps``.
        batch_size: ``B``.
        capacity: items a buffer holds.
        warm_up: random steps of each environment that ``init`` takes.
        shared: one learner for all agents, else one each with its own buffer.
        hyperparameters: used where ``step`` gets ``None`` as inputs. A traced value is of all
            agents, or ``[N]`` each where they do not share.

    Returns:
        ``init(params, key, env_params=None, **options) -> OffPolicyState`` with ``params`` from
        :func:`jaxswarm.rl.initialize`, ``env_params`` the environment's physics, and the learner's
        options; and ``step(key, state, inputs) -> (state, OffPolicyInfo)``.

    Raises:
        ValueError: sizes below 1, a batch larger than the buffer or the warm-up, a buffer smaller
            than the items of one step, or a network for another environment; in ``init``, weights
            of another shape.
    """
    loop = make_loop(
        env,
        network,
        learner,
        replay=replay,
        num_envs=num_envs,
        num_steps=num_steps,
        updates=updates,
        batch_size=batch_size,
        capacity=capacity,
        warm_up=warm_up,
        shared=shared,
        hyperparameters=hyperparameters,
    )

    def step(
        key: Key, state: OffPolicyState, inputs: Any = None
    ) -> tuple[OffPolicyState, OffPolicyInfo]:
        return loop.advance(key, state, inputs)[:2]

    return Algorithm(loop.init, step)  # type: ignore[arg-type]


class Loop(NamedTuple):
    """The functions of a training loop.

    Attributes:
        init: as of :func:`off_policy`.
        advance: ``advance(key, state, inputs) -> (state, info, present)``: one step, and the agents
            that were present in it, ``bool[N]``, or ``None`` where none ever leaves.
    """

    init: Callable[..., OffPolicyState]
    advance: Callable[..., tuple[OffPolicyState, OffPolicyInfo, jax.Array | None]]


def make_loop(
    env: SwarmEnvironment,
    network: QNetwork,
    learner: Learner,
    *,
    replay: Callable[[int, int], Replay] = uniform_replay,
    num_envs: int = 1,
    num_steps: int = 1,
    updates: int = 1,
    batch_size: int = 256,
    capacity: int = 100_000,
    warm_up: int = 1000,
    shared: bool = True,
    hyperparameters: Any = None,
) -> Loop:
    """Make the functions of :func:`off_policy`, whose arguments and errors these are."""
    runner = OffPolicyRunner(env, network, num_envs, shared)
    checks.instance("learner", learner, Learner, "rl.sac_learner(env, network)")
    checks.function("replay", replay)
    num_envs, num_steps, updates = positive_sizes(
        num_envs=num_envs, num_steps=num_steps, updates=updates
    )
    batch_size, capacity, warm_up = positive_sizes(
        batch_size=batch_size, capacity=capacity, warm_up=warm_up
    )
    n, buffer = env.num_agents, replay(capacity, batch_size)
    checks.instance("replay", buffer, Replay, "rl.uniform_replay(capacity, batch_size)")
    per_step = num_envs * (n if shared else 1)
    if num_steps * per_step > capacity:
        raise ValueError(
            f"capacity: expected at least the {num_steps * per_step} items that one step of the "
            f"learner adds to a buffer, got {capacity}"
        )
    items = warm_up * per_step
    if items < buffer.min_size:
        raise ValueError(
            f"warm_up: expected at least {buffer.min_size} items in the buffer before the first "
            f"batch, got {items}"
        )
    agents_leave = type(env).agent_mask is not SwarmEnvironment.agent_mask
    update_learner = valid_only(learner.update)
    if not agents_leave:  # all items are of an agent: nothing to select
        update_learner = getattr(update_learner, "of_valid_items", update_learner)

    def by_learner(experience: Experience) -> Experience:
        """``[T, E, N, …]`` as the items of one learner, ``[T E N, …]``, or ``[N, T E, …]``."""
        if shared:
            return jax.tree.map(lambda x: x.reshape(-1, *x.shape[3:]), experience)
        by_agent = jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), experience)
        return jax.tree.map(lambda x: x.reshape(n, -1, *x.shape[3:]), by_agent)

    def each(fn: Callable[..., Any]) -> Callable[..., Any]:
        return fn if shared else jax.vmap(fn)

    def init(params: Params, key: Key, env_params: PyTree = None, **options: Any) -> OffPolicyState:
        check_weights(params, network.init, None if shared else n)
        checks.key(key)
        if "temperature" in options:  # here, where independent learners' are still known
            check_temperature(options["temperature"], None if shared else n)
        if not shared:
            options = {k: jnp.broadcast_to(v, (n,)) for k, v in options.items()}
        reset_key, collect_key = jax.random.split(key)
        state = runner.reset(reset_key, env_params)
        state, experience, _, _ = runner.collect(collect_key, None, (), state, warm_up)
        learner_state = each(lambda params, options: learner.init(params, **options))(
            params, options
        )
        if not shared:
            learner_state = independent_keys(learner_state, jnp.arange(n))
        return OffPolicyState(learner_state, each(buffer.init)(by_learner(experience)), state)

    def update(key: Key, state: PyTree, items: PyTree, hp: Any) -> tuple[PyTree, PyTree]:
        def one_update(state: PyTree, key: Key) -> tuple[PyTree, PyTree]:
            sample_key, update_key = jax.random.split(key)
            return update_learner(update_key, state, buffer.sample(sample_key, items), hp)

        state, metrics = jax.lax.scan(one_update, state, jax.random.split(key, updates))
        return state, jax.tree.map(lambda x: jnp.mean(x, axis=0), metrics)

    def advance(
        key: Key, state: OffPolicyState, inputs: Any = None
    ) -> tuple[OffPolicyState, OffPolicyInfo, jax.Array | None]:
        checks.instance("state", state, OffPolicyState, "what init returns")
        hp = hyperparameters if inputs is None else inputs
        if hyperparameters is not None:
            check_numbers(hp, type(hyperparameters), None if shared else n)
        collect_key, update_key = jax.random.split(checks.key(key))
        runner_state, experience, episodes, metrics = runner.collect(
            collect_key, learner.act, state.learner, state.runner, num_steps
        )
        items = each(buffer.add)(state.replay, by_learner(experience))
        if not shared:
            hp = jax.tree.map(lambda x: jnp.broadcast_to(x, (n,)), hp)
            update_key = agents.keys(update_key, n)
        learner_state, learning = each(update)(update_key, state.learner, items, hp)
        present = jnp.any(experience.mask, axis=(0, 1)) if agents_leave else None
        if present is not None:  # a learner without a present agent keeps its state
            learns = jnp.any(present) if shared else present
            keep = keep_unless if shared else agents.where
            learner_state = keep(learns, learner_state, state.learner)
        reward = masked_mean(experience.reward, experience.mask)
        info = OffPolicyInfo(learning, reward, episodes, metrics)
        return OffPolicyState(learner_state, items, runner_state), info, present

    return Loop(init, advance)
