"""Whole performances: any policies, models of the user's own and humans, absent actors.

Shapes: ``T`` moments, ``N`` actors, ``M`` acts of an actor, ``F`` facts, ``K`` features.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks, rl
from jaxswarm.coordination import AgentBackend, Request
from jaxswarm.coordination.backends import EMPTY, OK
from jaxswarm.envs import theatre
from jaxswarm.systems.hamlet._rehearsal import check_plays
from jaxswarm.systems.hamlet._settings import (
    GOALS,
    MODES,
    RANDOM,
    Settings,
    check_settings,
    settings,
)
from jaxswarm.systems.hamlet._tick import (
    NO_ACT,
    HamletState,
    Production,
    TickInfo,
    begin,
    opening,
    perceive,
    tick,
)
from jaxswarm.types import Key, Params

Decide = Callable[[Key, jax.Array], jax.Array]
"""``decide(key, perceived [N, K]) -> int32[N, 2]``: mode and goal of every actor."""

UNKNOWN = -1
"""The act of a reply that names none of the table; the narrator lets it fail."""


class Summary(NamedTuple):
    """Outcome of a performance, ``float32[]`` each.

    Attributes:
        complete: 1 if the last point was reached.
        points: share of the points that were reached.
        stalled: share of the moments (until the end of the play) in which it was stalled.
        thinking: seconds of latency, all actors together.
        clock: seconds until the end.
        beats: acts that helped.
        wasted: acts that failed, or did not help.
        failed: acts that the narrator refused.
        prompts: of the advancer.
        reward: mean over actors.
    """

    complete: jax.Array
    points: jax.Array
    stalled: jax.Array
    thinking: jax.Array
    clock: jax.Array
    beats: jax.Array
    wasted: jax.Array
    failed: jax.Array
    prompts: jax.Array
    reward: jax.Array


class Trace(NamedTuple):
    """All moments of a performance, leaves ``[T, …]``; states are those before the moment.

    Attributes:
        states: :class:`HamletState`.
        infos: :class:`TickInfo`.
        present: ``bool[T, N]``.
        final: the state at the end, without the axis ``T``.
    """

    states: HamletState
    infos: TickInfo
    present: jax.Array
    final: HamletState


def fixed(mode: str, goal: str = "public") -> Decide:
    """A policy that always chooses the same mode and goal.

    Raises:
        ValueError: for unknown names.
    """
    choice = [MODES.index(checks.choice("mode", mode, MODES))]
    choice.append(GOALS.index(checks.choice("goal", goal, GOALS)))

    def decide(key: Key, perceived: jax.Array) -> jax.Array:
        del key
        return jnp.tile(jnp.array([choice], jnp.int32), (perceived.shape[0], 1))

    return decide


def learned(network: rl.Network, params: Params) -> Decide:
    """A policy of a trained network that actors share; actions are sampled.

    Args:
        network: of ``rl.network_for(Rehearsal(…))``, without recurrence.
        params: its weights, may be traced.
    """
    checks.instance("network", network, rl.Network, "rl.network_for(env)")

    def one(key: Key, features: jax.Array) -> jax.Array:
        _, outputs = network.actor(params["actor"], (), features)
        return network.head.sample(key, outputs)

    return lambda key, perceived: jax.vmap(one)(agents.keys(key, len(perceived)), perceived)


def perform(
    key: Key,
    production: Production,
    plays: theatre.Blueprint,
    decide: Decide,
    *,
    play: int | jax.Array = 0,
    given: Settings | None = None,
    time_limit: int = 48,
    alive: Any = None,
    disrupted: Any = None,
    backend: AgentBackend | None = None,
    outside: Any = None,
) -> tuple[Summary, Trace]:
    """Perform one play; ``vmap`` over keys and plays for thousands of them.

    Args:
        key: consumed.
        production: see :func:`production`.
        plays: blueprints, leaves ``[B, …]``.
        decide: policy of all actors, such as :func:`fixed` or :func:`learned`.
        play: number of the blueprint.
        given: settings; the default if omitted.
        time_limit: ``T``, static.
        alive: ``bool[T, N]``, of ``coordination.availability``; an absent actor neither acts nor
            perceives. All actors are there if omitted.
        disrupted: ``bool[T, N]``, moments in which an actor acts at random, whatever its role.
        backend: chooses acts instead of the policy for the actors in ``outside``: worker ``i`` is
            actor ``i``, answers are ``0`` (silence) to ``M``. A reply that is none of these, fails
            or is late becomes a failed act.
        outside: ``bool[N]``, actors that the backend plays.

    Returns:
        A summary, and all moments (which cost nothing if unused in a compiled program).

    Raises:
        ValueError: for arguments of another kind, size or range.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import theatre
        >>> from jaxswarm.systems import hamlet
        >>> stage = theatre.default_stage(2, 2, 1, 1)
        >>> plays = hamlet.stage_plays(0, stage, 1, points=2, facts=1).blueprints
        >>> production = hamlet.production(stage)
        >>> run = jax.jit(lambda k: hamlet.perform(k, production, plays, hamlet.fixed("slow"))[0])
        >>> float(run(jax.random.key(0)).complete)
        1.0
    """
    checks.key(key)
    checks.instance("production", production, Production, "hamlet.production(stage)")
    stage, n = production.stage, production.stage.num_actors
    check_plays(stage, plays)
    checks.function("decide", decide)
    checks.index("play", play, plays.start.shape[0])
    given = settings(n) if given is None else check_settings(given, n)
    steps = checks.whole("time_limit", time_limit, 1)
    there = np.ones((steps, n), bool) if alive is None else alive
    there = jnp.asarray(checks.mask("alive", there, (steps, n)))
    chance = np.zeros((steps, n), bool) if disrupted is None else disrupted
    chance = jnp.asarray(checks.mask("disrupted", chance, (steps, n)))
    if (backend is None) != (outside is None):
        raise ValueError("backend, outside: expected both or neither")
    if backend is not None:
        checks.instance("backend", backend, AgentBackend, "coordination.host_backend(…)")
        outside = jnp.asarray(checks.mask("outside", outside, (n,)))
    plays = jax.tree.map(jnp.asarray, plays)
    start_key, run_key = jax.random.split(key)
    state = begin(start_key, production, plays, opening(production, plays), jnp.asarray(play))

    def moment(held: tuple, inputs: tuple) -> tuple:
        state, worker = held
        index, there, chance = inputs
        now = given._replace(roles=jnp.where(chance, RANDOM, given.roles))
        keys = jax.random.split(jax.random.fold_in(run_key, index), 3)
        decision = decide(keys[0], perceive(production, plays, state, given))
        acts, seconds = jnp.full(n, NO_ACT), jnp.zeros(n)
        if backend is not None:
            present = theatre.goals_at(plays, state.play, state.point)[2] & there
            active = outside & present & (state.point < plays.flags.shape[1])
            request = ask_of(production, plays, state, index, active, present)
            worker, reply = backend.answer(keys[1], worker, request)
            acts = jnp.where(reply.status == OK, reply.answer, UNKNOWN)
            acts = jnp.where(reply.status == EMPTY, NO_ACT, acts)
            seconds = reply.latency / 1000.0
        after, info = tick(keys[2], production, plays, state, decision, now, there, acts, seconds)
        present = theatre.goals_at(plays, state.play, state.point)[2] & there
        return (after, worker), (state, info, present)

    first = (state, backend.init() if backend is not None else ())
    (final, _), (states, infos, present) = jax.lax.scan(
        moment, first, (jnp.arange(steps), there, chance)
    )
    return summarize(plays, final, infos), Trace(states, infos, present, final)


def summarize(plays: theatre.Blueprint, final: HamletState, infos: TickInfo) -> Summary:
    """Summary of a performance from its final state and its moments ``[T, …]``."""
    points = plays.flags.shape[1]
    total = lambda x: jnp.sum(x).astype(jnp.float32)  # noqa: E731
    moments = jnp.maximum(total(infos.running), 1.0)
    return Summary(
        complete=(final.point >= points).astype(jnp.float32),
        points=final.point.astype(jnp.float32) / points,
        stalled=total(infos.stalled) / moments,
        thinking=total(infos.latency),
        clock=final.clock,
        beats=total(infos.effective),
        wasted=total(infos.attempted & ~infos.effective),
        failed=total(infos.attempted & ~infos.succeeded),
        prompts=total(jnp.any(infos.prompt > 0, axis=1)),
        reward=jnp.sum(infos.reward) / infos.reward.shape[1],
    )


def ask_of(
    production: Production,
    plays: theatre.Blueprint,
    state: HamletState,
    event: jax.Array,
    active: jax.Array,
    present: jax.Array,
) -> Request:
    """Calls to the workers that play actors, one of each; ``demand`` is what the actor knows.

    ``demand`` is ``float32[N, 4 F + M + 1]``: beliefs, flag, private goal and whether the actor is
    present (over ``F``), acts that seem possible, and the prompt. The right answer, from which
    stochastic workers make theirs, is a beat of the planner.
    """
    stage, n = production.stage, production.stage.num_actors
    flag, private, _ = theatre.goals_at(plays, state.play, state.point)
    possible = jax.vmap(theatre.options)(production.verbs, state.beliefs, private).possible
    beats = jnp.any(state.helpful, axis=1)
    truth = jnp.where(beats, jnp.argmax(state.helpful, axis=1) + 1, 0)
    shape = state.beliefs.shape
    parts = [
        state.beliefs,
        jnp.broadcast_to(flag, shape),
        private,
        jnp.broadcast_to(present[:, None], shape),
        possible,
        state.prompt[:, None],
    ]
    return Request(
        worker=jnp.arange(n, dtype=jnp.int32),
        entity=jnp.full(n, state.play, jnp.int32),
        event=jnp.full(n, event, jnp.int32),
        demand=jnp.concatenate([part.astype(jnp.float32) for part in parts], axis=1),
        context=jnp.full(n, float(stage.num_facts)),
        truth=truth.astype(jnp.int32),
        active=active,
    )
