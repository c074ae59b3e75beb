"""Network processes: properties of all of them first, then those of each."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import gossip, learning, network, topology
from jaxswarm.network.links import link_uniforms

N = 12
GRAPH = topology.random_regular(N, 4, seed=1)
E = GRAPH.num_edge_slots
HALVES = np.arange(N) < N // 2
VICTIMS = jnp.arange(N) < 3

PROCESSES = {
    "reliable": network.reliable,
    "loss": lambda: network.link_loss(GRAPH, 0.3),
    "symmetric loss": lambda: network.link_loss(GRAPH, 0.3, symmetric=True),
    "partition": lambda: network.partitioned(GRAPH, HALVES, 3, 7),
    "churn": lambda: network.churn(N, crash=0.1, recover=0.4, leave=0.1, join=0.2),
    "disaster": lambda: network.disaster(VICTIMS, 4),
    "passing disaster": lambda: network.disaster(VICTIMS, 4, duration=3),
    "stragglers": lambda: network.stragglers(np.linspace(0.2, 1.0, N)),
    "random stragglers": lambda: network.stragglers(np.linspace(0.2, 1.0, N), random=True),
    "sample": lambda: network.sampled(N, 5),
    "sample of the alive": lambda: network.sampled(N, 5, among=network.churn(N, crash=0.2)),
    "all together": lambda: network.combine(
        network.link_loss(GRAPH, 0.2),
        network.sampled(N, 5, among=network.churn(N, crash=0.1, recover=0.3)),
        network.partitioned(GRAPH, HALVES, 2),
        network.disaster(VICTIMS, 5, duration=2),
    ),
}
SYMMETRIC = set(PROCESSES) - {"loss", "all together"}


def play(process, rounds, key):
    def body(state, index):
        return process.step(jax.random.fold_in(key, index), state, index)

    return jax.lax.scan(body, process.init(), jnp.arange(rounds))[1]


@pytest.fixture(scope="module")
def played():
    key = jax.random.key(3)
    return {name: play(make(), 20, key) for name, make in PROCESSES.items()}


@pytest.mark.parametrize("name", PROCESSES)
def test_rounds_have_flags_of_the_right_shape_or_none(name, played):
    rounds = played[name]
    assert np.array_equal(rounds.index, np.arange(20))
    sizes = {"alive": N, "participates": N, "delivered": E}
    for field, size in sizes.items():
        flags = getattr(rounds, field)
        assert flags is None or (flags.shape == (20, size) and flags.dtype == bool)


@pytest.mark.parametrize("name", sorted(set(PROCESSES) - {"reliable"}))
def test_a_recorded_plan_replays_bit_for_bit(name, played):
    plan = network.record(PROCESSES[name](), 20, jax.random.key(3))
    again = network.FaultPlan.from_dict(json.loads(json.dumps(plan.to_dict())))
    for each in (plan, again):
        replayed = play(network.replay(each), 20, jax.random.key(99))
        assert jax.tree.structure(replayed) == jax.tree.structure(played[name])
        for a, b in zip(jax.tree.leaves(replayed), jax.tree.leaves(played[name]), strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)


@pytest.mark.parametrize("name", PROCESSES)
def test_which_stochasticity_survives(name, played):
    push = gossip.mixing(GRAPH, "push")
    doubly = gossip.mixing(GRAPH)
    columns_broken = False
    for t in range(20):
        now = jax.tree.map(lambda x, t=t: x[t], played[name])
        matrix = np.asarray(gossip.current_operator(doubly, jax.random.key(0), now).dense())
        assert np.allclose(matrix.sum(axis=1), 1.0, atol=1e-5)
        columns = np.allclose(matrix.sum(axis=0), 1.0, atol=1e-5)
        columns_broken |= not columns
        assert columns or name not in SYMMETRIC
        sums = np.asarray(gossip.current_operator(push, jax.random.key(0), now).dense()).sum(axis=0)
        assert np.allclose(sums, 1.0, atol=1e-5)
    assert columns_broken == (name not in SYMMETRIC)


def test_streams_do_not_depend_on_padding(key):
    small = play(network.churn(N, crash=0.2, recover=0.2), 10, key).alive
    large = play(network.churn(2 * N, crash=0.2, recover=0.2), 10, key).alive
    assert np.array_equal(small, large[:, :N])
    longer = topology.path(2 * N)
    shorter = topology.path(N)
    inside = (np.asarray(longer.senders) < N) & (np.asarray(longer.receivers) < N)
    assert np.array_equal(link_uniforms(key, longer)[inside], link_uniforms(key, shorter))


def test_sampling_ignores_padding_that_is_not_alive(key):
    there = network.sampled(2 * N, 4, among=network.disaster(jnp.arange(2 * N) >= N, 0))
    assert np.array_equal(
        play(there, 10, key).participates[:, :N],
        play(
            network.sampled(N, 4, among=network.disaster(jnp.zeros(N, bool), 0)), 10, key
        ).participates,
    )


def test_losses_have_the_asked_for_rate(key):
    delivered = play(network.link_loss(GRAPH, 0.25), 400, key).delivered
    assert abs(float(jnp.mean(delivered)) - 0.75) < 4 * np.sqrt(0.25 * 0.75 / delivered.size)
    rates = jnp.linspace(0.0, 1.0, 5)
    mean = jax.vmap(lambda p: jnp.mean(play(network.link_loss(GRAPH, p), 50, key).delivered))(rates)
    assert float(mean[0]) == 1.0
    assert float(mean[-1]) == 0.0
    assert np.all(np.diff(mean) < 0)


def test_symmetric_loss_takes_both_directions(key):
    delivered = play(network.link_loss(GRAPH, 0.4, symmetric=True), 10, key).delivered
    back = topology.reverse_slots(GRAPH)
    assert np.array_equal(delivered, delivered[:, back])


def test_loss_over_a_sequence_of_graphs_follows_the_links(key):
    sequence = topology.stack([topology.ring(6), topology.path(6)])
    delivered = play(network.link_loss(sequence, 0.5), 4, key).delivered
    expected = link_uniforms(jax.random.fold_in(key, 3), sequence[1]) >= 0.5
    assert np.array_equal(delivered[3], expected)


def test_churn_reaches_the_stationary_share(key):
    process = network.churn(500, crash=0.1, recover=0.2, leave=0.05, join=0.1)
    alive = play(process, 300, key).alive[50:]
    assert abs(float(jnp.mean(alive)) - 0.5) < 0.02


def test_churn_distinguishes_leaving_from_crashing(key):
    process = network.churn(N, leave=1.0, join=0.0)
    state, now = process.step(key, process.init(), 0)
    assert not now.alive.any()
    assert (state.status == network.AWAY).all()
    late = network.churn(N, present=np.arange(N) < 4)
    assert late.step(key, late.init(), 0)[1].alive.sum() == 4


def test_disasters_begin_and_end_on_time(key):
    alive = play(network.disaster(VICTIMS, 4, duration=3), 10, key).alive
    assert np.array_equal(alive[:, 0], [True] * 4 + [False] * 3 + [True] * 3)
    assert alive[:, 3:].all()
    assert not play(network.disaster(VICTIMS, 4), 10, key).alive[4:, :3].any()


def test_victims_by_degree_by_data_and_at_random(key):
    star = topology.star(10)
    assert np.flatnonzero(network.hubs(star, 0.1)).tolist() == [0]
    counts = np.array([3, 9, 1, 7])
    assert np.flatnonzero(network.data_holders(counts, 0.5)).tolist() == [1, 3]
    assert int(network.random_victims(key, 10, 0.3).sum()) == 3


def test_partitions_cut_only_between_groups_and_heal(key):
    delivered = np.asarray(play(network.partitioned(GRAPH, HALVES, 3, 7), 10, key).delivered)
    crossing = HALVES[GRAPH.senders] != HALVES[GRAPH.receivers]
    during = np.zeros((10, 1), bool)
    during[3:7] = True
    assert np.array_equal(delivered, ~(crossing & during))


def test_stragglers_take_part_in_proportion_to_their_speed(key):
    speeds = np.array([1.0, 0.5, 0.25, 0.1, 0.3])
    rounds = play(network.stragglers(speeds), 100, key).participates
    assert np.array_equal(rounds.sum(axis=0), [100, 50, 25, 10, 30])
    shifted = play(network.stragglers(speeds, phases=np.full(5, 0.5)), 2, key).participates
    assert shifted[0, 1]
    chance = play(network.stragglers(speeds, random=True), 400, key).participates
    assert np.all(np.abs(chance.mean(axis=0) - speeds) < 0.1)


def test_samples_have_the_asked_for_size_and_are_fair(key):
    chosen = play(network.sampled(N, 5), 600, key).participates
    assert (chosen.sum(axis=1) == 5).all()
    assert np.all(np.abs(chosen.mean(axis=0) - 5 / N) < 5 * np.sqrt(5 / N * 7 / N / 600))


def test_samples_come_from_the_alive_and_shrink_with_them(key):
    dead = jnp.arange(N) >= 3
    few = play(network.sampled(N, 5, among=network.disaster(dead, 1)), 3, key)
    assert (few.participates.sum(axis=1) == jnp.array([5, 3, 3])).all()
    assert not (few.participates & ~few.alive).any()


def test_combine_is_the_conjunction_and_keeps_the_draws_of_the_first(key):
    first, second = network.link_loss(GRAPH, 0.3), network.partitioned(GRAPH, HALVES, 2)
    both = play(network.combine(first, second), 6, key)
    alone = play(network.combine(first), 6, key)
    cut = play(second, 6, key)
    assert np.array_equal(both.delivered, alone.delivered & cut.delivered)
    assert both.alive is None


def test_delays_are_reproducible_bounded_and_symmetric_on_demand(key):
    uniform = network.uniform_delays(key, GRAPH, 1, 3, symmetric=True)
    assert set(uniform.tolist()) == {1, 2, 3}
    assert np.array_equal(uniform, uniform[np.asarray(topology.reverse_slots(GRAPH))])
    many = topology.complete(60)
    geometric = network.geometric_delays(key, many, 2.0, 100)
    assert abs(geometric.mean() - 2.0) < 0.2
    assert network.geometric_delays(key, many, 2.0, 1).max() == 1
    line = topology.path(3)
    where = np.array([[0.0], [1.0], [4.0]])
    assert network.distance_delays(line, where, 1.0).tolist() == [1, 1, 3, 3]


def test_a_learner_runs_in_a_bad_network(key):
    import optax

    world = PROCESSES["all together"]()
    learner = learning.decentralized(
        lambda p, b: jnp.sum(jnp.square(p - b)),
        local=optax.sgd(0.1),
        gossip=gossip.averaging(gossip.mixing(GRAPH)),
        network=world,
    )
    state = learner.init(jnp.zeros((N, 2)))
    step = jax.jit(learner.step)
    for r in range(3):
        state, _ = step(jax.random.fold_in(key, r), state, jnp.ones((N, 2)))
    assert np.isfinite(state.params).all()
    assert float(state.params.max()) > 0


EVENTS = [(3, "crash", 2), (5, "recover", 2), (1, "rest", 0), (2, "cut", (0, 1))]


def test_plans_from_events_replay_the_events(key):
    ring = topology.ring(4)
    plan = network.fault_plan(EVENTS, 4, ring)
    rounds = play(network.replay(plan), 7, key)
    assert rounds.alive[:, 2].tolist() == [True] * 3 + [False] * 2 + [True] * 2
    assert not rounds.participates[1:, 0].any()
    slot = [(s, r) for s, r in zip(ring.senders, ring.receivers, strict=True)].index((0, 1))
    assert not rounds.delivered[2:, slot].any()
    assert rounds.delivered.sum() == 7 * 8 - 5
    assert plan.events()[0] == (1, "rest", 0)
    assert len(plan.events()) == 4
    quiet = network.replay(network.fault_plan([], 4))
    assert quiet.step(key, quiet.init(), 0)[1].alive is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: network.link_loss(GRAPH, 1.5), "probability"),
        (lambda: network.link_loss(GRAPH, float("nan")), "probability"),
        (lambda: network.link_loss(GRAPH, np.zeros(3)), "probability"),
        (lambda: network.link_loss(topology.directed_ring(5), 0.1, symmetric=True), "undirected"),
        (lambda: network.partitioned(GRAPH, [0, 1], 3), "groups"),
        (lambda: network.partitioned(GRAPH, HALVES, 3, 3), "heals"),
        (lambda: network.partitioned(GRAPH, HALVES, -1), "at"),
        (lambda: network.link_loss(3, 0.1), "topology: expected a Topology .* got int"),
        (lambda: network.hubs("ring", 0.1), "topology: expected a Topology .* got str"),
        (lambda: network.churn(0), "num_agents"),
        (lambda: network.churn(3, crash=0.7, leave=0.7), "crash"),
        (lambda: network.churn(3, join=-0.1), "join"),
        (lambda: network.churn(3, present=[1, 0, 1]), "present"),
        (lambda: network.disaster(jnp.ones(4, bool), 1), "survivor"),
        (lambda: network.disaster(jnp.ones(4), 1), "victims"),
        (lambda: network.disaster(VICTIMS, -1), "at"),
        (lambda: network.disaster(VICTIMS, 1, duration=0), "duration"),
        (lambda: network.random_victims(jax.random.key(0), 4, 1.0), "share"),
        (lambda: network.hubs(GRAPH, -0.1), "share"),
        (lambda: network.data_holders([1, 2], 0.9), "survivor"),
        (lambda: network.stragglers([0.5, 0.0]), "speeds"),
        (lambda: network.stragglers(0.5), "speeds"),
        (lambda: network.sampled(4, 5), "count"),
        (lambda: network.sampled(4, 0), "count"),
        (lambda: network.combine(network.reliable(), 3), r"processes\[1\]"),  # type: ignore[arg-type]
        (lambda: network.record(network.reliable(), 3, jax.random.key(0)), "reliable"),
        (lambda: network.record(network.churn(3), 0, jax.random.key(0)), "rounds"),
        (lambda: network.fault_plan([(0, "crash", 4)], 4), "unknown entity"),
        (lambda: network.fault_plan([(0, "cut", (0, 2))], 4, topology.ring(4)), "unknown entity"),
        (lambda: network.fault_plan([(0, "cut", 0)], 4), "unknown entity"),
        (lambda: network.fault_plan([(0, "crush", 0)], 4), "did you mean 'crash'"),
        (lambda: network.fault_plan([(-1, "crash", 0)], 4), "round of at least 0"),
        (
            lambda: network.fault_plan([(0, "crash", 1), (0, "join", 1)], 4),
            "one event per entity and round",
        ),
        (lambda: network.fault_plan([(0, "crash", 1)], 4, topology.ring(5)), "topology"),
        (lambda: network.FaultPlan.from_dict({"time": []}), "missing"),
        (lambda: network.uniform_delays(jax.random.key(0), GRAPH, 3, 1), "high"),
        (lambda: network.geometric_delays(jax.random.key(0), GRAPH, -1.0, 3), "mean"),
        (lambda: network.distance_delays(GRAPH, np.zeros((N, 2)), 0.0), "speed"),
        (lambda: network.distance_delays(GRAPH, np.zeros((3, 2)), 1.0), "positions"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_processes_of_different_size_do_not_combine(key):
    process = network.combine(network.churn(3), network.churn(4))
    with pytest.raises(ValueError, match="alive"):
        process.step(key, process.init(), 0)
    process = network.sampled(4, 2, among=network.churn(3))
    with pytest.raises(ValueError, match="among"):
        process.step(key, process.init(), 0)
