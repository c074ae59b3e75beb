"""One moment of a performance: decide, act, narrate, transfer, plan, advance.

Shapes: ``N`` actors, ``M`` acts of an actor, ``F`` facts, ``K`` features.

References:
    S. Jiang et al., HAMLET: a hierarchical and adaptive multi-agent framework, 2026.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.envs import theatre
from jaxswarm.systems.hamlet._candidates import candidates
from jaxswarm.systems.hamlet._controllers import advancer, planner, transfer
from jaxswarm.systems.hamlet._settings import (
    DIRECTED,
    FAST,
    MUTE,
    PUBLIC,
    RANDOM,
    SILENT,
    SLOW,
    Settings,
    latency_penalty,
)
from jaxswarm.types import Key

NO_ACT = -(2**30)
"""Instead of an act from outside: the actor decides by itself."""


class Production(NamedTuple):
    """What does not change in a program: the stage, its verbs as tables, depths of look-ahead.

    Attributes:
        stage: facts and verbs.
        verbs: the same as numbers.
        slow_depth: layers of an actor's slow look-ahead.
        plan_depth: layers of the planner's trajectories.
    """

    stage: theatre.Stage
    verbs: theatre.Tables
    slow_depth: int
    plan_depth: int


class HamletState(NamedTuple):
    """State of one performance.

    Attributes:
        play: ``int32[]``, number of the blueprint.
        facts: ``bool[F]``.
        beliefs: ``bool[N, F]``.
        point: ``int32[]``, the point to reach next; ``Q`` at the end.
        satisfied: ``bool[N]``, private goals reached at this point.
        prompt: ``int32[N]``, acts that the advancer asks for, 0 for none.
        helpful: ``bool[N, M]``, the planner's beats.
        distance: ``int32[]``, of the world to the flag, as the planner sees it.
        best: ``int32[]``, the smallest distance to this point so far.
        idle: ``float32[]``, seconds without progress.
        wait: ``float32[]``, seconds without progress or prompt.
        clock: ``float32[]``, seconds since the beginning.
        mode: ``int32[N]``, modes of the last moment.
        failed: ``bool[N]``, the last act failed.
    """

    play: jax.Array
    facts: jax.Array
    beliefs: jax.Array
    point: jax.Array
    satisfied: jax.Array
    prompt: jax.Array
    helpful: jax.Array
    distance: jax.Array
    best: jax.Array
    idle: jax.Array
    wait: jax.Array
    clock: jax.Array
    mode: jax.Array
    failed: jax.Array


class TickInfo(NamedTuple):
    """What happened in one moment; nothing (zeros) once the play is over.

    Attributes:
        reward: ``float32[N]``.
        acts: ``int32[N]``.
        attempted: ``bool[N]``.
        succeeded: ``bool[N]``.
        effective: ``bool[N]``, a beat: it succeeded, and helped to the flag as the planner sees it,
            or to the actor's private goal.
        prompt: ``int32[N]``, prompts that the advancer gave after it.
        latency: ``float32[N]``, seconds.
        reached: ``bool[]``, a point was reached.
        stalled: ``bool[]``, the play was stalled before it.
        running: ``bool[]``, the play was not over before it.
        order: ``int32[N]``, actors in the order in which they acted.
    """

    reward: jax.Array
    acts: jax.Array
    attempted: jax.Array
    succeeded: jax.Array
    effective: jax.Array
    prompt: jax.Array
    latency: jax.Array
    reached: jax.Array
    stalled: jax.Array
    running: jax.Array
    order: jax.Array


class Opening(NamedTuple):
    """The planner's view of each blueprint's start, computed once.

    Attributes:
        helpful: ``bool[B, N, M]``, first beats.
        distance: ``int32[B]``, to the first flag.
    """

    helpful: jax.Array
    distance: jax.Array


def opening(production: Production, plays: theatre.Blueprint) -> Opening:
    """Plan the first beats of all blueprints ``[B, …]``."""

    def plan(start: jax.Array, flag: jax.Array, cast: jax.Array) -> theatre.Relaxed:
        return planner(production.verbs, start, flag, cast, production.plan_depth)

    parts = (plays.start, plays.flags[:, 0], plays.cast[:, 0])
    beats = jax.vmap(plan)(*(jnp.asarray(part) for part in parts))
    return Opening(beats.helpful, beats.distance)


def begin(
    key: Key, production: Production, plays: theatre.Blueprint, first: Opening, play: jax.Array
) -> HamletState:
    """The start of a play: its facts, and beliefs that are partly wrong."""
    n = production.stage.num_actors
    facts = jnp.asarray(plays.start)[play]
    beliefs = theatre.initial_beliefs(
        key, production.stage, facts, jnp.asarray(plays.unfamiliar)[play]
    )
    none, zero = jnp.zeros(n, jnp.int32), jnp.zeros((), jnp.float32)
    return HamletState(
        jnp.asarray(play, jnp.int32), facts, beliefs, jnp.int32(0), jnp.zeros(n, bool), none,
        first.helpful[play], first.distance[play], first.distance[play], zero, zero, zero, none,
        jnp.zeros(n, bool),
    )  # fmt: skip


def tick(
    key: Key,
    production: Production,
    plays: theatre.Blueprint,
    state: HamletState,
    decision: jax.Array,
    given: Settings,
    alive: jax.Array,
    outside: jax.Array,
    seconds: jax.Array,
) -> tuple[HamletState, TickInfo]:
    """One moment of one play.

    Args:
        key: consumed.
        production: static.
        plays: blueprints, leaves ``[B, …]``.
        state: of the play.
        decision: ``int32[N, 2]``, mode and goal of each actor.
        given: settings.
        alive: ``bool[N]``, actors that are not absent by a fault.
        outside: ``int32[N]``, acts of actors that a model of the user's own or a human plays,
            :data:`NO_ACT` for all others.
        seconds: ``float32[N]``, latencies of those acts.
    """
    stage, verbs = production.stage, production.verbs
    n, points = stage.num_actors, plays.flags.shape[1]
    keys = jax.random.split(key, 4)
    flag, private, cast = theatre.goals_at(plays, state.play, state.point)
    present = cast & alive
    running = state.point < points
    mode, acts = _decide(keys[0], production, state, decision, given, present, flag, private)
    acts = jnp.where(outside == NO_ACT, acts, outside)
    acts = jnp.where(present & running, acts, 0)
    draws = jax.vmap(lambda k: jax.random.normal(k))(agents.keys(keys[1], n))
    latency = given.seconds[mode] * jnp.exp(given.spread * draws)
    latency = jnp.where(mode == SILENT, 0.0, latency)
    latency = jnp.where(outside == NO_ACT, latency, seconds)
    latency = jnp.where(present & running, latency, 0.0)
    order = jnp.argsort(jnp.where(acts == 0, jnp.inf, latency)).astype(jnp.int32)
    outcome = theatre.narrate(stage, state.facts, state.beliefs, present, acts, order, given.reach)
    wished = jax.vmap(theatre.holds, in_axes=(None, 0))(outcome.facts, private)
    wished = wished & jnp.any(private, axis=1) & present & ~state.satisfied & running
    row = jnp.clip(acts - 1, 0, stage.num_acts - 1)
    helped = jnp.take_along_axis(state.helpful, row[:, None], axis=1)[:, 0]
    effective = outcome.succeeded & (helped | wished)
    attempted = outcome.attempted & running
    moved = transfer(stage, plays, state.play, state.point, outcome.facts)
    reached = moved.reached & running
    facts = jnp.where(reached, moved.facts, outcome.facts)
    point = state.point + reached
    flag, _, cast = theatre.goals_at(plays, state.play, point)
    beats = planner(verbs, facts, flag, cast & alive, production.plan_depth)
    spent = jnp.sum(latency)
    spent = jnp.where(spent > 0.0, spent, given.seconds[SILENT])
    spent = jnp.where(running, spent, 0.0)
    progress = reached | (beats.distance < state.best)
    idle = jnp.where(progress, 0.0, state.idle + spent)
    wait = jnp.where(progress, 0.0, state.wait + spent)
    prompt = jnp.where(attempted | reached, 0, state.prompt)
    stalled = idle >= given.threshold
    due = given.advancer & stalled & (wait >= given.period) & (point < points)
    prompted = advancer(keys[2], beats.helpful, _possible(verbs, facts, cast & alive), prompt, due)
    waste = attempted & ~effective
    nearer = state.distance - jnp.where(reached, 0, beats.distance)
    reward = (
        reached
        + given.progress_reward * nearer
        + given.private_reward * wished
        - given.waste_penalty * waste
    )
    reward = reward - latency_penalty(latency)
    after = HamletState(
        state.play, facts, outcome.beliefs, point, (state.satisfied | wished) & ~reached, prompted,
        beats.helpful, beats.distance,
        jnp.where(reached, beats.distance, jnp.minimum(state.best, beats.distance)),
        idle, jnp.where(due, 0.0, wait), state.clock + spent, mode, attempted & ~outcome.succeeded,
    )  # fmt: skip
    info = TickInfo(
        jnp.where(running, reward, 0.0).astype(jnp.float32), acts, attempted,
        outcome.succeeded, effective, jnp.where(due, prompted, 0), latency, reached,
        running & (state.idle >= given.threshold), running, order,
    )  # fmt: skip
    return after, info


def _decide(
    key: Key,
    production: Production,
    state: HamletState,
    decision: jax.Array,
    given: Settings,
    present: jax.Array,
    flag: jax.Array,
    private: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Modes and acts ``int32[N]`` of all actors by their roles."""
    quickest = jnp.where(given.modes[FAST], FAST, jnp.where(given.modes[SLOW], SLOW, SILENT))
    mode = jnp.where(given.modes[decision[:, 0]], decision[:, 0], quickest)
    target = jnp.where((decision[:, 1] == PUBLIC)[:, None], flag, private)
    found = candidates(
        key, production.verbs, state.beliefs, target, present, state.helpful, given.noise,
        production.slow_depth,
    )  # fmt: skip
    own = jnp.where(mode == SLOW, found.slow, found.fast)
    own = jnp.where(state.prompt > 0, state.prompt, own)
    own = jnp.where(mode == SILENT, 0, own)
    acts = jnp.where(given.roles == RANDOM, found.random, own)
    acts = jnp.where(given.roles == DIRECTED, found.directed, acts)
    acts = jnp.where(given.roles == MUTE, 0, acts)
    quick = jnp.where(acts > 0, FAST, SILENT)
    return jnp.where(given.roles == 0, mode, quick).astype(jnp.int32), acts


