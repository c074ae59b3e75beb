"""Task graphs, workers, the three backends, random numbers by event, and faults."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from jaxswarm import agents, coordination, models, network
from jaxswarm.coordination import backends

DIAMOND = [(3, 1), (3, 2), (1, 0), (2, 0)]


def request(count, skills=2, **change):
    ids = jnp.arange(count, dtype=jnp.int32)
    made = backends.Request(
        jnp.zeros(count, jnp.int32), ids, jnp.zeros(count, jnp.int32),
        jnp.tile(jnp.eye(skills)[0], (count, 1)), jnp.zeros(count),
        jnp.ones(count, jnp.int32), jnp.ones(count, bool),
    )  # fmt: skip
    return made._replace(**change)


def test_a_task_graph_is_topological_and_measures_agree_with_networkx():
    graph = coordination.task_graph(np.ones((4, 2)), DIAMOND, capacity=6)
    assert not np.triu(graph.parents).any()
    assert graph.mask.sum() == 4
    assert graph.order[0] == 3
    assert graph.order[3] == 0
    assert float(coordination.critical_path(graph)) == 3
    assert int(coordination.graph_width(graph)) == 2
    assert float(coordination.graph_density(graph)) == pytest.approx(
        nx.density(nx.DiGraph(DIAMOND)) * 2
    )
    big = coordination.layered_task(4, 5, 3, fan_in=2, capacity=24, seed=1)
    hosts = nx.DiGraph([(int(j), int(i)) for i, j in np.argwhere(big.parents)])
    assert float(coordination.critical_path(big)) == nx.dag_longest_path_length(hosts) + 1
    durations = np.arange(1.0, 25.0)
    slow = max(
        durations[list(p)].sum() for p in nx.all_simple_paths(hosts, 0, list(range(15, 20)))
    ) if any(nx.all_simple_paths(hosts, 0, list(range(15, 20)))) else 0.0  # fmt: skip
    assert float(coordination.critical_path(big, durations)) >= slow


def test_completed_parents_make_children_ready_until_all_are_completed():
    graph = coordination.task_graph(np.ones((4, 2)), DIAMOND, capacity=6)
    completed, waves = jnp.zeros(6, bool), []
    while bool(coordination.ready_subtasks(graph, completed).any()):
        now = coordination.ready_subtasks(graph, completed)
        waves.append(int(now.sum()))
        completed = completed | now
    assert waves == [1, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((2, 1)), [(0, 1), (1, 0)]), "no cycle"),
        ((np.ones((2, 1)), [(0, 2)]), "two of 2 subtasks"),
        ((np.ones((2, 1)), [(0, 0)]), "two of 2 subtasks"),
        ((np.ones((2, 1)), [(0, 1), (0, 1)]), "given twice"),
        ((np.zeros((2, 1)), []), "row 0 is zero"),
        ((np.full((2, 1), np.nan), []), "finite"),
    ],
)
def test_bad_tasks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        coordination.task_graph(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"skill": [[1.5]]}, "skill"),
        ({"error_mix": [0.5, 0.5, 0.5, 0.5]}, "error_mix"),
        ({"latency": -1.0}, "latency"),
        ({"window": np.ones(3)}, "window"),
        ({"price": np.nan}, "price"),
        ({"link": "probit"}, "link"),
    ],
)
def test_bad_workers_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        coordination.workers(**({"skill": [[0.5]]} | change))


@pytest.mark.slow
def test_stochastic_workers_follow_their_rates_and_schedulers_share_random_numbers():
    pool = coordination.workers(
        [[0.7, 0.1], [0.2, 0.1]], error_mix=[0.5, 0.3, 0.0, 0.2], window=[100.0, 100.0]
    )
    backend = coordination.stochastic_backend(pool, num_answers=4)
    answer = jax.jit(backend.answer)
    n, key = 4000, jax.random.key(0)
    _, first = answer(key, backend.init(), request(n))
    _, other = answer(key, backend.init(), request(n, worker=jnp.ones(n, jnp.int32)))
    right, poor = first.answer == 1, other.answer == 1
    assert float(right.mean()) == pytest.approx(0.7, abs=0.03)
    assert not bool(
        (poor & ~right).any()
    )  # with equal random numbers a weaker worker fails a superset
    shares = np.bincount(np.asarray(first.error[~right]), minlength=4) / int((~right).sum())
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.0, 0.2], atol=0.06)
    order = jax.random.permutation(jax.random.key(1), n)
    _, mixed = answer(key, backend.init(), jax.tree.map(lambda x: x[order], request(n)))
    np.testing.assert_array_equal(mixed.answer, first.answer[order])
    _, long = answer(key, backend.init(), request(n, context=jnp.full(n, 200.0)))
    assert float((long.error == 2).mean()) == pytest.approx(0.5, abs=0.04)
    np.testing.assert_allclose(long.tokens_in, 100.0)


def test_load_slows_and_decays_and_dead_workers_do_not_answer():
    pool = coordination.workers([[0.9], [0.9]])
    backend = coordination.stochastic_backend(pool)
    state = backend.init()._replace(alive=jnp.array([True, False]))
    calls = request(3, skills=1, worker=jnp.array([0, 0, 1]))
    state, reply = backend.answer(jax.random.key(0), state, calls)
    np.testing.assert_allclose(state.load, [0.6, 0.0], rtol=1e-6)
    assert [coordination.STATUSES[s] for s in reply.status] == ["ok", "ok", "failed"]
    assert reply.answer[2] == -1
    _, slow = backend.answer(jax.random.key(0), state, calls)
    assert float(slow.latency[0] / reply.latency[0]) == pytest.approx(1.72, rel=1e-4)
    np.testing.assert_allclose(coordination.decay_load(state).load, [0.528, 0.0], rtol=1e-6)


def test_a_learned_worker_answers_by_its_network():
    module = models.mlp(8, 3)
    params = module.init(jax.random.key(0), jnp.zeros((1, 2)))
    params = agents.broadcast(params, 4)
    backend = coordination.network_backend(module, params, 4)
    _, reply = jax.jit(backend.answer)(jax.random.key(1), backend.init(), request(6))
    assert ((reply.answer >= 0) & (reply.answer < 3)).all()
    assert (reply.status == backends.OK).all()


def test_a_host_worker_is_validated_recorded_and_replayed(tmp_path):
    def ask(call):
        assert set(call) == {"worker", "entity", "event", "demand", "context"}  # never the truth
        replies = [
            {"answer": 2, "confidence": 0.5, "latency": 10.0},
            {"answer": 9},
            {"answer": 0, "latency": 1e9},
            {"answer": 0, "tokens_out": float("nan")},
        ]
        if call["entity"] == 4:
            raise TimeoutError("gone")
        return replies[call["entity"]]

    recording = coordination.Recording()
    calls = request(6, active=jnp.arange(6) < 5)
    reply = coordination.host_worker(ask, num_answers=3, recording=recording, timeout=1e6)(calls)
    statuses = [coordination.STATUSES[s] for s in reply.status]
    assert statuses == ["ok", "invalid", "timed out", "invalid", "failed", "empty"]
    recording.save(tmp_path / "replies.jsonl")
    again = coordination.host_worker(
        None, num_answers=3, recording=coordination.Recording.load(tmp_path / "replies.jsonl")
    )
    jax.tree.map(np.testing.assert_array_equal, again(calls), reply)
    with pytest.raises(ValueError, match="is not recorded"):
        again(calls._replace(event=jnp.ones(6, jnp.int32)))
    with pytest.raises(ValueError, match="already"):
        coordination.host_worker(ask, num_answers=3, recording=recording)(calls)
    (tmp_path / "bad.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match="line 1"):
        coordination.Recording.load(tmp_path / "bad.jsonl")


def test_a_fault_plan_becomes_tables():
    plan = network.fault_plan([(2, "crash", 0), (3, "rest", 1), (4, "recover", 0)], 2)
    tables = coordination.availability(plan, 5)
    np.testing.assert_array_equal(tables.alive[:, 0], [1, 1, 0, 0, 1])
    np.testing.assert_array_equal(tables.alive[:, 1], 1)
    np.testing.assert_array_equal(tables.working[:, 1], [1, 1, 1, 0, 0])
    with pytest.raises(ValueError, match="rounds"):
        coordination.availability(plan, 0)


def test_events_need_integers():
    with pytest.raises(ValueError, match="entities"):
        coordination.event_keys(jax.random.key(0), 0.5, 1)
