"""Symphony-Coord: decentralised contextual-bandit routing of tasks to workers.

A requester's beacon reaches candidates; a composite score screens them to a short list of ``L``;
a shared-parameter bandit picks one; the reward arrives ``delay`` steps later and is learnt with the
features of the dispatch. Every requester has a state of its own. Their sums may gossip
(:mod:`~jaxswarm.coordination.bandits.pooling`), which the published code, one global selector, does
not need.

Differences from that code, on purpose: reputation and latency averages are each requester's own;
there is no vote (the delay stands for it); a worker at its load limit reports that it is not
available and still works.

Shapes: ``R`` requesters, ``M`` workers, ``C`` candidate slots, ``L`` short list, ``K`` task types,
``d = 6`` features.

References:
    Symphony-Coord, arXiv 2602.00966, and its code, 2026.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination import (
    DEFAULT_LOAD,
    Candidates,
    LoadModel,
    add_load,
    event_keys,
    event_normals,
    event_uniforms,
    latency_of,
)
from jaxswarm.coordination._workers import check_load_model
from jaxswarm.coordination.backends import AgentBackend
from jaxswarm.coordination.bandits import (
    NO_CANDIDATE,
    Bandit,
    Ridge,
    add_dispatch,
    choose,
    collect_due,
    effective_sums,
    empty_pending,
    empty_sums,
    exchange_sums,
    init_pooled,
    step_regret,
)
from jaxswarm.gossip import Exchange, GossipTransformation, Traffic
from jaxswarm.gossip import identity as no_gossip
from jaxswarm.gossip.types import require_support
from jaxswarm.systems.symphony_coord._world import World
from jaxswarm.systems.symphony_coord.execution import ask_backend, draw_types, reward_of
from jaxswarm.systems.symphony_coord.scoring import (
    FEATURES,
    RouterSettings,
    bandit_features,
    check_router_settings,
    composite_score,
)
from jaxswarm.systems.symphony_coord.state import (
    POLICIES,
    SCREENINGS,
    Router,
    RouterInfo,
    RouterState,
)
from jaxswarm.types import ArrayLike, Key


class _Setup(NamedTuple):
    """Constants of a router; ``worker``, ``valid [R, C]`` and ``beacon [R]`` of its candidates."""

    worker: jax.Array
    valid: jax.Array
    beacon: jax.Array  # messages of one beacon
    bandit: Bandit
    shortlist: int
    delay: int
    population: int
    cached: bool
    settings: RouterSettings
    load_model: LoadModel
    backend: AgentBackend | None
    truths: jax.Array | None

    @property
    def num_requesters(self) -> int:
        return self.worker.shape[0]


class _Shortlist(NamedTuple):
    """The short list of every requester, leaves ``[R, L]``, ``features [R, L, 6]``."""

    slot: jax.Array
    valid: jax.Array
    worker: jax.Array
    load: jax.Array
    features: jax.Array
    probability: jax.Array  # hidden


class _Choice(NamedTuple):
    """The chosen candidate of every requester, ``[R]``: its position in the short list or -1."""

    position: jax.Array
    found: jax.Array

    def of(self, rows: jax.Array) -> jax.Array:
        """The chosen entry of ``rows [R, L, ...]``."""
        index = jnp.maximum(self.position, 0).reshape(-1, 1, *(1,) * (rows.ndim - 2))
        return jnp.take_along_axis(rows, index, axis=1)[:, 0]


def router(
    candidates: Candidates,
    bandit: Bandit,
    *,
    shortlist: int = 3,
    delay: int = 0,
    gossip: GossipTransformation | None = None,
    screening: str = "replies",
    settings: RouterSettings = RouterSettings(),  # noqa: B008
    load_model: LoadModel = DEFAULT_LOAD,
    backend: AgentBackend | None = None,
    truths: ArrayLike | None = None,
) -> Router:
    """Symphony-Coord's router: one task per requester and step, routed by a contextual bandit.

    Args:
        candidates: from :func:`~jaxswarm.coordination.flood_search`.
        bandit: a shared rule on six features, for instance ``bandits.linucb(6)``.
        shortlist: ``L``, from 1 to ``C``.
        delay: steps until a reward is learnt, at least 0.
        gossip: how ``share`` mixes sums; ``None`` keeps requesters isolated.
        screening: ``replies``: a beacon per task, every candidate replies with its present state;
            ``cached``: a beacon once, then screening by the last reported states, and probes to the
            short list only.
        settings: weights and averages.
        load_model: effect of load.
        backend: executes the tasks in place of the world's hidden skills, such as
            ``coordination.host_backend`` of a language model: ``entity`` is the requester,
            ``event`` the step, ``demand`` the task's type (one-hot); success and latency are the
            reply's. Its state starts anew in each step. Regret and the oracle remain those of the
            world's skills.
        truths: ``int32[T, R]``, right answers of the tasks of each step, with a backend; 0 of all
            by default, which suits simulated workers.

    Raises:
        ValueError: naming the argument: ``shortlist`` below 1 or above ``C``, a negative ``delay``,
            an unknown ``screening``, a bandit on other features.
    """
    checks.instance("candidates", candidates, Candidates, "coordination.flood_search(...)")
    workers = checks.wholes("candidates", candidates.worker, shape=(None, None))
    slots = workers.shape[1]
    checks.mask("candidates", candidates.valid, workers.shape)
    shortlist = checks.whole("shortlist", shortlist, 1, slots)
    delay = checks.whole("delay", delay)
    checks.choice("screening", screening, SCREENINGS)
    check_router_settings(settings)
    check_load_model(load_model)
    checks.instance("bandit", bandit, Bandit, "bandits.linucb(6)")
    if gossip is not None:
        require_support(gossip, purpose="the router")
    if backend is not None:
        checks.instance("backend", backend, AgentBackend, "coordination.host_backend(ask, 2, …)")
    if truths is not None:
        checks.wholes("truths", truths, shape=(None, workers.shape[0]))
    shape = jax.eval_shape(bandit.init).moment.shape
    if shape != (FEATURES,):
        raise ValueError(f"bandit: expected a shared rule on {FEATURES} features, got {shape}")
    number = candidates.worker.shape[0]
    rule = no_gossip() if gossip is None else gossip
    setup = _Setup(
        worker=jnp.asarray(candidates.worker),
        valid=jnp.asarray(candidates.valid),
        beacon=jnp.asarray(candidates.messages),
        bandit=bandit,
        shortlist=shortlist,
        delay=delay,
        population=1 if gossip is None else number,
        cached=screening == "cached",
        settings=settings,
        load_model=load_model,
        backend=backend,
        truths=None if truths is None else jnp.asarray(truths),
    )

    def init(world: World) -> RouterState:
        worker = setup.worker
        _check_world(world, workers)
        return RouterState(
            sums=init_pooled(empty_sums(FEATURES, (number,)), rule),
            pending=jax.vmap(lambda _: empty_pending(delay + 1, FEATURES))(jnp.arange(number)),
            latency=jnp.broadcast_to(jnp.asarray(world.pool.latency)[worker], worker.shape),
            reputation=jnp.full(worker.shape, settings.prior),
            cached_load=jnp.zeros(worker.shape),
            load=jnp.zeros(world.pool.num_workers),
        )

    def step(
        key: Key, world: World, state: RouterState, index: int | jax.Array, policy: int | jax.Array
    ) -> tuple[RouterState, RouterInfo]:
        checks.key(key)
        _check_world(world, workers)
        checks.wholes("index", index, shape=())
        checks.wholes("policy", policy, 0, len(POLICIES) - 1, shape=())
        return _step(setup, key, world, state, index, policy)

    def share(key: Key, state: RouterState, index: int | jax.Array) -> tuple[RouterState, Traffic]:
        sums, traffic = exchange_sums(key, state.sums, rule, Exchange(index))
        return state._replace(sums=sums), traffic

    return Router(init, step, share)


def _check_world(world: World, workers: jax.Array | np.ndarray) -> None:
    checks.instance("world", world, World, "symphony_coord.world(pool, match, types=[1.0])")
    size = world.pool.num_workers
    if not checks.is_traced(workers) and np.max(workers, initial=0) >= size:
        raise ValueError(
            f"world: expected at least {np.max(workers) + 1} workers like candidates, got {size}"
        )


def _step(
    setup: _Setup,
    key: Key,
    world: World,
    state: RouterState,
    index: int | jax.Array,
    policy: int | jax.Array,
) -> tuple[RouterState, RouterInfo]:
    success_key, type_key, latency_key, policy_key = (jax.random.fold_in(key, i) for i in range(4))
    ids = jnp.arange(setup.num_requesters)
    events = jnp.broadcast_to(index, ids.shape)
    shocked = jnp.asarray(index >= world.shock)
    state = state._replace(
        load=state.load * setup.load_model.decay,
        cached_load=state.cached_load * setup.load_model.decay,
    )
    kind = draw_types(world, event_uniforms(type_key, ids, events))
    listed = _screen(setup, world, state, kind, shocked)
    keys = event_keys(policy_key, ids, events)
    choice = _choose(setup, world, state, listed, kind, keys, policy)

    worker = choice.of(listed.worker)
    noise = event_normals(latency_key, ids, events)
    latency = latency_of(world.pool, worker, state.load[worker], noise, setup.load_model)
    latency *= jnp.where(shocked, jnp.asarray(world.slowdown_after)[worker], 1.0)
    uniform = event_uniforms(success_key, ids, events)
    success = choice.found & (uniform < choice.of(listed.probability))
    if setup.backend is not None:
        success, latency = ask_backend(
            setup.backend, setup.truths, success_key, world, worker, kind, choice.found, index
        )
    reward = reward_of(setup.settings, world, worker, success, latency)
    reward = jnp.where(choice.found, reward, 0.0)

    learns = jnp.asarray(policy != POLICIES.index("frozen")) | ~shocked
    x = choice.of(listed.features)
    state = _learn(setup, state, x, reward, choice.found, index, learns)
    state = _update_averages(setup, state, listed, choice, worker, success, latency)
    info = RouterInfo(
        success=success.astype(jnp.float32),
        reward=reward,
        regret=step_regret(listed.probability, listed.valid, choice.position),
        worker=jnp.where(choice.found, worker, NO_CANDIDATE),
        type=kind,
        messages=_messages(setup, listed, choice.found, index),
        latency=jnp.where(choice.found, latency, 0.0),
    )
    return state, info


def _screen(
    setup: _Setup, world: World, state: RouterState, kind: jax.Array, shocked: jax.Array
) -> _Shortlist:
    """The ``L`` candidates of highest composite score."""
    worker, valid = setup.worker, setup.valid
    skill = jnp.where(shocked, world.skill_after, world.pool.skill)
    match = jnp.where(shocked, world.match_after, world.match)[worker, kind[:, None]]
    load = state.load[worker]
    known_load = state.cached_load if setup.cached else load
    score = composite_score(setup.settings, match, known_load, state.latency, setup.load_model)
    _, slot = jax.lax.top_k(jnp.where(valid, score, -jnp.inf), setup.shortlist)

    def take(table: jax.Array) -> jax.Array:
        return jnp.take_along_axis(table, slot, axis=1)

    listed = take(worker)
    features = bandit_features(
        take(match), take(load), take(state.latency), take(state.reputation), setup.load_model
    )
    probability = skill[listed, kind[:, None]] * (1.0 - setup.load_model.harm * take(load))
    return _Shortlist(slot, take(valid), listed, take(load), features, probability)


def _choose(
    setup: _Setup,
    world: World,
    state: RouterState,
    listed: _Shortlist,
    kind: jax.Array,
    keys: jax.Array,
    policy: int | jax.Array,
) -> _Choice:
    """Pick from the short list by the scores of the policy, one of :data:`POLICIES`."""
    sums: Ridge = effective_sums(state.sums, setup.population)
    arms = jnp.zeros(setup.shortlist, jnp.int32)
    score = jax.vmap(setup.bandit.score, in_axes=(0, 0, 0, None))(keys, sums, listed.features, arms)
    random = jax.vmap(lambda k: jax.random.uniform(k, (setup.shortlist,)))(keys)
    static = (listed.worker == jnp.asarray(world.static)[kind][:, None]).astype(jnp.float32)
    first = jnp.broadcast_to(-jnp.arange(setup.shortlist, dtype=score.dtype), score.shape)
    table = jnp.stack([score, random, static, score, listed.probability, first])
    position = choose(table[policy], listed.valid)
    return _Choice(position, position != NO_CANDIDATE)


def _learn(
    setup: _Setup,
    state: RouterState,
    x: jax.Array,
    reward: jax.Array,
    found: jax.Array,
    index: int | jax.Array,
    learns: jax.Array,
) -> RouterState:
    """Store this step's dispatches and learn those whose reward is due."""
    due = index + setup.delay
    pending = jax.vmap(
        lambda p, x, r, active: add_dispatch(p, index, x, active=active, reward=r, due=due)
    )(state.pending, x, reward, found)
    pending, arrived = jax.vmap(lambda p: collect_due(p, index))(pending)
    slot = jnp.argmax(arrived, axis=1)  # at most one is due with a fixed delay
    old_x = jnp.take_along_axis(pending.x, slot[:, None, None], axis=1)[:, 0]
    old_reward = jnp.take_along_axis(pending.reward, slot[:, None], axis=1)[:, 0]
    weight = (arrived.any(axis=1) & learns).astype(jnp.float32)
    fresh = jax.vmap(lambda sums, x, r, w: setup.bandit.learn(sums, x, r, 0, w))(
        state.sums.fresh, old_x, old_reward, weight
    )
    return state._replace(sums=state.sums._replace(fresh=fresh), pending=pending)


