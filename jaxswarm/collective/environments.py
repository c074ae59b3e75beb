"""Two environments around one task: the mean-field control problem, and the swarm as it is.

In :class:`MeanFieldControl` a single decision maker sees the mean field and its action is a whole
decision rule, from which every agent of the simulated swarm then draws its own action given its
own observation alone. In :class:`FiniteSwarm` every agent is a decision maker; its critic may see
the mean field (``global_state``), the agent never does.

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
from jumanji import specs

from jaxswarm import agents
from jaxswarm.collective.mean_field import MeanField, kernel_features
from jaxswarm.collective.rules import Rule, check_numbers_fit
from jaxswarm.collective.task import SwarmState, SwarmTask, clipped
from jaxswarm.envs import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.swarms import phase_order

PyTree = Any


class ControlObservation(NamedTuple):
    """``mean_field float32[1, M]``, and ``agent_mask bool[1]`` of the one decision maker."""

    mean_field: jax.Array
    agent_mask: jax.Array


class SwarmObservation(NamedTuple):
    """``seen float32[N, Y]``: each agent's own observation; ``agent_mask bool[N]``."""

    seen: jax.Array
    agent_mask: jax.Array


class SwarmWorld(NamedTuple):
    """``swarm``: the state; ``seen [N, Y]``: what the agents observe of it, noise drawn."""

    swarm: SwarmState
    seen: jax.Array


class _SwarmBase(SwarmEnvironment):
    """What both share: the task's physics, and the swarm's one step."""

    def __init__(self, task: SwarmTask, num_agents: int, time_limit: int):
        self.task = task
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> PyTree:
        """The task's physics."""
        return self.task.params

    def start(self, key: jax.Array, params: PyTree) -> SwarmWorld:
        """A new swarm, and what it observes."""
        begin, look = jax.random.split(key)
        return begin_swarm(self.task, begin, look, params)

    def _outcome(
        self, key: jax.Array, world: SwarmWorld, actions: jax.Array, params: PyTree
    ) -> Outcome:
        world, reward = step_swarm(self.task, key, world, actions, params)
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
    """One decision maker steers a simulated swarm by decision rules: a Markov decision process.

    The rule is drawn once per step for the whole swarm (its randomness is common noise); agents
    draw their actions from it independently.

    Args:
        task: with the training swarm's size.
        rule: what an action means: ``float32[1, P]`` in ``[−1, 1]``.
        mean_field: what is observed; kernel features of the task if omitted.
        time_limit: steps of an episode.
    """

    def __init__(
        self,
        task: SwarmTask,
        rule: Rule,
        *,
        mean_field: MeanField | None = None,
        time_limit: int = 50,
    ):
        self.rule = rule
        self.mean_field = kernel_features(task) if mean_field is None else mean_field
        super().__init__(task, 1, time_limit)

    def with_rule(self, rule: Rule) -> "MeanFieldControl":
        """The same problem with another rule of the same size, whose numbers may be traced.

        Raises:
            ValueError: if its size differs.
        """
        if rule.num_parameters != self.rule.num_parameters:
            raise ValueError(
                f"rule: expected {self.rule.num_parameters} numbers, got {rule.num_parameters}"
            )
        other = copy.copy(self)
        other.rule = rule
        return other

    @cached_property
    def action_spec(self) -> specs.Array:
        """``float32[1, P]``, the numbers of one decision rule."""
        return continuous_actions(1, self.rule.num_parameters)

    def advance(
        self, key: jax.Array, world: SwarmWorld, action: jax.Array, params: PyTree
    ) -> Outcome:
        """Every agent draws from the rule; the swarm moves."""
        draw, move = jax.random.split(key)
        actions = act_by_rule(self.rule, draw, action[0], world.seen)
        return self._outcome(move, world, actions, params)

    def observe(
        self, world: SwarmWorld, params: PyTree, step_count: jax.Array
    ) -> ControlObservation:
        """The mean field."""
        del params, step_count
        return ControlObservation(self.mean_field.of(world.swarm)[None], jnp.ones(1, bool))


class FiniteSwarm(_SwarmBase):
    """The same swarm, every agent for itself; one reward for all.

    Args:
        task: the swarm.
        mean_field: what a centralised critic sees; kernel features of the task if omitted.
        time_limit: steps of an episode.
    """

    def __init__(
        self, task: SwarmTask, *, mean_field: MeanField | None = None, time_limit: int = 50
    ):
        self.mean_field = kernel_features(task) if mean_field is None else mean_field
        super().__init__(task, task.num_agents, time_limit)

    def with_mean_field(self, mean_field: MeanField) -> "FiniteSwarm":
        """The same swarm, critics seeing another vector of the same size, which may be traced.

        Raises:
            ValueError: if its size differs.
        """
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

    def advance(
        self, key: jax.Array, world: SwarmWorld, action: jax.Array, params: PyTree
    ) -> Outcome:
        """The agents' own actions, clipped to the bounds; the swarm moves."""
        return self._outcome(key, world, clipped(self.task, action), params)

    def observe(self, world: SwarmWorld, params: PyTree, step_count: jax.Array) -> SwarmObservation:
        """What each agent alone knows."""
        del params, step_count
        return SwarmObservation(world.seen, jnp.ones(self.num_agents, bool))

    def global_state(self, state: Any) -> jax.Array:
        """``[M]``: the mean field, for critics only."""
        return self.mean_field.of(state.world.swarm)


def begin_swarm(task: SwarmTask, key: jax.Array, look: jax.Array, params: PyTree) -> SwarmWorld:
    """A new swarm from one key, and its observations from another."""
    swarm = task.init(key, params)
    return SwarmWorld(swarm, task.observe(look, params, swarm))


def step_swarm(
    task: SwarmTask, key: jax.Array, world: SwarmWorld, actions: jax.Array, params: PyTree
) -> tuple[SwarmWorld, jax.Array]:
    """The swarm after its actions, and the reward of that."""
    move, look = jax.random.split(key)
    swarm = task.transition(move, params, world.swarm, actions)
    reward = task.reward(params, swarm, actions)
    return SwarmWorld(swarm, task.observe(look, params, swarm)), reward


def act_by_rule(rule: Rule, key: jax.Array, numbers: jax.Array, seen: jax.Array) -> jax.Array:
    """``[N, U]``: every agent draws its own action from one rule, given what it alone sees.

    Args:
        rule: the parametrisation.
        key: agent ``i`` draws from ``fold_in(key, i)``.
        numbers: ``[P]``, one rule for all.
        seen: ``[N, Y]``.

    Raises:
        ValueError: if ``numbers`` are for another grid.
    """
    check_numbers_fit(rule, numbers)
    draw = jax.vmap(rule.sample, in_axes=(0, None, 0))
    return draw(agents.keys(key, len(seen)), numbers, seen)
