"""Symphony-Coord: requesters who learn, each for itself, whom to ask.

A requester's beacon reaches candidates; a composite score screens them to a short list of ``L``;
a shared-parameter bandit picks one; the reward comes ``delay`` steps later and is learnt with the
features of the dispatch. Every requester has a state of its own. What they know may gossip
(:mod:`~jaxswarm.coordination.bandits.pooling`), which the published code, one global selector, has
no need for.

Differences from that code, on purpose: reputation and latency averages are each requester's own;
there is no vote (the delay stands for it); a worker at its load limit says that it is not available
and still works.

Shapes: ``R`` requesters, ``M`` workers, ``C`` candidate slots, ``L`` short list, ``K`` task types,
``d = 6`` features ``[1, match, load, latency, reputation, available]``.

References: Symphony-Coord, arXiv 2602.00966, and its code, 2026.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.coordination._beacon import Candidates
from jaxswarm.coordination._workers import USUAL, LoadLaw, Workers, latency_of, loaded
from jaxswarm.coordination.bandits import (
    NOBODY,
    Bandit,
    Pending,
    Pooled,
    choose,
    delivered,
    dispatched,
    exchanged,
    known,
    no_observations,
    nothing_pending,
    pooled,
    step_regret,
)
from jaxswarm.coordination.draws import event_keys, event_normals, event_uniforms
from jaxswarm.gossip import Exchange, GossipTransformation, Traffic
from jaxswarm.gossip import identity as no_gossip

FEATURES = 6
SLOWEST = 2000.0  # milliseconds that count as 1
POLICIES = ("linucb", "random", "static", "frozen", "oracle")
"""Who picks from the short list. ``linucb`` is any bandit; ``static`` asks one worker per type;
``frozen`` stops learning at the shock; ``oracle`` sees hidden chances, the bound of all others."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class World:
    """Workers, what they advertise, and one shock; all leaves may be traced and mapped.

    Attributes:
        pool: ``Workers`` with linear link; ``skill [M, K]`` is the chance of success by type.
        match: ``float32[M, K]`` in ``[0, 1]``, advertised fit; not the chance of success.
        skill_after: ``float32[M, K]``, from ``shock`` on; 0 is a silent failure.
        match_after: ``float32[M, K]``.
        shock: ``int32[]``, step.
        types: ``float32[K]``, shares of task types.
        static: ``int32[K]``, whom the fixed rule asks.
    """

    pool: Workers
    match: Any
    skill_after: Any
    match_after: Any
    shock: Any
    types: Any
    static: Any


def world(
    pool: Workers,
    match: Any,
    *,
    types: Any,
    static: Any = None,
    shock: int = 2**30,
    skill_after: Any = None,
    match_after: Any = None,
) -> World:
    """A validated world; without ``shock`` nothing changes.

    Raises:
        ValueError: naming the argument: shapes other than ``[M, K]``, numbers outside ``[0, 1]``,
            shares that do not sum to one, an unknown worker, a logistic pool.
    """
    if pool.link != "linear":
        raise ValueError(f"pool: expected the linear link, got {pool.link!r}")
    skill = np.asarray(pool.skill, np.float32)
    m, k = skill.shape
    tables = {
        "match": match,
        "skill_after": skill if skill_after is None else skill_after,
        "match_after": match if match_after is None else match_after,
    }
    for name, table in tables.items():
        value = np.asarray(table, np.float32)
        if value.shape != (m, k) or not ((value >= 0) & (value <= 1)).all():
            raise ValueError(f"{name}: expected numbers in [0, 1], shape {(m, k)}")
        tables[name] = value
    shares = np.asarray(types, np.float32)
    if shares.shape != (k,) or (shares < 0).any() or abs(shares.sum() - 1) > 1e-4:
        raise ValueError(f"types: expected {k} shares that sum to one, got {types}")
    fixed = np.argmax(tables["match"], axis=0) if static is None else np.asarray(static)
    if fixed.shape != (k,) or fixed.min() < 0 or fixed.max() >= m:
        raise ValueError(f"static: expected {k} workers in [0, {m}), got {static}")
    return World(
        pool,
        tables["match"],
        tables["skill_after"],
        tables["match_after"],
        np.int32(shock),
        shares,
        fixed.astype(np.int32),
    )


