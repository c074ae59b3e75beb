"""Execute learned decision rules on finite swarms, without the mean field.

In the limit of many agents the mean field moves deterministically, so a policy that was trained on
mean fields can be written down as a sequence of decision rules, once, from a simulated reference
swarm. Agents carry that sequence (or, with a shared seed, repeat the same simulation).

Shapes: ``T`` steps, ``N`` agents, ``P`` parameters of a decision rule, ``R`` repetitions.

References:
    K. Cui et al., Learning decentralized partially observable mean field control for artificial
    collective behavior, 2024.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.collective.environments import MeanFieldControl, act_by_rule
from jaxswarm.collective.rules import DecisionRule, check_rule_params, warn_unless_lipschitz
from jaxswarm.collective.task import SwarmTask, TaskState, check_task
from jaxswarm.envs import Policy, unroll
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class Execution(NamedTuple):
    """Result of :func:`execute`: ``returns []`` discounted, ``rewards [T]``, the last ``state``."""

    returns: jax.Array
    rewards: jax.Array
    state: TaskState


class RuleSequence(NamedTuple):
    """Decision rules, one per step, and the rewards of the reference swarm they controlled.

    That swarm's policy observed its mean field: the rewards are an oracle's, not the agents'.

    Attributes:
        rule_params: ``[T, P]``.
        rewards: ``[T]``.
    """

    rule_params: jax.Array
    rewards: jax.Array


def open_loop(
    key: Key,
    control: MeanFieldControl,
    policy: Policy,
    *,
    params: Params = (),
    env_params: PyTree = None,
) -> RuleSequence:
    """Record the decision rules that a policy chooses for one reference swarm, one per step.

    Args:
        key: of the reference simulation, known to all agents.
        control: with the reference swarm's size: the larger, the nearer to the limit.
        policy: of the upper level; deterministic, or sampling from this key (a shared seed).
        params: weights of the policy.
        env_params: physics of the task; its own if omitted.
    """
    checks.key(key)
    checks.instance("control", control, MeanFieldControl)
    checks.instance("policy", policy, Policy, "envs.scripted(act)")
    steps = control.time_limit
    _, trajectory = unroll(key, control, policy, steps, params=params, env_params=env_params)
    rewards: Any = trajectory.timestep.reward
    return RuleSequence(trajectory.action[:, 0], rewards[:, 0])


def execute(
    key: Key,
    task: SwarmTask,
    rule: DecisionRule,
    rule_params: jax.Array,
    *,
    num_steps: int | None = None,
    discount: ArrayLike = 0.99,
    env_params: PyTree = None,
) -> Execution:
    """Run a swarm by given decision rules; agents use their own observations and nothing else.

    Args:
        key: consumed.
        task: of any number of agents, that of training or another.
        rule: the parametrization.
        rule_params: ``[T, P]``, a rule per step, or ``[P]``, the same in ``num_steps`` steps.
        num_steps: ``T``; needed for a single rule.
        discount: factor per step in ``[0, 1]``; may be traced.
        env_params: physics of the task; its own if omitted.

    Raises:
        ValueError: if ``rule_params`` are for another grid, or ``T`` is missing, contradicted or
            below 1.

    Example:
        >>> import jax
        >>> from jaxswarm import collective
        >>> task = collective.kuramoto_task(6)
        >>> rule = collective.kernel_rule(task, points=3)
        >>> params = rule.params_of(lambda y: 1.5 * y[1:], 0.1)
        >>> result = collective.execute(jax.random.key(0), task, rule, params, num_steps=5)
        >>> result.rewards.shape
        (5,)
    """
    checks.key(key)
    check_task(task)
    check_rule_params(rule, rule_params)
    checks.real("rule_params", rule_params, shape=None)
    checks.probability("discount", discount)
    rule_params = jnp.asarray(rule_params)
    if rule_params.ndim > 2:
        raise ValueError(f"rule_params: expected [T, P] or [P], got {rule_params.shape}")
    if num_steps is not None:
        num_steps = checks.whole("num_steps", num_steps, 1)
    if rule_params.ndim == 1:
        if num_steps is None:
            raise ValueError("num_steps: expected at least 1 for a single rule, got None")
        rule_params = jnp.broadcast_to(rule_params, (num_steps, len(rule_params)))
    elif num_steps not in (None, len(rule_params)) or not len(rule_params):
        raise ValueError(
            f"num_steps: expected {len(rule_params)} like rule_params, got {num_steps}"
        )
    physics = task.params if env_params is None else env_params
    init_key, run_key = jax.random.split(key)

    def step(state: TaskState, inputs: tuple[jax.Array, jax.Array]) -> tuple[TaskState, jax.Array]:
        index, now = inputs
        keys = jax.random.split(jax.random.fold_in(run_key, index), 3)
        observe_key, act_key, transition_key = keys
        observations = task.observe(observe_key, physics, state)
        actions = act_by_rule(act_key, rule, now, observations)
        state = task.transition(transition_key, physics, state, actions)
        return state, task.reward(physics, state, actions)

    steps = jnp.arange(len(rule_params))
    state, rewards = jax.lax.scan(step, task.init(init_key, physics), (steps, rule_params))
    return Execution(rewards @ jnp.asarray(discount) ** steps, rewards, state)


def convergence(
    key: Key,
    make_task: Callable[[int], SwarmTask],
    rule: DecisionRule,
    rule_params: jax.Array,
    sizes: tuple[int, ...],
    repetitions: int,
    *,
    num_steps: int | None = None,
    discount: ArrayLike = 0.99,
    jit: Callable[..., Any] = jax.jit,
) -> dict[int, jax.Array]:
    """Returns of the same decision rule in swarms of many sizes, to compare with their limit.

    Args:
        key: consumed.
        make_task: ``make_task(N)`` is the task of ``N`` agents.
        rule: the parametrization; a warning if it jumps, as the theory asks for Lipschitz rules.
        rule_params: ``[T, P]`` or ``[P]``.
        sizes: the ``N``.
        repetitions: ``R`` independent swarms of each size.
        num_steps: as in :func:`execute`.
        discount: likewise.
        jit: compiles the program of each size.

    Returns:
        ``{N: returns [R]}``.

    Raises:
        ValueError: without sizes or repetitions, and what ``make_task`` and :func:`execute` refuse.
    """
    checks.key(key)
    checks.function("make_task", make_task)
    checks.function("jit", jit)
    repetitions = checks.whole("repetitions", repetitions, 1)
    known = checks.wholes("sizes", checks.concrete("sizes", sizes), 1, shape=(None,))
    if not known.size:
        raise ValueError("sizes: expected at least one, got none")
    check_rule_params(rule, rule_params)
    warn_unless_lipschitz(rule)
    returns = {}
    for n in known.tolist():
        task = make_task(n)

        def run_all(keys: jax.Array, task: SwarmTask = task) -> jax.Array:
            def run(key: Key) -> jax.Array:
                return execute(
                    key, task, rule, rule_params, num_steps=num_steps, discount=discount
                ).returns

            return jax.lax.map(run, keys, batch_size=min(repetitions, 64))

        returns[n] = jit(run_all)(agents.keys(jax.random.fold_in(key, n), repetitions))
    return returns
