"""PPO's updates of one learner from collected transitions: epochs of shuffled minibatches.

Shapes: ``T`` steps, ``B`` sequences of one learner.

References:
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
"""

from collections.abc import Sequence
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, checks
from jaxswarm.rl.actor_critic import apply_gradients
from jaxswarm.rl.hyperparameters import check_optimizer, positive_sizes
from jaxswarm.rl.networks import Network
from jaxswarm.rl.on_policy import Transition
from jaxswarm.rl.ppo_loss import PPOBatch, PPOHyperparameters, ppo_loss
from jaxswarm.rl.returns import advantages, keep_unless, normalized, select_valid
from jaxswarm.rl.value_statistics import (
    NormalizedState,
    ValueStatistics,
    denormalized,
    standardized,
    updated_statistics,
)
from jaxswarm.types import Key, Params, PyTree


class PPOUpdate(Protocol):
    """All updates of one learner in one iteration, from transitions ``[T, B, …]``.

    ``carry`` holds the recurrent states at the beginning of the sequences, leaves ``[B, …]``.
    """

    def __call__(
        self,
        key: Key,
        params: Params,
        opt_state: PyTree,
        transitions: Transition,
        carry: PyTree,
        hp: PPOHyperparameters,
    ) -> tuple[Params, PyTree, dict[str, jax.Array]]:
        """New params, new optimizer state, and metrics of the last epoch."""
        ...


def default_optimizer(
    max_grad_norm: float = 0.5, schedule: optax.Schedule | None = None
) -> optax.GradientTransformation:
    """PPO's usual direction: Adam after clipping the gradient's norm.

    Args:
        max_grad_norm: the largest norm, above 0.
        schedule: factor on the direction, a function of the number of gradient steps so far.

    Raises:
        ValueError: for a norm that is not positive, or something that is no function.
    """
    if checks.is_traced(max_grad_norm):
        shown = checks.shown(max_grad_norm)
        raise ValueError(f"max_grad_norm: expected a known number, got {shown}")
    checks.real("max_grad_norm", max_grad_norm, above=0.0)
    parts = [optax.clip_by_global_norm(max_grad_norm), optax.scale_by_adam(eps=1e-5)]
    if schedule is not None:
        checks.function("schedule", schedule)
        parts.append(optax.scale_by_schedule(schedule))
    return optax.chain(*parts)


def ppo_update(
    network: Network,
    optimizer: optax.GradientTransformation,
    *,
    num_sequences: int,
    num_steps: int,
    epochs: int,
    minibatches: int,
    normalize: bool,
    normalize_values: bool = False,
) -> PPOUpdate:
    """Make the updates of one iteration as a function of one learner; ``vmap`` it over learners.

    Args:
        network: of the learner. If recurrent, whole sequences are shuffled, else single steps.
        optimizer: gives the direction, which is then scaled by ``-lr``.
        num_sequences: ``B``.
        num_steps: ``T``.
        epochs: passes over the data.
        minibatches: a divisor of ``B`` if recurrent, else of ``T B``.
        normalize: bring the advantages to mean 0 and standard deviation 1.
        normalize_values: the critic regresses normalized targets; the optimizer's state is then a
            :class:`jaxswarm.rl.value_statistics.NormalizedState`.

    Raises:
        ValueError: sizes below 1, or minibatches that do not divide.
    """
    check_optimizer(optimizer)
    checks.instance("normalize", normalize, bool)
    checks.instance("normalize_values", normalize_values, bool)
    num_steps, epochs, minibatches = positive_sizes(
        num_steps=num_steps, epochs=epochs, minibatches=minibatches
    )
    items = num_sequences if network.recurrent else num_sequences * num_steps
    if items % minibatches:
        raise ValueError(f"minibatches: expected a divisor of {items}, got {minibatches}")

    def update(
        key: Key,
        params: Params,
        opt_state: PyTree,
        transitions: Transition,
        carry: PyTree,
        hp: PPOHyperparameters,
    ) -> tuple[Params, PyTree, dict[str, jax.Array]]:
        # Nothing of an absent agent counts, even if it is NaN; when episodes begin and end does.
        given, transitions = transitions, select_valid(transitions, transitions.mask)
        transitions = transitions._replace(first=given.first, last=given.last)
        statistics = None
        if normalize_values:
            opt_state, statistics = opt_state
        batch, statistics = make_batch(transitions, hp, normalize=normalize, statistics=statistics)
        if not network.recurrent:
            batch = jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), batch)
            carry = jax.tree.map(lambda x: jnp.zeros((items, *x.shape[1:])), carry)

        def minibatch_step(held: tuple, inputs: tuple[jax.Array, Key]) -> tuple:
            params, opt_state = held
            indices, loss_key = inputs
            part = jax.tree.map(lambda x: jnp.take(x, indices, axis=1), batch)
            start = jax.tree.map(lambda x: jnp.take(x, indices, axis=0), carry)
            grads, metrics = jax.grad(ppo_loss, argnums=2, has_aux=True)(
                loss_key, network, params, part, start, hp
            )
            updated = apply_gradients(optimizer, grads, opt_state, params, hp.lr)
            return keep_unless(jnp.any(part.transitions.mask), updated, held), metrics

        def epoch(held: tuple, key: Key) -> tuple:
            shuffle_key, loss_key = jax.random.split(key)
            indices = random_order(shuffle_key, items).reshape(minibatches, -1)
            return jax.lax.scan(
                minibatch_step, held, (indices, jax.random.split(loss_key, minibatches))
            )

        keys = jax.random.split(key, epochs)
        (params, opt_state), metrics = jax.lax.scan(epoch, (params, opt_state), keys)
        if statistics is not None:
            opt_state = NormalizedState(opt_state, statistics)
        return params, opt_state, jax.tree.map(lambda x: jnp.mean(x[-1]), metrics)

    return update


