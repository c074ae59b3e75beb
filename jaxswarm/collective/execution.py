"""Executing learnt decision rules on finite swarms, which do not see the mean field.

In the limit of many agents the mean field moves deterministically, so a policy that was trained
with it in sight can be written down as a sequence of decision rules, once, from a simulated
reference swarm. Agents carry that sequence (or, with a shared seed, redo the same simulation).

Shapes: ``T`` steps, ``N`` agents, ``P`` numbers of a decision rule, ``R`` repetitions.

References:
    K. Cui et al., Learning decentralized partially observable mean field control for artificial
    collective behavior, 2024.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.collective.environments import MeanFieldControl, act_by_rule
from jaxswarm.collective.rules import Rule, check_numbers_fit, warn_unless_lipschitz
from jaxswarm.collective.task import SwarmState, SwarmTask
from jaxswarm.envs import Policy, unroll

PyTree = Any


class Execution(NamedTuple):
    """What came of it: ``returns []`` discounted, ``rewards [T]``, the last ``state``."""

    returns: jax.Array
    rewards: jax.Array
    state: SwarmState


class Sequence(NamedTuple):
    """Decision rules ``numbers [T, P]``, and ``rewards [T]`` of the reference swarm they steered.

    That swarm's policy saw its mean field: the rewards are an oracle's, not the agents'.
    """

    numbers: jax.Array
    rewards: jax.Array


def open_loop(
    control: MeanFieldControl,
    policy: Policy,
    key: jax.Array,
    *,
    params: PyTree = (),
    physics: PyTree = None,
) -> Sequence:
    """The rules that a policy chooses for one reference swarm, one per step.

    Args:
        control: with the reference swarm's size: the larger, the nearer to the limit.
        policy: of the upper level; deterministic, or sampling from this key (a shared seed).
        key: of the reference simulation, known to all agents.
        params: of the policy.
        physics: of the task.
    """
    _, done = unroll(key, control, policy, control.time_limit, params=params, env_params=physics)
    rewards: Any = done.timestep.reward
    return Sequence(done.action[:, 0], rewards[:, 0])


def execute(
    task: SwarmTask,
    rule: Rule,
    numbers: jax.Array,
    key: jax.Array,
    *,
    num_steps: int | None = None,
    discount: Any = 0.99,
    physics: PyTree = None,
) -> Execution:
    """Run a swarm by given decision rules; agents see their own observations and nothing else.

    Args:
        task: of any number of agents, that of training or another.
        rule: the parametrisation.
        numbers: ``[T, P]``, a rule per step, or ``[P]``, the same in ``num_steps`` steps.
        key: consumed.
        num_steps: ``T``, where ``numbers`` do not say.
        discount: factor per step; may be traced.
        physics: of the task, its own if omitted.

    Raises:
        ValueError: if ``numbers`` are for another grid, or ``T`` is missing, contradicted or < 1.
    """
    check_numbers_fit(rule, numbers)
    if numbers.ndim == 1:
        if num_steps is None or num_steps < 1:
            raise ValueError(f"num_steps: expected at least 1 for a single rule, got {num_steps}")
        numbers = jnp.broadcast_to(numbers, (num_steps, len(numbers)))
    elif num_steps not in (None, len(numbers)) or not len(numbers):
        raise ValueError(f"num_steps: expected {len(numbers)} like numbers, got {num_steps}")
    params = task.params if physics is None else physics
    begin, run = jax.random.split(key)

    def advance(state: SwarmState, now: tuple[jax.Array, jax.Array]) -> Any:
        index, chosen = now
        look, draw, move = jax.random.split(jax.random.fold_in(run, index), 3)
        seen = task.observe(look, params, state)
        actions = act_by_rule(rule, draw, chosen, seen)
        state = task.transition(move, params, state, actions)
        return state, task.reward(params, state, actions)

    steps = jnp.arange(len(numbers))
    state, rewards = jax.lax.scan(advance, task.init(begin, params), (steps, numbers))
    return Execution(rewards @ jnp.asarray(discount) ** steps, rewards, state)


def convergence(
    make: Any,
    rule: Rule,
    numbers: jax.Array,
    key: jax.Array,
    sizes: tuple[int, ...],
    repetitions: int,
    *,
    num_steps: int | None = None,
    discount: Any = 0.99,
    jit: Callable[..., Any] = jax.jit,
) -> dict[int, jax.Array]:
    """Returns of the same decision rule in swarms of many sizes: does ``J^N`` approach its limit?

    Args:
        make: ``make(N)`` is the task.
        rule: the parametrisation; a warning if it jumps, as the theory asks for Lipschitz rules.
        numbers: ``[T, P]`` or ``[P]``.
        key: consumed.
        sizes: the ``N``.
        repetitions: ``R`` independent swarms of each size.
        num_steps: as in :func:`execute`.
        discount: likewise.
        jit: compiles the program of each size.

    Returns:
        ``{N: returns [R]}``.

    Raises:
        ValueError: without sizes or repetitions, and what ``make`` and :func:`execute` refuse.
    """
    if not sizes or repetitions < 1:
        raise ValueError(f"sizes, repetitions: expected some, got {sizes}, {repetitions}")
    warn_unless_lipschitz(rule)
    found = {}
    for n in sizes:
        task = make(n)

        def all_of(keys: jax.Array, task: SwarmTask = task) -> jax.Array:
            options = {"num_steps": num_steps, "discount": discount}
            one = lambda k: execute(task, rule, numbers, k, **options).returns  # noqa: E731
            return jax.lax.map(one, keys, batch_size=min(repetitions, 64))

        found[n] = jit(all_of)(agents.keys(jax.random.fold_in(key, n), repetitions))
    return found
