"""Offline goal-conditioned learners with action chunks: one update for the whole family.

A **chunk critic** ``Q^h(s, g, a_0…a_{h−1})`` learns the discounted probability ``γ^k`` of reaching
the goal after ``k`` steps, from returns over ``horizon`` steps and a bootstrapped value. A
**distilled critic** of the first actions alone follows an upper expectile of it, optimistic about
how the chunk goes on. A **value** follows an upper quantile of the critic that the policy
uses (an implicit maximum over the data's actions). The **actor** is a flow model of the data's
chunks; the policy executes the best of several samples. Values are kept as logits; critics learn by
cross-entropy.

Which method it is, is a matter of numbers (:class:`ChunkHyperparameters`), which may be traced: one
program trains all methods side by side.

Shapes: ``B`` items of a batch, ``H`` steps of the longest chunk, ``A`` numbers of an action, ``K``
critics.

References:
    Q. Li, S. Park, S. Levine, Decoupled Q-chunking, 2025.
    Q. Li, Z. Zhou, S. Levine, Reinforcement learning with action chunking, 2025 (Q-chunking).
    I. Kostrikov, A. Nair, S. Levine, Offline reinforcement learning with implicit Q-learning, 2022.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.models import flow as flows
from jaxswarm.models.losses import weighted_mean
from jaxswarm.rl.offline._network import ChunkNetwork
from jaxswarm.rl.offline._trajectories import ChunkBatch
from jaxswarm.rl.offline.losses import (
    binary_cross_entropy,
    check_kappa,
    expectile_cross_entropy,
    quantile_loss,
)
from jaxswarm.types import Key, Params, PyTree

LARGEST_WEIGHT = 100.0
"""Advantage weights of the actor's loss are cut here."""


class ChunkHyperparameters(NamedTuple):
    """Numbers of an offline chunk learner; all may be traced.

    Attributes:
        horizon: ``n``, steps of the critic's return, at most the network's ``H``.
        critic_chunk: ``h``, actions that the chunk critic is given, at most ``horizon``.
        policy_chunk: ``h_a``, actions that the actor generates, at most ``critic_chunk``.
        executed: actions of a chunk that are executed before the next one, at most
            ``policy_chunk``.
        distill: whether value and policy use the distilled critic of ``policy_chunk`` actions;
            otherwise they use the chunk critic, whose chunk is then the policy's.
        kappa_distill: ``κ_d`` in ``[0.5, 1)``, expectile of the distilled critic.
        kappa_value: ``κ_b`` in ``[0.5, 1)``, level of the value.
        expectile_value: whether the value is an expectile instead of a quantile (of the logits).
        candidates: samples of which the policy executes the best, at least 1.
        advantage_weight: ``β >= 0`` of advantage-weighted regression: the actor's loss is weighted
            by ``exp(β (logit Q − logit V))``; 0 imitates all data alike.
        goal_conditioned: whether the actor is given the goal; it then learns from later rows of the
            same episode as goals only.
        discount: ``γ`` in ``(0, 1)``.
        pessimism: from the mean of the critics (0) to their smallest (1).
        tau: share of the critic that moves into its target in an update, in ``(0, 1]``.
        lr: step size of Adam.
    """

    horizon: Any = 25
    critic_chunk: Any = 25
    policy_chunk: Any = 5
    executed: Any = 5
    distill: Any = True
    kappa_distill: Any = 0.9
    kappa_value: Any = 0.8
    expectile_value: Any = False
    candidates: Any = 32
    advantage_weight: Any = 0.0
    goal_conditioned: Any = False
    discount: Any = 0.999
    pessimism: Any = 0.0
    tau: Any = 0.005
    lr: Any = 3e-4


class OfflineState(NamedTuple):
    """State of one learner.

    Attributes:
        params: weights, see :class:`jaxswarm.rl.offline.ChunkNetwork`.
        target: weights of the target copy of the critic that the policy uses.
        opt_state: of Adam.
    """

    params: Params
    target: Params
    opt_state: PyTree


class OfflineLearner(NamedTuple):
    """An offline learner; ``init`` and ``step`` make it an ``Algorithm``.

    Attributes:
        init: ``init(key) -> OfflineState``.
        step: ``step(key, state, batch: ChunkBatch) -> (OfflineState, losses)``; ``losses`` is a
            dict of scalars. The batch must be drawn with ``steps=hyperparameters.horizon``.
        act: ``act(key, params, observation [B, O], goal [B, G]) -> [B, H, A]``, the chunk of the
            policy; zeros beyond ``policy_chunk``.
        network: the networks.
        hyperparameters: the numbers.
    """

    init: Callable[[Key], OfflineState]
    step: Callable[..., tuple[OfflineState, dict[str, jax.Array]]]
    act: Callable[..., jax.Array]
    network: ChunkNetwork
    hyperparameters: ChunkHyperparameters


