"""Value-decomposition learner: VDN, QMIX, independent Q-learning and, with vector rewards, MO-MIX.

A step plays one episode in each of ``E`` environments, stores them, and makes some updates on
batches of whole episodes. With several objectives every episode has a preference, and episodes of
a batch get new ones. At regular steps the first ``W`` of the ``E`` episodes are played greedily
under a grid of preferences, which shows the front that the team attains; these episodes are stored
and counted like the others, and the guide draws preferences at the gaps of that front.

Shapes: ``E`` episodes of a step, ``B`` episodes of a batch, ``N`` agents, ``m`` objectives, ``W``
preferences of the grid.

References:
    P. Sunehag et al., Value-decomposition networks, 2018. T. Rashid et al., QMIX, 2018.
    T. Hu, B. Luo, C. Yang, T. Huang, MO-MIX: multi-objective multi-agent cooperative
    decision-making with deep reinforcement learning, 2023.
"""

from typing import Any, NamedTuple

import flashbax
import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm._optimizers import init_per_agent
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.gossip import Exchange, GossipTransformation, Traffic, require_support
from jaxswarm.rl.actor_critic import apply_gradients
from jaxswarm.rl.hyperparameters import (
    POSITIVE,
    SHARE,
    UNIT,
    check_kind,
    check_numbers,
    check_optimizer,
    check_ranges,
    positive_sizes,
)
from jaxswarm.rl.returns import keep_unless
from jaxswarm.rl.value_decomposition.episodes import (
    check_team,
    check_team_params,
    play,
    team_reward,
    vector_reward,
)
from jaxswarm.rl.value_decomposition.loss import td_loss
from jaxswarm.rl.value_decomposition.networks import ValueNetwork
from jaxswarm.rl.value_decomposition.preferences import (
    check_preferences,
    gaps,
    guided_preferences,
    preference_grid,
    rounded_preferences,
    uniform_preferences,
)
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class ValueHyperparameters(NamedTuple):
    """Hyper-parameters; all may be traced.

    Attributes:
        lr: step size.
        discount: ``γ`` in ``[0, 1]``.
        tau: share of the weights that moves into the targets in an update, in ``(0, 1]``.
        epsilon_start: probability of a random action at the first step.
        epsilon_end: from ``epsilon_steps`` on; linear in between.
        epsilon_steps: number of steps of the learner, above 0.
        guide_share: probability that a preference is drawn at a gap of the front; 0 for uniform
            draws.
        preference_interval: preferences of training are rounded to its multiples, in ``[0, 1]``; 0
            for any preference. Only of two objectives.
    """

    lr: Any = 1e-3
    discount: Any = 0.99
    tau: Any = 0.02
    epsilon_start: Any = 1.0
    epsilon_end: Any = 0.05
    epsilon_steps: Any = 200.0
    guide_share: Any = 0.0
    preference_interval: Any = 0.0


RANGES = {
    "lr": (0.0, POSITIVE[1]),
    "discount": UNIT,
    "tau": SHARE,
    "epsilon_start": UNIT,
    "epsilon_end": UNIT,
    "epsilon_steps": (1e-6, POSITIVE[1]),
    "guide_share": UNIT,
    "preference_interval": UNIT,
}


class ValueState(NamedTuple):
    """State of the learner.

    Attributes:
        params: ``{"agent", "mixer"}``; leaves of ``"agent"`` lead with ``N`` unless shared.
        target: weights of the targets.
        opt_state: of the optimizer.
        replay: buffer of :class:`Episodes`.
        grid_returns: ``[W, 2]``, returns of the last greedy episodes under the grid; ``[0, m]``
            where no guide is possible.
        iteration: ``int32[]``, steps so far.
        env_params: physics.
        gossip: state of the gossip rule; ``()`` without one.
    """

    params: Params
    target: Params
    opt_state: PyTree
    replay: PyTree
    grid_returns: jax.Array
    iteration: jax.Array
    env_params: PyTree
    gossip: PyTree


