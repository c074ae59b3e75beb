"""The theatre as an environment: actors choose acts, the narrator adjudicates, points are reached.

Shapes: ``N`` actors, ``M`` acts of an actor, ``F`` facts, ``Q`` points, ``B`` blueprints.

References:
    S. Jiang et al., HAMLET: a hierarchical and adaptive multi-agent framework, 2026.
"""

import functools
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, discrete_actions
from jaxswarm.envs.theatre import viewer
from jaxswarm.envs.theatre.blueprints import Blueprint, check_blueprint
from jaxswarm.envs.theatre.drafts import write
from jaxswarm.envs.theatre.lookahead import options, tables
from jaxswarm.envs.theatre.narration import initial_beliefs, leave, narrate
from jaxswarm.envs.theatre.stage import Stage, check_stage
from jaxswarm.envs.theatre.vocabulary import default_stage

PRIVATE_REWARD = 0.25
"""Reward of an actor for its private goal; a point is worth 1 to every actor."""


class TheatreWorld(NamedTuple):
    """State of a play.

    Attributes:
        play: ``int32[]``, number of the blueprint.
        facts: ``bool[F]``.
        beliefs: ``bool[N, F]``.
        point: ``int32[]``, the point to reach next; ``Q`` at the end.
        satisfied: ``bool[N]``, private goals reached at this point.
        acts: ``int32[N]``, the last acts.
        succeeded: ``bool[N]``, which of them were possible.
    """

    play: jax.Array
    facts: jax.Array
    beliefs: jax.Array
    point: jax.Array
    satisfied: jax.Array
    acts: jax.Array
    succeeded: jax.Array


class TheatreObservation(NamedTuple):
    """Observation of each actor.

    Attributes:
        beliefs: ``bool[N, F]``.
        flag: ``bool[N, F]``, the public goal.
        private: ``bool[N, F]``, its own private goal.
        on_stage: ``bool[N]``; acts of others fail.
        action_mask: ``bool[N, 1 + M]``, acts that are possible as far as the actor believes.
        agent_mask: ``bool[N]``, always true.
    """

    beliefs: jax.Array
    flag: jax.Array
    private: jax.Array
    on_stage: jax.Array
    action_mask: jax.Array
    agent_mask: jax.Array


