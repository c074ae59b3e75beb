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

_RESTART = 2**31 - 1  # of the key of a step, a stream that no agent has


class CopiesWorld(NamedTuple):
    """State of all copies.

    Attributes:
        state: the originals' states, leaves ``[N, ...]``.
        view: the last observations, ``[N, ...]``.
        over: ``bool[N]``, copies that have terminated; they keep their last state. Without copies
            that restart: then they begin anew in the same step, and none is over.
        steps: ``int32[]``, steps since the reset.
    """

    state: PyTree
    view: PyTree
    over: jax.Array
    steps: jax.Array


class CopyStep(NamedTuple):
    """Result of a step of one copy; ``terminated`` excludes a time limit, if it is known."""

    state: PyTree
    view: PyTree
    reward: ArrayLike
    terminated: jax.Array
    metrics: dict[str, jax.Array]


class IndependentCopies(SwarmEnvironment):
    """One copy of a single-agent environment per agent; subclasses write ``begin`` and ``move``.

    A copy that terminates begins anew in the same step (discount 0, ``extras["restarted"]``, the
    observation is the new one), and the time limit truncates all copies. Without ``restarts`` it is
    masked out until all have terminated, which ends the episode. Metrics are ``[N]``, 0 for copies
    that have terminated.

    Attributes:
        restarts: whether copies that terminate begin anew.
        ends_at_limit: whether the original ends at its own time limit in a way that ``move`` does
            not tell from a termination; then that step counts as truncated.
    """

    restarts: bool = False
    ends_at_limit: bool = False

    @abc.abstractmethod
    def begin(self, key: jax.Array, params: PyTree) -> tuple[PyTree, PyTree]:
        """Initial state and observation of one copy."""

    @abc.abstractmethod
    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> CopyStep:
        """One step of one copy, without automatic reset."""

    def succeeded(self, state: PyTree) -> jax.Array:
        """Whether a copy that ends in the last step terminated all the same, ``bool[]``."""
        del state
        return jnp.zeros((), bool)

    def start(self, key: jax.Array, params: PyTree) -> CopiesWorld:
        """Reset every copy with a random stream of its own."""
        with jax.numpy_rank_promotion("allow"):  # the originals rely on rank promotion
            state, view = jax.vmap(self.begin)(self._keys(key), self._each(params))
        return CopiesWorld(state, view, jnp.zeros(self.num_agents, bool), jnp.int32(0))

    def advance(
        self, key: jax.Array, world: CopiesWorld, action: jax.Array, params: PyTree
    ) -> Outcome:
        """One step of every copy that has not terminated; those that do begin anew."""
        with jax.numpy_rank_promotion("allow"):
            step = jax.vmap(self.move)(self._keys(key), world.state, action, self._each(params))
        steps, terminated = world.steps + 1, step.terminated
        if self.ends_at_limit:
            before = steps < self.time_limit
            terminated = terminated & (before | jax.vmap(self.succeeded)(step.state))
        reward = jnp.asarray(step.reward).astype(jnp.float32)
        if self.restarts:
            return self._begun_anew(key, world, step, reward, terminated, params)
        kept = (world.state, world.view)
        state, view = agents.where(world.over, kept, (step.state, step.view))
        over = world.over | terminated
        metrics = jax.tree.map(lambda x: jnp.where(world.over, 0, x), step.metrics)
        return Outcome(CopiesWorld(state, view, over, steps), reward, jnp.all(over), metrics)

    def _begun_anew(
        self,
        key: jax.Array,
        world: CopiesWorld,
        step: CopyStep,
        reward: jax.Array,
        terminated: jax.Array,
        params: PyTree,
    ) -> Outcome:
        """The step's outcome where copies that terminate begin anew."""
        # After the last step no action follows: learners need the true last observation.
        again = terminated & (world.steps + 1 < self.time_limit)

        def begin() -> tuple[PyTree, PyTree]:
            keys = self._keys(jax.random.fold_in(key, _RESTART))
            with jax.numpy_rank_promotion("allow"):
                fresh = jax.vmap(self.begin)(keys, self._each(params))
            return agents.where(again, fresh, (step.state, step.view))

        state, view = jax.lax.cond(jnp.any(again), begin, lambda: (step.state, step.view))
        after = CopiesWorld(state, view, world.over, world.steps + 1)
        return Outcome(after, reward, jnp.zeros((), bool), step.metrics, restarted=terminated)

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


def choose_restart(restart: Any, num_agents: int) -> bool:
    """Whether copies restart: as given, else if there are several, of which none should wait."""
    return num_agents > 1 if restart is None else checks.flag("restart", restart)


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