def _update_averages(
    setup: _Setup,
    state: RouterState,
    listed: _Shortlist,
    choice: _Choice,
    worker: jax.Array,
    success: jax.Array,
    latency: jax.Array,
) -> RouterState:
    """Latency and reputation of the chosen, reported load of the listed, load of the workers."""
    ids = jnp.arange(setup.num_requesters)
    slots = setup.worker.shape[1]
    slot = jnp.where(choice.found, choice.of(listed.slot), slots)

    def averaged(rows: jax.Array, value: jax.Array, decay: float | jax.Array) -> jax.Array:
        old = choice.of(jnp.take_along_axis(rows, listed.slot, axis=1))
        return rows.at[ids, slot].set(decay * old + (1.0 - decay) * value, mode="drop")

    settings = setup.settings
    return state._replace(
        latency=averaged(state.latency, latency, settings.latency_decay),
        reputation=averaged(
            state.reputation, success.astype(jnp.float32), settings.reputation_decay
        ),
        cached_load=state.cached_load.at[ids[:, None], listed.slot].set(listed.load),
        load=add_load(state.load, worker, choice.found, setup.load_model),
    )


def _messages(
    setup: _Setup, listed: _Shortlist, found: jax.Array, index: int | jax.Array
) -> jax.Array:
    """Messages ``float32[R]`` of this step: beacon, replies or probes, dispatch and result."""
    replies = setup.valid.sum(axis=1)
    if not setup.cached:
        return setup.beacon + replies + 2.0 * found
    opening = jnp.where(index == 0, setup.beacon + replies, 0.0)
    return opening + 2 * listed.valid.sum(axis=1) + 2.0 * found