class Settings(NamedTuple):
    """Numbers of the published router; all may be traced.

    Attributes:
        screen: weights of match, prior success and stability in the composite score.
        stable: weights of idleness, speed and availability in stability.
        prior: success assumed of everyone, no warm-up.
        slowness: reward lost per square root of normalised latency (published: 0.2 or 0).
        dearness: reward lost per unit price (published: 0.15 or 0).
        latency_memory: of the exponential average of latency.
        reputation_memory: of the exponential average of success.
    """

    screen: Any = (0.5, 0.35, 0.15)
    stable: Any = (0.4, 0.4, 0.2)
    prior: Any = 0.5
    slowness: Any = 0.0
    dearness: Any = 0.0
    latency_memory: Any = 0.8
    reputation_memory: Any = 0.95


class RouterState(NamedTuple):
    """``sums`` of every requester, dispatches under way, averages ``[R, C]``, ``load [M]``."""

    sums: Pooled
    pending: Pending
    latency: jax.Array
    reputation: jax.Array
    heard: jax.Array
    load: jax.Array


class RouterInfo(NamedTuple):
    """Of one step, ``[R]`` each: ``worker`` is -1 and ``success`` 0 where there was no candidate.

    ``regret`` is against the best hidden chance in the short list; ``messages`` counts beacon,
    replies, probes, dispatch and result.
    """

    success: jax.Array
    reward: jax.Array
    regret: jax.Array
    worker: jax.Array
    type: jax.Array
    messages: jax.Array
    latency: jax.Array


class Router(NamedTuple):
    """A router as pure functions.

    Attributes:
        init: ``(world) -> state``.
        step: ``(key, world, state, index, policy) -> (state, info)``; the key is the same in every
            step, ``policy`` an index into :data:`POLICIES`.
        share: ``(key, state, index) -> (state, traffic)``.
    """

    init: Any
    step: Any
    share: Any


