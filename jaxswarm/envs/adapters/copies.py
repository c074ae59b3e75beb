"""Base class of adapters for single-agent environments: one independent copy per agent.

Shapes: ``N`` agents, each with a copy of its own.
"""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.envs.adapters.observation import AdaptedObservation
from jaxswarm.envs.environment import Outcome, SwarmEnvironment
from jaxswarm.types import ArrayLike, PyTree


class CopiesWorld(NamedTuple):
    """State of all copies.

    Attributes:
        state: the originals' states, leaves ``[N, ...]``.
        view: the last observations, ``[N, ...]``.
        over: ``bool[N]``, copies that have terminated; they keep their last state.
        steps: ``int32[]``, steps since the reset.
    """

    state: PyTree
    view: jax.Array
    over: jax.Array
    steps: jax.Array


class CopyStep(NamedTuple):
    """Result of a step of one copy; ``terminated`` excludes a time limit, if it is known."""

    state: PyTree
    view: jax.Array
    reward: ArrayLike
    terminated: jax.Array
    metrics: dict[str, jax.Array]


class IndependentCopies(SwarmEnvironment):
    """One copy of a single-agent environment per agent; subclasses write ``begin`` and ``move``.

    A copy that terminates is masked out until all have terminated, which ends the episode; the time
    limit truncates it. Metrics are ``[N]``, 0 for copies that have terminated.

    Attributes:
        ends_at_limit: whether the original ends at its own time limit in a way that ``move`` does
            not tell from a termination; then that step counts as truncated.
    """

    ends_at_limit: bool = False

    @abc.abstractmethod
    def begin(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Initial state and observation of one copy."""

    @abc.abstractmethod
    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> CopyStep:
        """One step of one copy, without automatic reset."""

    def start(self, key: jax.Array, params: PyTree) -> CopiesWorld:
        """Reset every copy with a random stream of its own."""
        with jax.numpy_rank_promotion("allow"):  # the originals rely on rank promotion
            state, view = jax.vmap(self.begin)(self._keys(key), self._each(params))
        return CopiesWorld(state, view, jnp.zeros(self.num_agents, bool), jnp.int32(0))

    def advance(
        self, key: jax.Array, world: CopiesWorld, action: jax.Array, params: PyTree
    ) -> Outcome:
        """One step of every copy that has not terminated."""
        with jax.numpy_rank_promotion("allow"):
            step = jax.vmap(self.move)(self._keys(key), world.state, action, self._each(params))
        kept = (world.state, world.view)
        state, view = agents.where(world.over, kept, (step.state, step.view))
        steps, terminated = world.steps + 1, step.terminated
        if self.ends_at_limit:
            terminated = terminated & (steps < self.time_limit)
        over = world.over | terminated
        reward = jnp.asarray(step.reward).astype(jnp.float32)
        metrics = jax.tree.map(lambda x: jnp.where(world.over, 0, x), step.metrics)
        return Outcome(CopiesWorld(state, view, over, steps), reward, jnp.all(over), metrics)

    def observe(
        self, world: CopiesWorld, params: PyTree, step_count: jax.Array
    ) -> AdaptedObservation:
        """Each agent's observation of its own copy."""
        del params, step_count
        return AdaptedObservation(world.view, ~world.over)

    def agent_mask(self, world: CopiesWorld) -> jax.Array:
        """Agents whose copy has not terminated."""
        return ~world.over

    def _keys(self, key: jax.Array) -> jax.Array:
        return agents.keys(key, self.num_agents)

    def _each(self, params: PyTree) -> PyTree:
        """Physics of every copy, leaves ``[N, ...]``; given once for all or ``[N]`` per copy."""
        n = self.num_agents

        def leaf(path: Any, given: Any, default: Any) -> jax.Array:
            shape = jnp.shape(default)
            if jnp.shape(given) not in (shape, (n, *shape)):
                raise ValueError(
                    f"params{jax.tree_util.keystr(path)}: expected shape {shape}, or "
                    f"{(n, *shape)} for one value per agent, got {jnp.shape(given)}"
                )
            return jnp.broadcast_to(given, (n, *shape))

        return jax.tree.map_with_path(leaf, params, self.params)


def require(env: Any, names: Sequence[str], kind: str) -> None:
    """Refuse an environment without the interface of ``kind``.

    Raises:
        ValueError: naming what is missing.
    """
    for name in names:
        if not hasattr(env, name):
            raise ValueError(
                f"env: expected a {kind} environment, got {checks.shown(env)} without {name!r}"
            )


def require_one_array(view: Any) -> None:
    """Refuse observations that are not one array.

    Raises:
        ValueError: naming their type.
    """
    if not hasattr(view, "shape"):
        raise ValueError(
            f"env: expected observations that are one array, got {type(view).__name__}; "
            "flatten them first"
        )
