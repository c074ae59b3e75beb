"""Symphony-Coord: flooding, one step against a slow oracle, delayed feedback, bad input."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from jaxswarm import coordination, gossip, topology
from jaxswarm.coordination import bandits
from jaxswarm.systems import symphony_coord

SKILL = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.3, 0.3]])


def small_world(**change):
    pool = coordination.workers(SKILL, latency=[300.0, 600.0, 900.0, 1200.0])
    return symphony_coord.world(pool, np.clip(SKILL + 0.05, 0, 1), types=[0.5, 0.5], **change)


def requesters(count=3, workers=4):
    graph = topology.complete(count + workers)
    return coordination.flood_search(graph, range(count), range(count, count + workers))


def run(route, world, steps, policy=0, seed=0):
    def body(state, index):
        return route.step(jax.random.key(seed), world, state, index, policy)

    return jax.jit(lambda w: jax.lax.scan(body, route.init(w), jnp.arange(steps)))(world)


def run_all(route, world, steps):
    def run_policy(policy):
        def body(state, index):
            return route.step(jax.random.key(0), world, state, index, policy)

        return jax.lax.scan(body, route.init(world), jnp.arange(steps))

    return jax.jit(jax.vmap(run_policy))(jnp.arange(len(symphony_coord.POLICIES)))


@pytest.fixture(scope="module")
def sharing():
    """Twelve steps with all options at once: delay, gossip and cached screening."""
    found = requesters()
    rule = gossip.averaging(gossip.complete_mean(3))
    route = symphony_coord.router(
        found, bandits.linucb(6), delay=5, screening="cached", gossip=rule
    )
    return found, route, *run(route, small_world(), 12)


def test_a_request_reaches_the_workers_that_networkx_finds():
    graph = topology.watts_strogatz(20, 4, 0.3, seed=2)
    hosts = topology.to_networkx(graph)
    for ttl in (0, 1, 2, 3):
        found = coordination.flood_search(graph, range(20), range(20), ttl=ttl)
        for node in range(20):
            near = nx.single_source_shortest_path_length(hosts, node, cutoff=ttl)
            got = found.worker[node][found.valid[node]]
            assert set(got.tolist()) == set(near) - {node}
            relays = sum(hosts.degree(j) for j, hops in near.items() if hops < ttl)
            assert found.messages[node] == relays
    few = coordination.flood_search(graph, range(20), range(20), ttl=2, slots=3)
    assert (few.dropped == found_beyond(graph, 3)).all()


def found_beyond(graph, slots):
    return coordination.flood_search(graph, range(20), range(20), ttl=2).valid.sum(1) - slots


@pytest.mark.slow
def test_a_requester_without_candidates_gets_no_worker_and_no_success():
    graph = topology.from_edges([(0, 1)], 3)
    found = coordination.flood_search(graph, [0, 2], [1])
    route = symphony_coord.router(found, bandits.linucb(6), shortlist=1)
    pool = coordination.workers([[1.0]])
    state, info = run(route, symphony_coord.world(pool, [[1.0]], types=[1.0]), 5)
    np.testing.assert_allclose(info.messages, [[2 + 1 + 2, 0]] * 5)  # out and relayed back, a reply
    assert (np.asarray(info.worker) == [[0, -1]]).all()
    assert (info.success[:, 1] == 0).all()
    np.testing.assert_allclose(state.sums.fresh.count, [5, 0])


@pytest.mark.slow
def test_rewards_are_learnt_after_the_delay(sharing):
    _, _, state, _ = sharing
    np.testing.assert_allclose(state.sums.fresh.count, 7)
    assert (state.pending.overflow == 0).all()
    assert (state.pending.refused == 0).all()


def test_one_step_equals_a_slow_reference():
    found, world, key = requesters(), small_world(), jax.random.key(3)
    route = symphony_coord.router(found, bandits.linucb(6))
    state = route.init(world)._replace(load=jnp.array([0.9, 0.1, 0.0, 0.5]))
    _, info = jax.jit(route.step)(key, world, state, 4, symphony_coord.POLICIES.index("oracle"))
    success = coordination.event_uniforms(jax.random.fold_in(key, 0), np.arange(3), 4)
    types = coordination.event_uniforms(jax.random.fold_in(key, 1), np.arange(3), 4)
    load = 0.88 * np.array([0.9, 0.1, 0.0, 0.5])
    latency = np.array([300.0, 600.0, 900.0, 1200.0])
    for r in range(3):
        kind = int(types[r] >= 0.5)
        stable = 0.4 * (1 - load) + 0.4 * (1 - latency / 2000) + 0.2 * (load < 0.95)
        score = 0.5 * (SKILL[:, kind] + 0.05) + 0.35 * 0.5 + 0.15 * stable
        listed = np.argsort(-score)[:3]
        chance = SKILL[:, kind] * (1 - 0.05 * load)
        want = listed[np.argmax(chance[listed])]
        assert int(info.worker[r]) == want
        assert float(info.success[r]) == float(success[r] < chance[want])
        assert float(info.regret[r]) == 0.0


@pytest.mark.slow
def test_frozen_learns_nothing_after_the_shock_and_policies_share_tasks():
    world, found = small_world(shock=6), requesters()
    route = symphony_coord.router(found, bandits.linucb(6))
    state, info = run_all(route, world, 12)
    for i, name in enumerate(symphony_coord.POLICIES):
        np.testing.assert_allclose(state.sums.fresh.count[i], 6 if name == "frozen" else 12)
        np.testing.assert_array_equal(info.type[i], info.type[0])


@pytest.mark.slow
def test_full_averaging_makes_equal_routers(sharing):
    _, route, state, _ = sharing
    state, traffic = route.share(jax.random.key(0), state, 12)
    known = bandits.effective_sums(state.sums, 3)
    np.testing.assert_allclose(known.count, 21, rtol=1e-5)
    np.testing.assert_allclose(known.gram[0], known.gram[2], rtol=1e-4)
    assert float(traffic.messages) > 0


def test_cached_screening_probes_the_short_list_only(sharing):
    found, _, _, info = sharing
    np.testing.assert_allclose(info.messages[0], found.messages + 4 + 2 * 3 + 2)
    np.testing.assert_allclose(info.messages[1:], 2 * 3 + 2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: symphony_coord.router(requesters(), bandits.linucb(6), shortlist=0), "shortlist"),
        (lambda: symphony_coord.router(requesters(), bandits.linucb(6), shortlist=5), "shortlist"),
        (lambda: symphony_coord.router(requesters(), bandits.linucb(6), delay=-1), "delay"),
        (lambda: symphony_coord.router(requesters(), bandits.linucb(5)), "bandit"),
        (
            lambda: symphony_coord.router(requesters(), bandits.linucb(6), screening="x"),
            "screening",
        ),
        (lambda: coordination.flood_search(topology.ring(4), [0], [1], ttl=-1), "ttl"),
        (lambda: coordination.flood_search(topology.ring(4), [0], [4]), "workers"),
        (lambda: coordination.flood_search(topology.ring(4), [0, 0], [1]), "requesters"),
        (lambda: coordination.flood_search(topology.ring(4), [0], [1], slots=0), "slots"),
        (lambda: small_world(skill_after=SKILL + 1), "skill_after"),
        (lambda: small_world(static=[0, 9]), "static"),
    ],
)
def test_bad_input_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()