def update_shared(update: PPOUpdate) -> PPOUpdate:
    """Update the one learner that all agents share, from transitions ``[T, E, N, …]``."""

    def updates(
        key: Key,
        params: Params,
        opt_state: PyTree,
        transitions: Transition,
        carry: PyTree,
        hp: PPOHyperparameters,
    ) -> tuple[Params, PyTree, dict[str, jax.Array]]:
        transitions = jax.tree.map(lambda x: x.reshape(len(x), -1, *x.shape[3:]), transitions)
        carry = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), carry)
        return update(key, params, opt_state, transitions, carry, hp)

    return updates


def update_each(update: PPOUpdate, num_agents: int) -> PPOUpdate:
    """Update ``N`` independent learners, each from its own part of transitions ``[T, E, N, …]``.

    Agent ``i`` draws from ``fold_in(key, i)``; hyper-parameters may be ``[N]`` each.
    """
    return update_groups(update, range(num_agents))


def update_groups(update: PPOUpdate, groups: Sequence[int]) -> PPOUpdate:
    """Update one learner per group of agents, each from its members' part of ``[T, E, N, …]``.

    Groups may differ in size: smaller ones are padded with absent members, so ``update`` is of as
    many sequences as the largest group has. Learner ``g`` draws from ``fold_in(key, g)``;
    hyper-parameters may be ``[G]`` each.

    Args:
        update: of one learner, for ``E M`` sequences of ``M`` members of the largest group.
        groups: ``[N]``, the group ``0 … G - 1`` of each agent.
    """
    members = [np.flatnonzero(np.asarray(groups) == g) for g in range(max(groups) + 1)]
    largest = max(len(ids) for ids in members)
    table = np.stack([np.pad(ids, (0, largest - len(ids)), mode="edge") for ids in members])
    real = np.arange(largest)[None] < np.array([len(ids) for ids in members])[:, None]

    def updates(
        key: Key,
        params: Params,
        opt_state: PyTree,
        transitions: Transition,
        carry: PyTree,
        hp: PPOHyperparameters,
    ) -> tuple[Params, PyTree, dict[str, jax.Array]]:
        def by_group(x: jax.Array) -> jax.Array:  # [T, E, N, …] -> [G, T, E M, …]
            x = jnp.moveaxis(x[:, :, table], 2, 0)
            return x.reshape(*x.shape[:2], -1, *x.shape[4:])

        def carry_by_group(x: jax.Array) -> jax.Array:  # [E, N, …] -> [G, E M, …]
            x = jnp.moveaxis(x[:, table], 1, 0)
            return x.reshape(len(table), -1, *x.shape[3:])

        mask = transitions.mask[:, :, table] & real[None, None]
        mask = jnp.moveaxis(mask, 2, 0).reshape(len(table), len(transitions.mask), -1)
        transitions = jax.tree.map(by_group, transitions)._replace(mask=mask)
        carry = jax.tree.map(carry_by_group, carry)
        hp = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(table),)), hp)
        keys = agents.keys(key, len(table))
        return jax.vmap(update)(keys, params, opt_state, transitions, carry, hp)

    return updates


def make_batch(
    transitions: Transition,
    hp: PPOHyperparameters,
    *,
    normalize: bool,
    statistics: ValueStatistics | None = None,
) -> tuple[PPOBatch, ValueStatistics | None]:
    """Advantages and value targets of transitions ``[T, B, …]``.

    With ``statistics`` the critic's values are normalized ones: advantages are computed from what
    they stand for, the targets are normalized by the statistics updated with them, and these are
    returned.
    """
    value, next_value = transitions.value, transitions.next_value
    if statistics is not None:
        value, next_value = (denormalized(statistics, x) for x in (value, next_value))
    advantage = advantages(
        transitions.reward,
        transitions.discount * hp.discount,
        transitions.last,
        value,
        next_value,
        hp.gae_lambda,
    )
    value_target = advantage + value
    if statistics is not None:
        statistics = updated_statistics(statistics, value_target, transitions.mask)
        value_target = standardized(statistics, value_target)
    advantage = normalized(advantage, transitions.mask) if normalize else advantage
    return PPOBatch(transitions, advantage, value_target), statistics


def random_order(key: Key, count: int) -> jax.Array:
    """``0 … count − 1`` in random order, ``int32[count]``.

    Up to 2¹⁶ of them by sorting one array, in which an index follows 16 or more random bits; a
    pair whose bits are equal, one in 2¹⁶ or fewer, stays in order. On a CPU this takes an eighth of
    the time of ``jax.random.permutation``, which sorts pairs, twice, and which larger counts get.

    Args:
        key: consumed.
        count: at least 1, static.
    """
    if count > 2**16:
        return jax.random.permutation(key, count)
    low = max((count - 1).bit_length(), 1)
    index = jnp.arange(count, dtype=jnp.uint32)
    bits = jax.random.bits(key, (count,), jnp.uint32) >> low << low
    return (jax.lax.sort(bits | index) & (2**low - 1)).astype(jnp.int32)
