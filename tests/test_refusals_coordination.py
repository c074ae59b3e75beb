"""Wrong arguments of coordination meet an error that names the argument."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import refusals

from jaxswarm import coordination, models, network, topology

NAN, INF = refusals.NAN, refusals.INF
KEY = jax.random.key(0)
POOL = coordination.workers([[0.9, 0.1], [0.2, 0.8]])
GRAPH = coordination.task_graph(np.ones((3, 2)), [(0, 1), (1, 2)])
PLAN = network.fault_plan([(3, "crash", 0)], 2)
QUEUES = coordination.empty_queues(2, 4, jnp.int32(0))
ONE = jnp.zeros(1, jnp.int32)
LOAD = coordination.LoadModel
LOADS = [3, "x", None, *(LOAD(**{field: NAN}) for field in LOAD._fields), LOAD(decay=2.0)]
WORKERS = [[0.5], [2], [-2], "x", None, [True], [[0, 1]]]
X = np.ones(3, np.float32)
TIMES = [NAN, "x", None, 1j]
HOST = coordination.host_worker(lambda call: {"answer": 0}, num_answers=2)
HOST_BACKEND = coordination.host_backend(lambda call: {"answer": 0}, 2, num_answers=2)
REQUEST = coordination.Request(
    ONE, ONE, ONE, jnp.ones((1, 2)), jnp.zeros(1), ONE, jnp.ones(1, bool)
)
BACKEND = coordination.stochastic_backend(POOL)
CALLS = [3, "x", REQUEST._replace(worker=ONE + 2), REQUEST._replace(worker=jnp.full(1, 0.5))]

COORDINATION = {
    "availability": (
        coordination.availability,
        {"plan": PLAN, "rounds": 3},
        {"plan": "thing", "rounds": "size"},
    ),
    "flood_search": (
        coordination.flood_search,
        {"topology": topology.ring(6), "requesters": [0], "workers": [1, 3]},
        {
            "topology": "thing",
            "requesters": [*refusals.BAD["indices"], [], [0, 0]],
            "workers": [*refusals.BAD["indices"], [], [1, 1]],
            "ttl": "count",
            "slots": "optional",
        },
    ),
    "workers": (
        coordination.workers,
        {"skill": [[0.5]]},
        {
            "skill": [[[NAN]], [[1.5]], [0.5], "x", None, [[1j]], [[]]],
            "error_mix": [[0.5] * 4, [NAN] * 4, "x"],
            "latency": "positive",
            "tokens": "positive",
            "window": "positive",
            "price": "nonnegative",
            "link": "name",
        },
    ),
    "add_load": (
        coordination.add_load,
        {"load": jnp.zeros(2), "worker": ONE, "active": np.ones(1, bool)},
        {
            "load": ["x", 3.0, None],
            "worker": WORKERS,
            "active": [np.ones(2, bool), np.ones(1), "x"],
        },
    ),
    "success_probability": (
        coordination.success_probability,
        {"pool": POOL, "worker": ONE, "demand": np.ones((1, 2)), "load": np.zeros(1)},
        {"pool": "thing", "worker": WORKERS, "demand": [X, "x", None], "load": [X, "x", None]},
    ),
    "latency_of": (
        coordination.latency_of,
        {"pool": POOL, "worker": ONE, "load": np.zeros(1), "noise": np.zeros(1)},
        {"pool": "thing", "worker": WORKERS, "load": [X, "x", None], "noise": [X, "x", None]},
    ),
    "stochastic_backend": (
        coordination.stochastic_backend,
        {"pool": POOL},
        {
            "pool": "thing",
            "num_answers": [1, *refusals.BAD["size"]],
            "load_model": LOADS,
            "timeout": [0.0, -1.0, NAN, "x"],
        },
    ),
    "network_backend": (
        coordination.network_backend,
        {"module": models.mlp(4, 2), "params": {"w": np.ones((2, 3))}, "num_workers": 2},
        {
            "module": "thing",
            "params": [{"w": np.ones(3)}, {"w": "x"}],
            "num_workers": "size",
            "latency": "nonnegative",
            "tokens": "nonnegative",
        },
    ),
    "decay_load": (
        coordination.decay_load,
        {"state": BACKEND.init()},
        {"state": "thing", "load_model": LOADS},
    ),
    "answer": (
        BACKEND.answer,
        {"key": KEY, "state": BACKEND.init(), "request": REQUEST},
        {"key": "key", "request": CALLS[:2]},
    ),
    "host_worker": (
        coordination.host_worker,
        {"ask": lambda call: {"answer": 0}, "num_answers": 2},
        {
            "ask": [None, 3, "x"],
            "num_answers": "size",
            "recording": [3, "x"],
            "timeout": [0.0, -1.0, NAN, "x", None],
            "max_concurrency": "size",
        },
    ),
    "host_backend": (
        coordination.host_backend,
        {"ask": lambda call: {"answer": 0}, "num_workers": 2, "num_answers": 2},
        {
            "ask": [None, 3, "x"],
            "num_workers": "size",
            "num_answers": "size",
            "recording": [3, "x"],
            "timeout": [0.0, -1.0, NAN, "x", None],
            "max_concurrency": "size",
        },
    ),
    "host_answer": (
        HOST_BACKEND.answer,
        {"key": KEY, "state": HOST_BACKEND.init(), "request": REQUEST},
        {"key": "key", "request": CALLS[:2]},
    ),
    "host": (HOST, {"request": REQUEST}, {"request": CALLS[:2]}),
    "validated_reply": (
        coordination.validated_reply,
        {"reply": {"answer": 0}, "num_answers": 2},
        {"num_answers": "size", "timeout": [0.0, NAN, "x"]},
    ),
    **{
        name: (
            getattr(coordination, name),
            {"key": KEY, "entities": [1, 2], "events": 0},
            {
                "key": "key",
                "entities": [0.5, [NAN], "x", None, 2**40, True],
                "events": [0.5, [NAN], "x", None, 2**40, True, [1, 2, 3]],
            },
        )
        for name in ("event_keys", "event_uniforms", "event_normals")
    },
    "role_information": (
        coordination.role_information,
        {"worker": [0, 1], "kind": [0, 1], "num_workers": 2, "num_types": 2},
        {
            "worker": [[0.5, 1], [0, 9], [NAN, 1], "x", None],
            "kind": [[0.5, 1], [0, 9], [-1, 0], "x", [0]],
            "num_workers": "size",
            "num_types": "size",
        },
    ),
    "empty_queues": (
        coordination.empty_queues,
        {"num_queues": 2, "capacity": 3, "message": 0},
        {"num_queues": "size", "capacity": "size"},
    ),
    "push": (
        coordination.push,
        {"queues": QUEUES, "owner": ONE, "messages": ONE, "active": np.ones(1, bool)},
        {
            "queues": "thing",
            "owner": [[9], [-1], [-2], [0.5], "x", None, 0],
            "messages": [[1], {"a": ONE}, jnp.zeros(2, int), jnp.full(1, 0.5)],
            "active": [np.ones(2, bool), np.ones(1), "x"],
            "due": [NAN, "x", [1.0, 2.0]],
        },
    ),
    "pop": (
        coordination.pop,
        {"queues": QUEUES, "now": 0.0},
        {
            "queues": "thing",
            "now": TIMES,
            "count": [-1, 0.5, NAN, "x", 9, [1, 1, 1]],
            "most": [0, 9, 2.5, NAN, "x"],
        },
    ),
    "task_graph": (
        coordination.task_graph,
        {"demand": np.ones((3, 2)), "edges": [(0, 1)]},
        {
            "demand": [[[NAN]], [1.0], "x", None, [[-1.0]], np.zeros((2, 1)), [[1j]]],
            "edges": [
                [(0, 0.5)],
                [(0, 9)],
                [(0, 0)],
                [(0, NAN)],
                [("a", "b")],
                3,
                "x",
                [(0, 1, 2)],
                [3],
            ],
            "capacity": [2, 2.5, NAN, "x", -1],
        },
    ),
    "layered_task": (
        coordination.layered_task,
        {"depth": 2, "width": 2, "num_skills": 1},
        {
            "depth": "size",
            "width": "size",
            "num_skills": "size",
            "fan_in": [3, *refusals.BAD["size"]],
            "capacity": [2, 2.5, NAN, "x"],
            "seed": "seed",
        },
    ),
    "ready_subtasks": (
        coordination.ready_subtasks,
        {"graph": GRAPH, "completed": np.zeros(3, bool)},
        {"graph": "thing", "completed": [np.zeros(4, bool), np.zeros(3), "x", None]},
    ),
    "critical_path": (
        coordination.critical_path,
        {"graph": GRAPH},
        {"graph": "thing", "durations": [np.ones(2), np.full(3, NAN), -np.ones(3), "x"]},
    ),
    **{
        name: (getattr(coordination, name), {"graph": GRAPH}, {"graph": "thing"})
        for name in ("num_subtasks", "graph_width", "graph_density")
    },
}


@pytest.mark.parametrize("name", COORDINATION)
def test_wrong_arguments_are_refused_by_name(name):
    assert refusals.refusals(COORDINATION, name) == []


def test_every_public_function_is_tried():
    assert refusals.functions(coordination) - set(COORDINATION) == set()


@pytest.mark.parametrize("call", range(2, len(CALLS)))
def test_a_call_of_no_worker_is_refused_and_fails_where_it_is_traced(call):
    with pytest.raises(ValueError, match="worker"):
        BACKEND.answer(KEY, BACKEND.init(), CALLS[call])
    away = REQUEST._replace(worker=jnp.array([2, -1, 0], jnp.int32)[:1])
    _, reply = jax.jit(BACKEND.answer)(KEY, BACKEND.init(), away)
    assert coordination.STATUSES[int(reply.status[0])] == "failed"


ROWS = {
    "no status": {"answer": 1},
    "another status": {"status": "fine", "answer": 1},
    "empty": {"status": "empty"},
    "no answer": {"status": "ok"},
    "fraction": {"status": "ok", "answer": 0.5},
    "flag": {"status": "ok", "answer": True},
    "negative": {"status": "ok", "answer": -1},
    "nan": {"status": "ok", "answer": 1, "latency": NAN},
    "huge": {"status": "ok", "answer": 1, "tokens_out": 1e300},
    "confidence": {"status": "ok", "answer": 1, "confidence": 2.0},
    "text": {"status": "ok", "answer": 1, "tokens_in": "many"},
    "list": [1],
}


@pytest.mark.parametrize("row", ROWS)
def test_a_tape_is_validated_like_live_replies(row, tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_text(json.dumps({"call": [0, 0, 0], "reply": ROWS[row]}) + "\n")
    with pytest.raises(ValueError, match="line 1"):
        coordination.Recording.load(path)
    with pytest.raises(ValueError, match="reply"):
        coordination.Recording().record((0, 0, 0), ROWS[row])


@pytest.mark.parametrize(
    "call", [[0.5, 0, 0], [0, 0], ["0", 0, 0], [True, 0, 0], None, 2**40, [2**40, 0, 0]]
)
def test_a_call_of_a_tape_is_validated(call, tmp_path):
    path = tmp_path / "replies.jsonl"
    reply = {"status": "ok", "answer": 1}
    path.write_text(json.dumps({"call": call, "reply": reply}) + "\n")
    with pytest.raises(ValueError, match="line 1"):
        coordination.Recording.load(path)


def test_a_replay_is_validated_for_its_own_number_of_answers():
    recording = coordination.Recording()
    coordination.host_worker(lambda call: {"answer": 4}, num_answers=5, recording=recording)(
        REQUEST
    )
    again = coordination.host_worker(None, num_answers=3, recording=recording)
    with pytest.raises(ValueError, match=r"recording.*answer: expected 0 to 2, got 4"):
        again(REQUEST)
