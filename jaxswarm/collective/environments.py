"""Environments of swarm tasks: mean-field control by decision rules, and the finite swarm itself.

In :class:`MeanFieldControl` a single decision maker observes the mean field and its action is a
whole decision rule, from which every agent of the simulated swarm then samples its own action given
its own observation alone. In :class:`FiniteSwarm` every agent is a decision maker; its critic may
see the mean field (``global_state``), the agent does not.

Shapes: ``N`` agents of the task, ``M`` numbers of the mean field, ``P`` of a decision rule.

References:
    K. Cui, S. Hauck, C. Fabian, H. Koeppl, Learning decentralized partially observable mean field
    control for artificial collective behavior, 2024.
"""

import copy
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.collective.mean_field import MeanField, kernel_features
from jaxswarm.collective.rules import DecisionRule, check_rule_params
from jaxswarm.collective.task import SwarmTask, TaskState, check_task, clip_actions
from jaxswarm.envs import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.swarms import phase_order
from jaxswarm.types import Key, PyTree


class ControlObservation(NamedTuple):
    """``mean_field float32[1, M]``, and ``agent_mask bool[1]`` of the one decision maker."""

    mean_field: jax.Array
    agent_mask: jax.Array


class SwarmObservation(NamedTuple):
    """``own float32[N, Y]``: each agent's own observation; ``agent_mask bool[N]``."""

    own: jax.Array
    agent_mask: jax.Array


class SwarmWorld(NamedTuple):
    """``swarm``: state of the task; ``observations [N, Y]``: of the agents, noise included."""

    swarm: TaskState
    observations: jax.Array


class _SwarmBase(SwarmEnvironment):
    """Base of both environments: the task's physics, and one step of the swarm."""

    def __init__(self, task: SwarmTask, num_agents: int, time_limit: int):
        self.task = task
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> PyTree:
        """The task's physics."""
        return self.task.params

    def start(self, key: Key, params: PyTree) -> SwarmWorld:
        """A new swarm, and its observations."""
        return start_swarm(key, self.task, params)

    def _outcome(self, key: Key, world: SwarmWorld, actions: jax.Array, params: PyTree) -> Outcome:
        world, reward = step_swarm(key, self.task, world, actions, params)
        finite = jnp.isfinite(world.swarm.positions).all(axis=1) & jnp.isfinite(
            world.swarm.headings
        )
        metrics = {
            "order": phase_order(world.swarm.headings),
            "nonfinite": jnp.sum(~finite, dtype=jnp.int32),
        }
        shared = jnp.broadcast_to(reward, (self.num_agents,))
        return Outcome(world, shared, jnp.zeros((), bool), metrics)


class MeanFieldControl(_SwarmBase):
    """Mean-field control of a simulated swarm by decision rules: a Markov decision process.

    The rule is chosen once per step for the whole swarm (its randomness is common noise); agents
    sample their actions from it independently.

    Args:
        task: with the training swarm's size.
        rule: the parametrization that an action, ``float32[1, P]`` in ``[−1, 1]``, belongs to.
        mean_field: the observation; kernel features of the task if omitted.
        time_limit: steps of an episode.

    Example:
        >>> import jax
        >>> from jaxswarm import collective
        >>> task = collective.kuramoto_task(8)
        >>> env = collective.MeanFieldControl(task, collective.kernel_rule(task, points=3))
        >>> env.num_agents, env.action_spec.shape
        (1, (1, 18))
    """

    def __init__(
        self,
        task: SwarmTask,
        rule: DecisionRule,
        *,
        mean_field: MeanField | None = None,
        time_limit: int = 50,
    ):
        check_task(task)
        checks.instance("rule", rule, DecisionRule, "collective.kernel_rule(task)")
        self.rule = rule
        self.mean_field = kernel_features(task) if mean_field is None else mean_field
        checks.instance("mean_field", self.mean_field, MeanField, "kernel_features(task)")
        super().__init__(task, 1, time_limit)

    def with_rule(self, rule: DecisionRule) -> "MeanFieldControl":
        """The same problem with another rule of the same size, which may hold traced values.

        Raises:
            ValueError: if its size differs.
        """
        checks.instance("rule", rule, DecisionRule, "collective.kernel_rule(task)")
        if rule.num_params != self.rule.num_params:
            raise ValueError(
                f"rule: expected {self.rule.num_params} parameters, got {rule.num_params}"
            )
        other = copy.copy(self)
        other.rule = rule
        return other

    @cached_property
    def action_spec(self) -> specs.Array:
        """``float32[1, P]``, the parameters of one decision rule."""
        return continuous_actions(1, self.rule.num_params)

    def advance(self, key: Key, world: SwarmWorld, action: jax.Array, params: PyTree) -> Outcome:
        """Every agent samples from the rule; the swarm moves."""
        act_key, step_key = jax.random.split(key)
        actions = act_by_rule(act_key, self.rule, action[0], world.observations)
        return self._outcome(step_key, world, actions, params)

    def observe(
        self, world: SwarmWorld, params: PyTree, step_count: jax.Array
    ) -> ControlObservation:
        """The mean field."""
        del params, step_count
        return ControlObservation(self.mean_field.of(world.swarm)[None], jnp.ones(1, bool))


