"""Single-agent environments of others as ours: one copy per agent, agents that do not meet.

Shapes: ``N`` agents, each with a copy of its own.
"""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxswarm import agents
from jaxswarm.envs.adapters.observation import AdaptedObservation
from jaxswarm.envs.environment import Outcome, SwarmEnvironment

PyTree = Any


class CopiesWorld(NamedTuple):
    """The originals' states, leaves ``[N, ...]``; what they last showed; who is over, ``bool[N]``.

    A copy that is over stays as it was in its last step.
    """

    state: PyTree
    view: jax.Array
    over: jax.Array


class Moved(NamedTuple):
    """What a step of one copy brings: ``terminated`` by success or failure, not by a clock."""

    state: PyTree
    view: jax.Array
    reward: ArrayLike
    terminated: jax.Array
    metrics: dict[str, jax.Array]


class IndependentCopies(SwarmEnvironment):
    """One copy of a single-agent environment per agent; subclasses write ``begin`` and ``move``.

    A copy that terminates is masked out until all are over, which terminates the episode; the time
    limit truncates it. Metrics are ``[N]``, 0 for copies that were over.
    """

    @abc.abstractmethod
    def begin(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """State and observation of one copy."""

    @abc.abstractmethod
    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> Moved:
        """One step of one copy, which must not begin anew by itself."""

    def start(self, key: jax.Array, params: PyTree) -> CopiesWorld:
        """Every copy begins from a stream of its own."""
        with jax.numpy_rank_promotion("allow"):  # the originals were not written for less
            state, view = jax.vmap(self.begin)(self._keys(key), self._each(params))
        return CopiesWorld(state, view, jnp.zeros(self.num_agents, bool))

    def advance(
        self, key: jax.Array, world: CopiesWorld, action: jax.Array, params: PyTree
    ) -> Outcome:
        """One step of every copy that is not over."""
        with jax.numpy_rank_promotion("allow"):
            moved = jax.vmap(self.move)(self._keys(key), world.state, action, self._each(params))
        kept = (world.state, world.view)
        state, view = agents.where(world.over, kept, (moved.state, moved.view))
        over = world.over | moved.terminated
        reward = jnp.asarray(moved.reward).astype(jnp.float32)
        metrics = jax.tree.map(lambda x: jnp.where(world.over, 0, x), moved.metrics)
        return Outcome(CopiesWorld(state, view, over), reward, jnp.all(over), metrics)

    def observe(
        self, world: CopiesWorld, params: PyTree, step_count: jax.Array
    ) -> AdaptedObservation:
        """Everyone's own copy."""
        del params, step_count
        return AdaptedObservation(world.view, ~world.over)

    def agent_mask(self, world: CopiesWorld) -> jax.Array:
        """Agents whose copy is not over."""
        return ~world.over

    def _keys(self, key: jax.Array) -> jax.Array:
        return agents.keys(key, self.num_agents)

    def _each(self, params: PyTree) -> PyTree:
        """Physics of every copy, leaves ``[N, ...]``, of numbers for all or ``[N]`` each."""
        n = self.num_agents

        def leaf(path: Any, given: Any, default: Any) -> jax.Array:
            shape = jnp.shape(default)
            if jnp.shape(given) not in (shape, (n, *shape)):
                raise ValueError(
                    f"params{jax.tree_util.keystr(path)}: expected shape {shape}, or "
                    f"{(n, *shape)} for a value of each agent's own, got {jnp.shape(given)}"
                )
            return jnp.broadcast_to(given, (n, *shape))

        return jax.tree.map_with_path(leaf, params, self.params)


def require(env: Any, names: Sequence[str], kind: str) -> None:
    """Refuse what lacks the interface of ``kind``.

    Raises:
        ValueError: naming what is missing.
    """
    for name in names:
        if not hasattr(env, name):
            raise ValueError(
                f"env: expected a {kind} environment, got {type(env).__name__} without {name!r}"
            )


def require_one_array(view: Any) -> None:
    """Refuse observations that are not one array.

    Raises:
        ValueError: naming what they are.
    """
    if not hasattr(view, "shape"):
        raise ValueError(
            f"env: expected observations that are one array, got {type(view).__name__}; "
            "flatten them first"
        )