def chunk_learner(
    network: ChunkNetwork,
    hyperparameters: ChunkHyperparameters,
    *,
    num_candidates: int = 32,
    flow_steps: int = 10,
) -> OfflineLearner:
    """Make a learner of the family; the named methods are choices of its numbers.

    Args:
        network: of :func:`jaxswarm.rl.offline.chunk_network`.
        hyperparameters: the numbers of the method.
        num_candidates: samples that are drawn; the first ``candidates`` of them count.
        flow_steps: Euler steps of the actor.

    Raises:
        ValueError: for known numbers out of range: ``executed <= policy_chunk <= critic_chunk <=
            horizon <= H``, ``κ`` in ``[0.5, 1)``, ``γ`` in ``(0, 1)``, …; without ``distill`` for
            a policy chunk other than the critic's.
    """
    checks.instance("network", network, ChunkNetwork, "offline.chunk_network(2, 2, horizon=25)")
    num_candidates = checks.whole("num_candidates", num_candidates, 1)
    flow_steps = checks.whole("flow_steps", flow_steps, 1)
    hp = check_hyperparameters(hyperparameters, network, num_candidates)
    optimizer = optax.adam(1.0)
    places = jnp.arange(network.horizon)
    distill = jnp.asarray(hp.distill)

    def cut(actions: jax.Array, length: Any) -> jax.Array:
        """Zero the actions beyond a chunk's length."""
        return jnp.where((places < length)[None, :, None], actions, 0.0)

    def pooled(logits: jax.Array) -> jax.Array:
        """One logit of ``K`` critics, ``[K, B] -> [B]``."""
        pessimism = jnp.asarray(hp.pessimism)
        return pessimism * logits.min(0) + (1.0 - pessimism) * logits.mean(0)

    def acting(params: Params) -> Params:
        """Weights of the critic that the policy and the value use."""
        return jax.tree.map(
            lambda a, b: jnp.where(distill, a, b), params["distilled"], params["chunk"]
        )

    def condition(observation: jax.Array, goal: jax.Array) -> jax.Array:
        seen = jnp.where(jnp.asarray(hp.goal_conditioned), goal, 0.0)
        return jnp.concatenate([observation, seen], axis=1)

    def init(key: Key) -> OfflineState:
        params = network.init(checks.key(key))
        return OfflineState(params, acting(params), optimizer.init(params))

    def actor_losses(key: Key, params: Params, chunk: jax.Array, where: jax.Array) -> jax.Array:
        """Flow-matching loss over the actions of the policy's chunk, ``[B]``."""
        model = network.flow
        state = flows.noised(key, chunk, model.path)
        predicted = model.predict(params, cut(state.x, hp.policy_chunk), state.t, where)
        error = jnp.square(cut(predicted - state.velocity, hp.policy_chunk))
        return error.sum((1, 2)) / (network.num_actions * jnp.asarray(hp.policy_chunk))

    def loss(
        params: Params, target: Params, key: Key, batch: ChunkBatch
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        places_of = (batch.observation, batch.goal)
        full = cut(batch.actions, hp.critic_chunk)
        short = cut(batch.actions, hp.policy_chunk)
        known = batch.complete.astype(jnp.float32)

        # Chunk critic: return over the horizon, then the value.
        ahead = jax.nn.sigmoid(network.value(params["value"], batch.next_observation, batch.goal))
        discounts = jnp.asarray(hp.discount) ** batch.steps
        returned = discounts * jnp.where(batch.hit, 1.0, ahead)
        goal_value = jax.lax.stop_gradient(jnp.where(batch.complete, returned, 0.0))
        chunk_logits = network.q(params["chunk"], *places_of, full)
        critic = binary_cross_entropy(chunk_logits, goal_value[None]).mean(0)

        # Distilled critic: upper expectile of the chunk critic over how the chunk goes on.
        taught = jax.lax.stop_gradient(jax.nn.sigmoid(pooled(chunk_logits)))
        short_logits = network.q(params["distilled"], *places_of, short)
        distilled = expectile_cross_entropy(short_logits, taught[None], hp.kappa_distill).mean(0)

        # Value: upper quantile of the target critic over the actions of the data.
        acted = pooled(network.q(target, *places_of, short))
        value_logits = network.value(params["value"], *places_of)
        value = jnp.where(
            jnp.asarray(hp.expectile_value),
            expectile_cross_entropy(value_logits, jax.nn.sigmoid(acted), hp.kappa_value),
            quantile_loss(acted - value_logits, hp.kappa_value),
        )

        # Actor: flow matching, weighted by the advantage on request.
        exists = (batch.valid | (places >= hp.policy_chunk)[None]).all(1)
        advantage = jax.lax.stop_gradient(acted - value_logits)
        weight = jnp.exp(jnp.asarray(hp.advantage_weight) * advantage)
        errors = actor_losses(key, params["flow"], short, condition(*places_of))
        actor = jnp.minimum(weight, LARGEST_WEIGHT) * errors

        # An actor with a goal learns from goals that the data went on to reach.
        imitated = exists & (batch.future | ~jnp.asarray(hp.goal_conditioned))
        usable = (exists | batch.hit).astype(jnp.float32)
        losses = {
            "chunk": weighted_mean(critic, known),
            "distilled": weighted_mean(distilled, known),
            "value": weighted_mean(value, usable),
            "flow": weighted_mean(actor, imitated.astype(jnp.float32)),
        }
        return sum(losses.values(), jnp.zeros(())), losses

    def step(
        key: Key, state: OfflineState, batch: ChunkBatch
    ) -> tuple[OfflineState, dict[str, jax.Array]]:
        checks.instance("batch", batch, ChunkBatch, "what a ChunkSampler draws")
        checks.numbers("batch.actions", batch.actions, (None, network.horizon, network.num_actions))
        grads, losses = jax.grad(loss, has_aux=True)(
            state.params, state.target, checks.key(key), batch
        )
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = jax.tree.map(lambda p, u: p + jnp.asarray(hp.lr) * u, state.params, updates)
        target = optax.incremental_update(acting(params), state.target, jnp.asarray(hp.tau))
        return OfflineState(params, target, opt_state), losses

    def act(key: Key, params: Params, observation: jax.Array, goal: jax.Array) -> jax.Array:
        observation = checks.numbers("observation", observation, (None, network.num_observations))
        count = len(observation)
        goal = checks.numbers("goal", goal, (count, network.num_goals))
        where, critic = condition(observation, goal), acting(params)
        shape = (count * num_candidates, network.horizon, network.num_actions)
        noise = flat(jax.random.normal, checks.key(key), shape)

        def velocity(x: jax.Array, t: jax.Array) -> jax.Array:
            return cut(network.flow.velocity(params["flow"], x, t, where), hp.policy_chunk)

        def sample(noise: jax.Array) -> tuple[jax.Array, jax.Array]:
            """One candidate of every row ``[B, H, A]``, and its score ``[B]``."""
            chunk = flows.integrate(velocity, cut(noise, hp.policy_chunk), num_steps=flow_steps)
            chunk = jnp.clip(chunk, -1.0, 1.0)
            return chunk, pooled(network.q(critic, observation, goal, chunk))

        # Over candidates, so that the actor embeds time and condition once for all of them.
        samples, scores = jax.vmap(sample, 1)(noise.reshape(count, num_candidates, *shape[1:]))
        counts = jnp.arange(num_candidates) < jnp.asarray(hp.candidates)
        best = jnp.argmax(jnp.where(counts[:, None], scores, -jnp.inf), axis=0)
        return samples[best, jnp.arange(count)]

    return OfflineLearner(init, step, act, network, hp)


def check_hyperparameters(
    hp: ChunkHyperparameters, network: ChunkNetwork, num_candidates: int
) -> ChunkHyperparameters:
    """Check the known numbers of a learner and return them; traced ones pass.

    Raises:
        ValueError: naming the number, what was expected and what came.
    """
    checks.instance("hyperparameters", hp, ChunkHyperparameters, "offline.ChunkHyperparameters()")
    largest = {"horizon": network.horizon}
    for name, bound in (
        ("critic_chunk", "horizon"),
        ("policy_chunk", "critic_chunk"),
        ("executed", "policy_chunk"),
    ):
        larger = getattr(hp, bound)
        largest[name] = network.horizon if checks.is_traced(larger) else larger
    largest["candidates"] = num_candidates
    for name, high in largest.items():
        given = getattr(hp, name)
        if not checks.is_traced(given):
            checks.whole(name, given, 1, int(high))
    for name in ("kappa_distill", "kappa_value"):
        check_kappa(name, getattr(hp, name))
    checks.real("advantage_weight", hp.advantage_weight, 0.0)
    checks.real("discount", hp.discount, above=0.0, below=1.0)
    checks.probability("pessimism", hp.pessimism)
    checks.real("tau", hp.tau, 0.0, 1.0, above=0.0)
    checks.real("lr", hp.lr, above=0.0)
    flags = {name: getattr(hp, name) for name in ("distill", "expectile_value", "goal_conditioned")}
    for name, given in flags.items():
        if not checks.is_traced(given):
            checks.flag(name, bool(given) if hasattr(given, "dtype") else given)
    sizes = (hp.distill, hp.policy_chunk, hp.critic_chunk)
    if not any(checks.is_traced(size) for size in sizes) and not hp.distill:
        if int(hp.policy_chunk) != int(hp.critic_chunk):
            raise ValueError(
                f"policy_chunk: expected the critic's {hp.critic_chunk} without distill, got "
                f"{hp.policy_chunk}"
            )
    return hp