def _possible(verbs: theatre.Tables, facts: jax.Array, present: jax.Array) -> jax.Array:
    """Acts ``bool[N, M]`` that the narrator would allow now."""
    nothing = jnp.zeros_like(facts)
    seen = jax.vmap(theatre.options, in_axes=(0, None, None))(verbs, facts, nothing)
    return seen.possible & present[:, None]


def perceive(
    production: Production, plays: theatre.Blueprint, state: HamletState, given: Settings
) -> jax.Array:
    """What perceive-and-decide sees of an actor's own state and of the outer state.

    Numbers about own beliefs, both goals, prompts and the flow of the play; neither the world nor
    others' private goals.

    Returns:
        ``float32[N, K]``, each in about ``[0, 1]``.
    """
    stage = production.stage
    flag, private, cast = theatre.goals_at(plays, state.play, state.point)
    beliefs = state.beliefs
    lacking = flag[None] & ~beliefs
    public = jax.vmap(theatre.options, in_axes=(0, 0, None))(production.verbs, beliefs, flag)
    personal = jax.vmap(theatre.options)(production.verbs, beliefs, private)
    wishes = ~jax.vmap(theatre.holds)(beliefs, private) & ~state.satisfied

    def quick(seen: theatre.Options) -> jax.Array:
        return jnp.any(seen.possible & (seen.gain > 0.5), axis=1)

    adds = (
        jnp.asarray(production.verbs.adds).max(axis=1) > 0.5
    )  # [N, F], what an actor can bring about
    alone = adds & (jnp.sum(adds, axis=0) < 1.5)[None]
    holding = jnp.any(jnp.take_along_axis(beliefs, jnp.asarray(stage.holds), axis=1), axis=1)
    n = stage.num_actors
    where = beliefs[:, stage.at]  # [N, N, L], believer, actor, place
    mine = where[jnp.arange(n), jnp.arange(n)]  # [N, L]
    company = jnp.sum(jnp.any(where & mine[:, None], axis=2) & cast[None], axis=1) / n
    last = jax.nn.one_hot(state.mode, 3)
    shared = jnp.stack(
        [jnp.clip(state.idle / given.threshold, 0.0, 2.0), state.idle == 0.0,
         state.point / plays.flags.shape[1]]
    )  # fmt: skip
    columns = [
        cast,
        state.prompt > 0,
        jnp.any(lacking, axis=1),
        jnp.sum(lacking, axis=1) / 4.0,
        jnp.sum(lacking & alone, axis=1) / 2.0,
        quick(public),
        quick(personal),
        wishes,
        holding,
        company,
        state.failed,
    ]
    own = jnp.stack([column.astype(jnp.float32) for column in columns], axis=1)
    common = jnp.concatenate([shared, given.modes.astype(jnp.float32)])
    common = jnp.broadcast_to(common, (len(own), len(common)))
    return jnp.concatenate([own, last, common], axis=1).astype(jnp.float32)
