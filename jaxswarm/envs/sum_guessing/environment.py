"""Sum guessing: in one step, each agent observes one number and guesses the sum of all.

Without messages the best guess of an agent is its own number, so the gain from communication can be
measured exactly.

Shapes: ``N`` agents.

References:
    N. Gupta, G. Srinivasaraghavan, S. Mohalik, N. Kumar, M. E. Taylor, HAMMER: multi-level
    coordination of reinforcement learning agents via learned messaging, 2021 (its analysis task).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.envs.sum_guessing import viewer


class SumGuessingParams(NamedTuple):
    """Physics, traced. ``spread``: numbers are uniform in ``[−spread, spread]``."""

    spread: Any = 10.0


class SumGuessingObservation(NamedTuple):
    """``number [N, 1]``: the agent's own; ``agent_mask bool[N]``."""

    number: jax.Array
    agent_mask: jax.Array


class SumGuessing(SwarmEnvironment):
    """Sum guessing with actions ``float32[N, 1]``; the reward is ``−|guess − sum|``.

    Args:
        num_agents: ``N``.
        largest_guess: bound of the actions; ``10 N`` covers every sum of the default numbers.

    Raises:
        ValueError: for a bound that is not positive and finite.
    """

    def __init__(self, num_agents: int = 5, largest_guess: float | None = None):
        num_agents = checks.whole("num_agents", num_agents, 1)
        if largest_guess is not None:
            largest_guess = float(checks.real("largest_guess", largest_guess, above=0.0))
        self._largest = 10.0 * num_agents if largest_guess is None else largest_guess
        super().__init__(num_agents, time_limit=1)

    @property
    def params(self) -> SumGuessingParams:
        """Physics with numbers in ``[-10, 10]``."""
        return SumGuessingParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``float32[N, 1]``, a guess of the sum."""
        return continuous_actions(self.num_agents, 1, -self._largest, self._largest)

    def start(self, key: jax.Array, params: SumGuessingParams) -> jax.Array:
        """One number per agent, ``float32[N]``."""
        draw = jax.vmap(lambda k: jax.random.uniform(k, (), minval=-1.0, maxval=1.0))
        return params.spread * draw(agents.keys(key, self.num_agents))

    def advance(
        self, key: jax.Array, world: jax.Array, action: jax.Array, params: SumGuessingParams
    ) -> Outcome:
        """Score the guesses; the episode ends."""
        del key, params
        error = jnp.abs(action[:, 0] - jnp.sum(world))
        metrics = {"error": jnp.mean(error)}
        return Outcome(world, -error, jnp.ones((), bool), metrics)

    def draw(self, world: jax.Array, params: SumGuessingParams, ax: Any) -> None:
        """Draw the numbers; see :mod:`jaxswarm.envs.sum_guessing.viewer`."""
        viewer.draw(world, params, ax)

    def observe(
        self, world: jax.Array, params: SumGuessingParams, step_count: jax.Array
    ) -> SumGuessingObservation:
        """Each agent's own number."""
        del params, step_count
        return SumGuessingObservation(world[:, None], jnp.ones(self.num_agents, bool))