class Theatre(SwarmEnvironment):
    """Improvised plays with actions ``int32[N]``: 0 for silence, ``1 … M`` for an act.

    The physics are ``B`` blueprints, of which an episode plays a random one. It ends when the last
    point is reached.

    Args:
        num_agents: ``N``.
        stage: facts and verbs, of ``N`` actors; a small one (two places and props, one secret) if
            omitted.
        plays: blueprints of the same number of points; four reviewed ones of two points if omitted.
        time_limit: steps of an episode.

    Raises:
        ValueError: for a stage of another number of actors, or blueprints with a fault.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> env = envs.Theatre(num_agents=2)
        >>> state, timestep = jax.jit(env.reset)(jax.random.key(0))
        >>> state, timestep = jax.jit(env.step)(state, jnp.array([1, 0]))
        >>> timestep.reward.shape, int(timestep.extras["point"])
        ((2,), 0)
    """

    def __init__(
        self,
        num_agents: int = 3,
        stage: Stage | None = None,
        plays: Sequence[Blueprint] | None = None,
        time_limit: int = 64,
    ):
        count = checks.whole("num_agents", num_agents, 1)
        self.stage = _stage(count) if stage is None else check_stage(stage)
        if self.stage.num_actors != count:
            raise ValueError(f"stage: expected {count} actors, got {self.stage.num_actors}")
        if plays is None:
            self._plays = _default_plays(self.stage)
        else:
            self._plays = stack(self.stage, plays)
        self._tables = tables(self.stage)
        super().__init__(count, time_limit)

    @property
    def params(self) -> Blueprint:
        """The blueprints, leaves ``[B, …]``."""
        return self._plays

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]`` of at most ``M``."""
        return discrete_actions(self.num_agents, 1 + self.stage.num_acts)

    def start(self, key: jax.Array, params: Blueprint) -> TheatreWorld:
        """The start of a random blueprint, with beliefs that are partly wrong."""
        play_key, belief_key = jax.random.split(key)
        play = jax.random.randint(play_key, (), 0, params.start.shape[0])
        facts = params.start[play]
        beliefs = initial_beliefs(belief_key, self.stage, facts, params.unfamiliar[play])
        n = self.num_agents
        return TheatreWorld(
            play, facts, beliefs, jnp.int32(0), jnp.zeros(n, bool), jnp.zeros(n, jnp.int32),
            jnp.zeros(n, bool),
        )  # fmt: skip

    def advance(
        self, key: jax.Array, world: TheatreWorld, action: jax.Array, params: Blueprint
    ) -> Outcome:
        """Acts in random order, then the point's flag and the private goals."""
        flag, private, present = goals_at(params, world.play, world.point)
        order = jnp.argsort(jax.vmap(jax.random.uniform)(agents.keys(key, self.num_agents)))
        outcome = narrate(self.stage, world.facts, world.beliefs, present, action, order)
        reached = holds(outcome.facts, flag)
        wished = jax.vmap(holds, in_axes=(None, 0))(outcome.facts, private) & private.any(axis=1)
        satisfied = (wished & present) | world.satisfied
        reward = reached + PRIVATE_REWARD * (satisfied & ~world.satisfied)
        last = params.flags.shape[1] - 1
        point = world.point + reached
        _, _, then = goals_at(params, world.play, point)
        facts = leave(self.stage, outcome.facts, present & ~then & reached)
        world = TheatreWorld(
            world.play,
            facts,
            outcome.beliefs,
            point,
            satisfied & ~reached,
            action,
            outcome.succeeded,
        )
        metrics = {"point": point, "succeeded": outcome.succeeded, "attempted": outcome.attempted}
        return Outcome(world, reward.astype(jnp.float32), point > last, metrics)

    def observe(
        self, world: TheatreWorld, params: Blueprint, step_count: jax.Array
    ) -> TheatreObservation:
        """Beliefs, both goals, and the acts that seem possible."""
        del step_count
        flag, private, present = goals_at(params, world.play, world.point)
        possible = jax.vmap(options)(self._tables, world.beliefs, private).possible
        silent = jnp.ones((self.num_agents, 1), bool)
        return TheatreObservation(
            beliefs=world.beliefs,
            flag=jnp.broadcast_to(flag, world.beliefs.shape),
            private=private,
            on_stage=present,
            action_mask=jnp.concatenate([silent, possible & present[:, None]], axis=1),
            agent_mask=jnp.ones(self.num_agents, bool),
        )

    def draw(self, world: TheatreWorld, params: Blueprint, ax: Any) -> None:
        """Draw places with actors and props; see :mod:`jaxswarm.envs.theatre.viewer`."""
        viewer.draw(self.stage, world, params, ax)


def goals_at(
    plays: Blueprint, play: jax.Array, point: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Flag ``[F]``, private goals ``[N, F]`` and cast ``[N]`` at a point (at the end the last)."""
    point = jnp.minimum(point, plays.flags.shape[1] - 1)
    flags, private, cast = (jnp.asarray(x) for x in (plays.flags, plays.private, plays.cast))
    return flags[play, point], private[play, point], cast[play, point]


def holds(facts: jax.Array, goal: jax.Array) -> jax.Array:
    """Whether all facts of a goal hold."""
    return jnp.all(facts | ~goal)


def stack(stage: Stage, plays: Sequence[Blueprint], *, reachable: bool = True) -> Blueprint:
    """Stack blueprints of the same number of points, leaves ``[B, …]``, after a check of each.

    Args:
        stage: facts and verbs.
        plays: at least one.
        reachable: also check that flags are in reach; false admits drafts with faults.

    Raises:
        ValueError: as :func:`~jaxswarm.envs.theatre.check_blueprint`, or for different sizes.
    """
    if isinstance(plays, Blueprint) or not isinstance(plays, Sequence) or not plays:
        raise ValueError(f"plays: expected a list of blueprints, got {checks.shown(plays)}")
    for given in plays:
        checks.instance("plays", given, Blueprint)
        if reachable:
            check_blueprint(stage, given)
    sizes = {np.shape(given.flags) for given in plays}
    if len(sizes) > 1:
        raise ValueError(f"plays: expected the same number of points, got flags {sorted(sizes)}")
    return Blueprint(*(np.stack(leaves) for leaves in zip(*plays, strict=True)))


@functools.lru_cache(maxsize=16)
def _stage(num_agents: int) -> Stage:
    return default_stage(num_agents, 2, 2, 1)


@functools.lru_cache(maxsize=16)
def _default_plays(stage: Stage) -> Blueprint:
    written = [
        write(np.random.default_rng(seed), stage, points=2, facts=2).blueprint for seed in range(4)
    ]
    return stack(stage, written, reachable=False)