class FiniteSwarm(_SwarmBase):
    """The swarm of a task as an environment of its agents, with one reward for all.

    Args:
        task: the swarm.
        mean_field: input of a centralized critic; kernel features of the task if omitted.
        time_limit: steps of an episode.
    """

    def __init__(
        self, task: SwarmTask, *, mean_field: MeanField | None = None, time_limit: int = 50
    ):
        check_task(task)
        self.mean_field = kernel_features(task) if mean_field is None else mean_field
        checks.instance("mean_field", self.mean_field, MeanField, "kernel_features(task)")
        super().__init__(task, task.num_agents, time_limit)

    def with_mean_field(self, mean_field: MeanField) -> "FiniteSwarm":
        """The same swarm with another mean field of the same size, which may hold traced values.

        Raises:
            ValueError: if its size differs.
        """
        checks.instance("mean_field", mean_field, MeanField, "kernel_features(task)")
        if mean_field.size != self.mean_field.size:
            raise ValueError(
                f"mean_field: expected size {self.mean_field.size}, got {mean_field.size}"
            )
        other = copy.copy(self)
        other.mean_field = mean_field
        return other

    @cached_property
    def action_spec(self) -> specs.Array:
        """``float32[N, U]`` within the task's bounds."""
        low, high = self.task.action_bounds
        shape = (self.num_agents, len(low))
        return specs.BoundedArray(
            shape,
            jnp.float32,
            jnp.broadcast_to(jnp.asarray(low, jnp.float32), shape),
            jnp.broadcast_to(jnp.asarray(high, jnp.float32), shape),
            "action",
        )

    def advance(self, key: Key, world: SwarmWorld, action: jax.Array, params: PyTree) -> Outcome:
        """The agents' own actions, clipped to the bounds; the swarm moves."""
        return self._outcome(key, world, clip_actions(self.task, action), params)

    def observe(self, world: SwarmWorld, params: PyTree, step_count: jax.Array) -> SwarmObservation:
        """Each agent's own observation."""
        del params, step_count
        return SwarmObservation(world.observations, jnp.ones(self.num_agents, bool))

    def global_state(self, state: Any) -> jax.Array:
        """``[M]``: the mean field, for critics only."""
        return self.mean_field.of(state.world.swarm)


def start_swarm(key: Key, task: SwarmTask, params: PyTree) -> SwarmWorld:
    """A new swarm, and its observations."""
    init_key, observe_key = jax.random.split(key)
    swarm = task.init(init_key, params)
    return SwarmWorld(swarm, task.observe(observe_key, params, swarm))


def step_swarm(
    key: Key, task: SwarmTask, world: SwarmWorld, actions: jax.Array, params: PyTree
) -> tuple[SwarmWorld, jax.Array]:
    """The swarm after its actions, and the reward of that."""
    transition_key, observe_key = jax.random.split(key)
    swarm = task.transition(transition_key, params, world.swarm, actions)
    reward = task.reward(params, swarm, actions)
    return SwarmWorld(swarm, task.observe(observe_key, params, swarm)), reward


def act_by_rule(
    key: Key, rule: DecisionRule, rule_params: jax.Array, observations: jax.Array
) -> jax.Array:
    """Sample every agent's action from one decision rule given its own observation, ``[N, U]``.

    Args:
        key: consumed; agent ``i`` draws from ``fold_in(key, i)``.
        rule: the parametrization.
        rule_params: ``[P]``, one rule for all.
        observations: ``[N, Y]``.

    Raises:
        ValueError: if ``rule_params`` are for another grid.
    """
    check_rule_params(rule, rule_params)
    if np.ndim(rule_params) != 1:
        raise ValueError(f"rule_params: expected one rule [P], got {np.shape(rule_params)}")
    observations = checks.numbers("observations", observations, (None, rule.grid.shape[1]))
    sample = jax.vmap(rule.sample, in_axes=(0, None, 0))
    return sample(agents.keys(key, len(observations)), rule_params, observations)