def router(
    candidates: Candidates,
    bandit: Bandit,
    *,
    shortlist: int = 3,
    delay: int = 0,
    gossip: GossipTransformation | None = None,
    screening: str = "replies",
    settings: Settings = Settings(),  # noqa: B008
    law: LoadLaw = USUAL,
) -> Router:
    """Decentralised routing of one task per requester and step.

    Args:
        candidates: from :func:`~jaxswarm.coordination.beacon`.
        bandit: a shared rule on six features, for instance ``bandits.linucb(6)``.
        shortlist: ``L``.
        delay: steps until a reward is learnt, at least 0.
        gossip: how ``share`` mixes sums; ``None`` keeps requesters apart.
        screening: ``replies``: a beacon per task, every candidate replies with its present state;
            ``heard``: a beacon once, then screening by what was last heard, and probes to the short
            list only.
        settings: weights and memories.
        law: of load.

    Raises:
        ValueError: naming the argument: ``shortlist`` below 1 or above ``C``, a negative ``delay``,
            an unknown ``screening``, a bandit on other features.
    """
    slots = candidates.worker.shape[1]
    if not 1 <= shortlist <= slots:
        raise ValueError(f"shortlist: expected 1 to {slots} candidates, got {shortlist}")
    if delay < 0:
        raise ValueError(f"delay: expected at least 0 steps, got {delay}")
    if screening not in ("replies", "heard"):
        raise ValueError(f"screening: expected 'replies' or 'heard', got {screening!r}")
    shape = jax.eval_shape(bandit.init).moment.shape
    if shape != (FEATURES,):
        raise ValueError(f"bandit: expected a shared rule on {FEATURES} features, got {shape}")
    who, valid = jnp.asarray(candidates.worker), jnp.asarray(candidates.valid)
    number = who.shape[0]
    rule = no_gossip() if gossip is None else gossip
    population = 1 if gossip is None else number
    ids = jnp.arange(number)

    def init(world: World) -> RouterState:
        return RouterState(
            pooled(no_observations(FEATURES, (number,)), rule),
            jax.vmap(lambda _: nothing_pending(delay + 1, FEATURES))(ids),
            jnp.broadcast_to(jnp.asarray(world.pool.latency)[who], who.shape),
            jnp.full(who.shape, settings.prior),
            jnp.zeros(who.shape),
            jnp.zeros(world.pool.num_workers),
        )

    def step(
        key: jax.Array, world: World, state: RouterState, index: Any, policy: Any
    ) -> tuple[RouterState, RouterInfo]:
        dice, lots, noises, draws = (jax.random.fold_in(key, i) for i in range(4))
        load = state.load * law.decay
        heard = state.heard * law.decay
        struck = index >= world.shock
        skill = jnp.where(struck, world.skill_after, world.pool.skill)
        match = jnp.where(struck, world.match_after, world.match)
        edges = jnp.cumsum(jnp.asarray(world.types))[:-1]
        lot = event_uniforms(lots, ids, jnp.broadcast_to(index, ids.shape))
        kind = jnp.sum(lot[:, None] >= edges[None, :], axis=1)

        now = load[who]
        seen = now if screening == "replies" else heard
        fit = match[who, kind[:, None]]
        first = _composite(settings, fit, seen, state.latency, law)
        _, listed = jax.lax.top_k(jnp.where(valid, first, -jnp.inf), shortlist)
        take = lambda table: jnp.take_along_axis(table, listed, axis=1)  # noqa: E731
        there, named = take(valid), take(who)
        features = _features(take(fit), take(now), take(state.latency), take(state.reputation), law)
        sums = known(state.sums, population)
        keys = event_keys(draws, ids, jnp.broadcast_to(index, ids.shape))
        learnt = jax.vmap(bandit.score, in_axes=(0, 0, 0, None))(
            keys, sums, features, jnp.zeros(shortlist, jnp.int32)
        )
        chance = skill[named, kind[:, None]] * (1.0 - law.harm * take(now))
        random = jax.vmap(lambda k: jax.random.uniform(k, (shortlist,)))(keys)
        fixed = (named == jnp.asarray(world.static)[kind][:, None]).astype(jnp.float32)
        table = jnp.stack([learnt, random, fixed, learnt, chance])
        at = choose(table[policy], there)
        one = jnp.maximum(at, 0)[:, None]
        pick = lambda rows: jnp.take_along_axis(rows, one, axis=1)[:, 0]  # noqa: E731
        found = at != NOBODY
        worker, slot = pick(named), pick(listed)

        noise = event_normals(noises, ids, jnp.broadcast_to(index, ids.shape))
        latency = latency_of(world.pool, worker, load[worker], noise, law)
        uniform = event_uniforms(dice, ids, jnp.broadcast_to(index, ids.shape))
        success = found & (uniform < pick(chance))
        price = jnp.asarray(world.pool.price)[worker]
        slow = settings.slowness * jnp.sqrt(jnp.clip(latency / SLOWEST, 0.0, 1.0))
        reward = jnp.clip(success - slow - settings.dearness * price, 0.0, 1.0)
        reward = jnp.where(found, reward, 0.0)

        x = jnp.take_along_axis(features, one[:, :, None], axis=1)[:, 0]
        wait = jax.vmap(
            lambda p, v, r, f: dispatched(p, index, v, active=f, reward=r, due=index + delay)
        )(state.pending, x, reward, found)
        wait, arrived = jax.vmap(lambda p: delivered(p, index))(wait)
        slots_due = jnp.argmax(arrived, axis=1)  # at most one is due with a fixed delay
        old_x = jnp.take_along_axis(wait.x, slots_due[:, None, None], axis=1)[:, 0]
        old_reward = jnp.take_along_axis(wait.reward, slots_due[:, None], axis=1)[:, 0]
        learning = (policy != POLICIES.index("frozen")) | ~struck
        weight = (arrived.any(axis=1) & learning).astype(jnp.float32)
        fresh = jax.vmap(lambda s, v, r, w: bandit.learn(s, v, r, 0, w))(
            state.sums.fresh, old_x, old_reward, weight
        )

        def averaged(rows: jax.Array, value: jax.Array, memory: Any) -> jax.Array:
            new = memory * pick(take(rows)) + (1.0 - memory) * value
            place = jnp.where(found, slot, slots)
            return rows.at[ids, place].set(new, mode="drop")

        after = RouterState(
            state.sums._replace(fresh=fresh),
            wait,
            averaged(state.latency, latency, settings.latency_memory),
            averaged(state.reputation, success.astype(jnp.float32), settings.reputation_memory),
            heard.at[ids[:, None], listed].set(take(now)),
            loaded(load, worker, found, law),
        )
        replies = valid.sum(axis=1) if screening == "replies" else 2 * there.sum(axis=1)
        opening = jnp.asarray(candidates.flood) + jnp.where(
            screening == "replies", 0, valid.sum(axis=1)
        )
        beacons = opening if screening == "replies" else jnp.where(index == 0, opening, 0.0)
        info = RouterInfo(
            success.astype(jnp.float32),
            reward,
            step_regret(chance, there, at),
            jnp.where(found, worker, NOBODY),
            kind,
            beacons + replies + 2.0 * found,
            jnp.where(found, latency, 0.0),
        )
        return after, info

    def share(key: jax.Array, state: RouterState, index: Any) -> tuple[RouterState, Traffic]:
        sums, traffic = exchanged(key, state.sums, rule, Exchange(index))
        return state._replace(sums=sums), traffic

    return Router(init, step, share)