class ValueInfo(NamedTuple):
    """Metrics of one step.

    Attributes:
        loss: mean over its updates.
        returns: ``[m]``, mean undiscounted return of its episodes, exploration included.
        epsilon: probability of a random action.
        grid_returns: as in the state.
        traffic: of the gossip; ``None`` without.
    """

    loss: jax.Array
    returns: jax.Array
    epsilon: jax.Array
    grid_returns: jax.Array
    traffic: Traffic | None


def value_learner(
    env: SwarmEnvironment,
    network: ValueNetwork,
    *,
    num_envs: int = 16,
    updates: int = 1,
    batch_size: int = 32,
    capacity: int = 1000,
    grid: ArrayLike | None = None,
    grid_every: int = 10,
    bootstrap: bool = True,
    shared: bool = True,
    gossip: GossipTransformation | None = None,
    optimizer: optax.GradientTransformation | None = None,
    hyperparameters: ValueHyperparameters | None = None,
) -> Algorithm:
    """Make the learner; ``rl.vdn``, ``rl.qmix`` and ``rl.mo_mix`` are its usual forms.

    Args:
        env: discrete actions, not wrapped.
        network: from :func:`jaxswarm.rl.value_network_for`.
        num_envs: ``E``, episodes per step.
        updates: gradient steps per step.
        batch_size: ``B``.
        capacity: episodes that the buffer holds.
        grid: ``[W, 2]``, preferences of the greedy episodes, at most ``E``; eleven by default. Only
            of two objectives.
        grid_every: steps between these.
        bootstrap: see :func:`jaxswarm.rl.value_decomposition.td_loss`; false for tasks of which the
            time limit is a part.
        shared: agents share one network; otherwise each has its own.
        gossip: rule by which agents exchange their own networks and targets after each step; only
            with ``shared=False``. With an independent mixer no agent then needs more than its own
            observations, the team's reward and its neighbors' weights.
        optimizer: a direction without step size; Adam after clipping the gradient's norm to 10 by
            default.
        hyperparameters: used where ``step`` gets ``None`` as inputs.

    Returns:
        ``init(params, key, env_params=None) -> ValueState``, with ``params`` from
        :func:`jaxswarm.rl.value_decomposition.initial_params`, and ``step(key, state, inputs) ->
        (state, ValueInfo)``.

    Raises:
        ValueError: sizes below 1, a buffer smaller than a batch or a step, preferences off the
            simplex, a network for another environment, gossip among agents that share a network.
    """
    check_team(env, network)
    num_envs, updates, batch_size, capacity, grid_every = positive_sizes(
        num_envs=num_envs,
        updates=updates,
        batch_size=batch_size,
        capacity=capacity,
        grid_every=grid_every,
    )
    if capacity < max(num_envs, batch_size):
        raise ValueError(
            f"capacity: expected at least {max(num_envs, batch_size)}, the larger of num_envs and "
            f"batch_size, got {capacity}"
        )
    checks.instance("bootstrap", bootstrap, bool)
    checks.instance("shared", shared, bool)
    n, m = network.num_agents, network.num_objectives
    agents_leave = type(env).agent_mask is not SwarmEnvironment.agent_mask
    if gossip is not None:
        require_support(gossip, purpose="value_learner")
        if shared:
            raise ValueError("gossip: expected None where agents share a network, got a rule")
    if optimizer is None:
        # Flat: programs of fewer operations, which compile sooner.
        plain = optax.chain(optax.clip_by_global_norm(10.0), optax.scale_by_adam())
        optimizer = optax.flatten(plain)
    direction = check_optimizer(optimizer)
    hp_default = ValueHyperparameters() if hyperparameters is None else hyperparameters
    check_ranges(check_kind(hp_default, ValueHyperparameters), RANGES)
    interval = hp_default.preference_interval
    if m != 2 and not checks.is_traced(interval) and interval != 0.0:
        raise ValueError(f"preference_interval: expected 0 for {m} objectives, got {interval}")
    preferences = _checked_grid(grid, m, num_envs)
    buffer = flashbax.make_item_buffer(capacity, batch_size, batch_size, add_batches=True)

    def play_all(key: Key, params: Params, w: jax.Array, epsilon: jax.Array, env_params: PyTree):
        by_agent = jnp.repeat(w[:, None], n, axis=1)
        reward = vector_reward if m > 1 else team_reward
        return play(
            key,
            env,
            network,
            params["agent"],
            by_agent,
            epsilon,
            reward,
            shared=shared,
            env_params=env_params,
        )

    def init(params: Params, key: Key, env_params: PyTree = None) -> ValueState:
        check_team_params(network, params, shared)
        checks.key(key)
        env_params = env.params if env_params is None else env_params
        shapes = jax.eval_shape(play_all, key, params, jnp.ones((1, m)), jnp.zeros(1), env_params)
        blank = jax.tree.map(lambda x: jnp.zeros(x.shape[1:], x.dtype), shapes)
        opt_state = direction.init(params)
        if not shared:
            opt_state = {
                "agent": init_per_agent(direction, params["agent"]),
                "mixer": direction.init(params["mixer"])
                if jax.tree.leaves(params["mixer"])
                else (),
            }
        exchanged = {"params": params["agent"], "target": params["agent"]}
        return ValueState(
            params,
            params,
            opt_state,
            buffer.init(blank),
            jnp.zeros((len(preferences), m)),
            jnp.int32(0),
            jax.tree.map(jnp.asarray, env_params),
            () if gossip is None else gossip.init(exchanged),
        )

    def draw(key: Key, count: int, state: ValueState, hp: ValueHyperparameters) -> jax.Array:
        if m == 1:
            return jnp.ones((count, 1))
        if not len(preferences):
            return uniform_preferences(key, count, m)
        found = gaps(preferences, state.grid_returns)
        drawn = guided_preferences(key, count, found, 1.0 - jnp.asarray(hp.guide_share))
        return rounded_preferences(drawn, hp.preference_interval)

    def apply(
        grads: Params, opt_state: PyTree, params: Params, hp: ValueHyperparameters
    ) -> tuple[Params, PyTree]:
        def move(grads: Params, opt_state: PyTree, params: Params) -> tuple[Params, PyTree]:
            return apply_gradients(direction, grads, opt_state, params, hp.lr)

        if shared:
            return move(grads, opt_state, params)
        own, own_opt = jax.vmap(move)(grads["agent"], opt_state["agent"], params["agent"])
        mixer, mixer_opt = params["mixer"], opt_state["mixer"]
        if jax.tree.leaves(mixer):
            mixer, mixer_opt = move(grads["mixer"], mixer_opt, mixer)
        return {"agent": own, "mixer": mixer}, {"agent": own_opt, "mixer": mixer_opt}

    def update(
        key: Key, state: ValueState, preference: jax.Array, hp: ValueHyperparameters
    ) -> tuple[ValueState, jax.Array]:
        with jax.numpy_rank_promotion("allow"):  # flashbax adds [B, 1] and [1]
            batch: Any = buffer.sample(state.replay, key).experience
        w = jnp.repeat(preference[:, None], n, axis=1)
        loss, grads = jax.value_and_grad(
            lambda params: td_loss(
                network,
                params,
                state.target,
                batch,
                w,
                hp.discount,
                shared=shared,
                bootstrap=bootstrap,
            )
        )(state.params)
        params, opt_state = apply(grads, state.opt_state, state.params, hp)
        target = jax.tree.map(lambda old, new: old + hp.tau * (new - old), state.target, params)
        moved = {"params": params, "target": target, "opt_state": opt_state}
        if agents_leave:
            seen = jnp.any(batch.present[:, :-1] & batch.valid[:, :, None], axis=(0, 1))
            old = {name: getattr(state, name) for name in moved}
            moved = _keep_absent(moved, old, seen, shared)
        return state._replace(**moved), loss

    def step(
        key: Key, state: ValueState, inputs: ValueHyperparameters | None = None
    ) -> tuple[ValueState, ValueInfo]:
        checks.instance("state", state, ValueState, "what init returns")
        hp = hp_default if inputs is None else inputs
        check_numbers(hp, ValueHyperparameters, None)
        draw_key, play_key, update_key, gossip_key = jax.random.split(checks.key(key), 4)
        progress = jnp.minimum(state.iteration / hp.epsilon_steps, 1.0)
        epsilon = hp.epsilon_start + (hp.epsilon_end - hp.epsilon_start) * progress
        drawn = draw(draw_key, num_envs + updates * batch_size, state, hp)
        w, again = drawn[:num_envs], drawn[num_envs:].reshape(updates, batch_size, m)
        greedy = jnp.zeros(num_envs, bool)
        shows_front = state.iteration % grid_every == 0
        if len(preferences):
            greedy = (jnp.arange(num_envs) < len(preferences)) & shows_front
            shown = jnp.concatenate([preferences, w[len(preferences) :]])
            w = jnp.where(greedy[:, None], shown, w)
        explores = jnp.where(greedy, 0.0, epsilon)
        episodes = play_all(play_key, state.params, w, explores, state.env_params)
        returns = jnp.sum(episodes.reward, axis=1)
        with jax.numpy_rank_promotion("allow"):
            stored = buffer.add(state.replay, episodes)
        present = jnp.any(episodes.present[:, :-1], axis=(0, 1)) if agents_leave else None
        if present is not None:
            stored = keep_unless(jnp.any(present), stored, state.replay)
        state = state._replace(
            replay=stored,
            grid_returns=jnp.where(shows_front, returns[: len(preferences)], state.grid_returns),
        )
        state, losses = jax.lax.scan(
            lambda state, given: update(given[0], state, given[1], hp),
            state,
            (jax.random.split(update_key, updates), again),
        )
        traffic = None
        if gossip is not None:
            parts = {"params": state.params["agent"], "target": state.target["agent"]}
            exchange = Exchange(state.iteration, participates=present)
            parts, gossip_state, traffic = gossip.mix(gossip_key, parts, state.gossip, exchange)
            state = state._replace(
                params={**state.params, "agent": parts["params"]},
                target={**state.target, "agent": parts["target"]},
                gossip=gossip_state,
            )
        info = ValueInfo(
            jnp.mean(losses), jnp.mean(returns, axis=0), epsilon, state.grid_returns, traffic
        )
        return state._replace(iteration=state.iteration + 1), info

    return Algorithm(init, step)  # type: ignore[arg-type]


