"""Rehearsals: the environment in which perceive-and-decide is trained.

Shapes: ``N`` actors, ``B`` blueprints, ``K`` features.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs import SwarmEnvironment, theatre
from jaxswarm.envs.environment import Outcome
from jaxswarm.systems.hamlet._settings import GOALS, MODES, Settings, check_settings, settings
from jaxswarm.systems.hamlet._tick import (
    NO_ACT,
    HamletState,
    Opening,
    Production,
    begin,
    opening,
    perceive,
    tick,
)


def production(stage: theatre.Stage, *, slow_depth: int = 2, plan_depth: int = 6) -> Production:
    """Make what does not change in a program.

    Args:
        stage: facts and verbs.
        slow_depth: layers of an actor's slow look-ahead, at least 1.
        plan_depth: layers of the planner's trajectories, at least 1.

    Raises:
        ValueError: for depths below 1.
    """
    theatre.check_stage(stage)
    depths = [
        checks.whole(name, value, 1)
        for name, value in (("slow_depth", slow_depth), ("plan_depth", plan_depth))
    ]
    return Production(stage, theatre.tables(stage), *depths)


class RehearsalParams(NamedTuple):
    """Physics of rehearsals, traced.

    Attributes:
        plays: blueprints, leaves ``[B, …]``; an episode plays a random one.
        settings: of the performance.
        first: the planner's first beats of each.
    """

    plays: theatre.Blueprint
    settings: Settings
    first: Opening


def rehearsal_params(
    production: Production, plays: theatre.Blueprint, given: Settings | None = None
) -> RehearsalParams:
    """Physics of rehearsals of these blueprints ``[B, …]`` under these settings, or the default.

    Raises:
        ValueError: for blueprints of another stage, or settings out of range.
    """
    n = production.stage.num_actors
    plays = jax.tree.map(jnp.asarray, check_plays(production.stage, plays))
    given = settings(n) if given is None else check_settings(given, n)
    return RehearsalParams(plays, given, opening(production, plays))


class RehearsalObservation(NamedTuple):
    """Observation of each actor.

    Attributes:
        perceived: ``float32[N, K]``, see :func:`perceive`.
        agent_mask: ``bool[N]``, always true.
    """

    perceived: jax.Array
    agent_mask: jax.Array


class Rehearsal(SwarmEnvironment):
    """Performances with actions ``int32[N, 2]``: a mode (silence, fast, slow) and a goal.

    Args:
        production: see :func:`production`.
        plays: blueprints, leaves ``[B, …]``, see ``theatre.stack``.
        time_limit: moments of an episode.

    Raises:
        ValueError: for something that is no production or no blueprints.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.envs import theatre
        >>> from jaxswarm.systems import hamlet
        >>> stage = theatre.default_stage(2, 2, 1, 1)
        >>> play = hamlet.stage_plays(0, stage, 1, points=2)
        >>> env = hamlet.Rehearsal(hamlet.production(stage), play.blueprints)
        >>> state, timestep = jax.jit(env.reset)(jax.random.key(0))
        >>> state, timestep = jax.jit(env.step)(state, jnp.array([[2, 0], [0, 0]]))
        >>> timestep.reward.shape
        (2,)
    """

    def __init__(self, production: Production, plays: theatre.Blueprint, time_limit: int = 48):
        checks.instance("production", production, Production, "hamlet.production(stage)")
        self._production = production
        self._params = rehearsal_params(production, plays)
        super().__init__(production.stage.num_actors, time_limit)

    @property
    def params(self) -> RehearsalParams:
        """The blueprints and the default settings."""
        return self._params

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N, 2]``."""
        counts = jnp.tile(jnp.array([[len(MODES), len(GOALS)]], jnp.int32), (self.num_agents, 1))
        return specs.MultiDiscreteArray(num_values=counts, name="action")

    def start(self, key: jax.Array, params: RehearsalParams) -> HamletState:
        """The start of a random blueprint."""
        play_key, belief_key = jax.random.split(key)
        play = jax.random.randint(play_key, (), 0, params.plays.start.shape[0])
        return begin(belief_key, self._production, params.plays, params.first, play)

    def advance(
        self, key: jax.Array, world: HamletState, action: jax.Array, params: RehearsalParams
    ) -> Outcome:
        """One moment."""
        n = self.num_agents
        alive, outside = jnp.ones(n, bool), jnp.full(n, NO_ACT)
        world, info = tick(
            key, self._production, params.plays, world, action, params.settings, alive, outside,
            jnp.zeros(n),
        )  # fmt: skip
        over = world.point >= params.plays.flags.shape[1]
        return Outcome(world, info.reward, over, {"point": world.point})

    def observe(
        self, world: HamletState, params: RehearsalParams, step_count: jax.Array
    ) -> RehearsalObservation:
        """What perceive-and-decide sees."""
        del step_count
        seen = perceive(self._production, params.plays, world, params.settings)
        return RehearsalObservation(seen, jnp.ones(self.num_agents, bool))


def check_plays(stage: theatre.Stage, plays: Any) -> theatre.Blueprint:
    """Check the shapes of a batch of blueprints and return it.

    Raises:
        ValueError: naming the field.
    """
    checks.instance("plays", plays, theatre.Blueprint, "theatre.stack(stage, blueprints)")
    n, f = stage.num_actors, stage.num_facts
    flags = checks.mask("flags", plays.flags, (None, None, f))
    b, q = flags.shape[:2]
    checks.mask("start", plays.start, (b, f))
    checks.mask("private", plays.private, (b, q, n, f))
    checks.mask("cast", plays.cast, (b, q, n))
    checks.probability("unfamiliar", plays.unfamiliar, shape=(b,))
    return plays