def roles(worker: Any, kind: Any, num_workers: int, num_types: int) -> dict[str, float]:
    """Who does what, from ``worker`` and ``kind`` of equal shape: bits of information.

    Returns:
        ``information`` I(worker; type) and ``entropy`` of types per worker, weighted by work.
    """
    done, types = np.ravel(worker), np.ravel(kind)
    table = np.zeros((num_workers, num_types))
    np.add.at(table, (done[done >= 0], types[done >= 0]), 1.0)
    if table.sum() == 0:
        return {"information": 0.0, "entropy": 0.0}
    joint = table / table.sum()

    def bits(p: np.ndarray) -> float:
        return float(-np.sum(p[p > 0] * np.log2(p[p > 0])))

    entropy = bits(joint) - bits(joint.sum(axis=1))
    return {"information": bits(joint.sum(axis=0)) - entropy, "entropy": entropy}


def _composite(
    settings: Settings, match: jax.Array, load: jax.Array, latency: jax.Array, law: LoadLaw
) -> jax.Array:
    idle, fast, up = settings.stable
    speed = 1.0 - jnp.clip(latency / SLOWEST, 0.0, 1.0)
    stability = idle * (1.0 - load) + fast * speed + up * (load < law.limit)
    fit, prior, stable = settings.screen
    return fit * match + prior * settings.prior + stable * stability


def _features(
    match: jax.Array, load: jax.Array, latency: jax.Array, reputation: jax.Array, law: LoadLaw
) -> jax.Array:
    columns = (jnp.ones_like(match), match, load, latency / SLOWEST, reputation, load < law.limit)
    x = jnp.stack([jnp.clip(c, 0.0, 1.0) for c in columns], axis=-1)
    return x / jnp.maximum(jnp.linalg.norm(x, axis=-1, keepdims=True), 1.0)