def _keep_absent(
    moved: dict[str, PyTree], old: dict[str, PyTree], seen: jax.Array, shared: bool
) -> dict[str, PyTree]:
    """Keep what belongs to agents that a batch has no step of; ``seen bool[N]``."""
    if shared:
        return keep_unless(jnp.any(seen), moved, old)
    return {
        name: {
            "agent": agents.where(seen, moved[name]["agent"], old[name]["agent"]),
            "mixer": keep_unless(jnp.any(seen), moved[name]["mixer"], old[name]["mixer"]),
        }
        for name in moved
    }


def _checked_grid(grid: ArrayLike | None, m: int, num_envs: int) -> jax.Array:
    """The grid of preferences of the guide, ``[W, 2]``; without rows where there is no guide.

    Raises:
        ValueError: for preferences off the simplex, more than there are environments, or a grid of
            another number of objectives than two.
    """
    if m != 2:
        if grid is not None:
            raise ValueError(f"grid: expected None for {m} objectives, got {checks.shown(grid)}")
        return jnp.zeros((0, m))
    given = preference_grid(min(10, num_envs - 1) or 1) if grid is None else grid
    preferences = check_preferences("grid", given, m)
    if preferences.ndim != 2 or len(preferences) > num_envs:
        raise ValueError(
            f"grid: expected at most num_envs={num_envs} preferences [W, 2], got "
            f"{preferences.shape}"
        )
    return preferences
