"""Constants of one run of the scaling engine.

Shapes: ``S`` subtask slots, ``A = members + 1`` agents at most, the last the orchestrator.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.coordination import (
    AgentBackend,
    LoadModel,
    TaskGraph,
    Workers,
    event_keys,
    stochastic_backend,
)
from jaxswarm.systems.scaling_agents.architectures import MOST_ROUNDS, Architecture
from jaxswarm.systems.scaling_agents.trace import Costs, num_ancestors
from jaxswarm.types import ArrayLike, Key

CHECKERS = 4  # peers whose votes are drawn one by one; more peers vote in proportion
ANSWERS = 8
NO_LOAD = LoadModel(per_call=0.0, slowdown=0.0, harm=0.0, jitter=0.0)
ATTEMPTS = MOST_ROUNDS + 1
DRAWS = 3 * (CHECKERS + 2)  # random numbers of a round of checks


class Model(NamedTuple):
    """Constants of a run."""

    key: Key
    task: float | jax.Array
    arch: Architecture
    costs: Costs
    pool: Workers  # with the given ability
    backend: AgentBackend
    mask: jax.Array  # [S]
    parents: jax.Array  # [S, S]
    demand: jax.Array  # [S, K]
    truths: jax.Array  # [S]
    ancestors: jax.Array  # [S]
    uniform: jax.Array  # [S, ...] random numbers of each subtask: rounds of checks, the others
    budget: jax.Array
    tool_text: float | jax.Array  # tokens of the tools' descriptions in every context
    written: jax.Array  # tokens written by an answer
    observability: float | jax.Array
    whole: int | jax.Array = 0  # number of this attempt at the whole task

    @property
    def slots(self) -> int:
        """Subtask slots ``S``."""
        return self.mask.shape[0]

    @property
    def size(self) -> int:
        """Agents ``A``."""
        return self.pool.num_workers

    @property
    def members(self) -> jax.Array:
        """Workers of the team, ``int32[]``."""
        return jnp.asarray(self.arch.members, jnp.int32)

    @property
    def orchestrator(self) -> int:
        """Index of the orchestrator."""
        return self.size - 1

    def owners(self) -> jax.Array:
        """The worker of each subtask ``[S]``."""
        return jnp.arange(self.slots) % self.members + self.whole


def answered_by(model: Model, backend: AgentBackend | None, truths: ArrayLike | None) -> Model:
    """The model with a backend of the user's own and the right answers of its subtasks."""
    checks.instance("backend", backend, AgentBackend, "coordination.host_backend(ask, 2, …)")
    right = checks.wholes("truths", truths, shape=(model.slots,))
    return model._replace(backend=backend, truths=jnp.asarray(right))


def make_model(
    key: Key,
    graph: TaskGraph,
    arch: Architecture,
    pool: Workers,
    ability: float | jax.Array,
    tools: float | jax.Array,
    observability: float | jax.Array,
    task: float | jax.Array,
    costs: Costs,
) -> Model:
    """The constants of a run; arguments of :func:`.run_task`."""
    mask, parents = jnp.asarray(graph.mask), jnp.asarray(graph.parents)
    slots, size = mask.shape[0], pool.num_workers
    able = dataclasses.replace(pool, skill=jnp.broadcast_to(ability, jnp.shape(pool.skill)))
    truth_key, event_key = jax.random.split(jax.random.fold_in(key, task))
    count = MOST_ROUNDS * DRAWS + size * 2 + slots
    keys = event_keys(event_key, jnp.arange(slots), jnp.int32(0))
    return Model(
        key=key,
        task=task,
        arch=arch,
        costs=costs,
        pool=able,
        backend=stochastic_backend(able, num_answers=ANSWERS, load_model=NO_LOAD),
        mask=mask,
        parents=parents,
        demand=jnp.asarray(graph.demand),
        truths=jax.random.randint(truth_key, (slots,), 0, ANSWERS),
        ancestors=num_ancestors(parents),
        uniform=jax.vmap(lambda k: jax.random.uniform(k, (count,)))(keys),
        budget=(costs.budget + tools * costs.tool_call) * jnp.sum(mask),
        tool_text=costs.tool_text * tools,
        written=jnp.asarray(pool.tokens)[0] + tools * costs.tool_call,
        observability=observability,
    )
