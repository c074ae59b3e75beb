"""Records while a run goes on: callbacks, early stops, files, TensorBoard, Weights & Biases."""

import csv
import json
import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxswarm as js
from jaxswarm import loggers


def step(key, state, inputs):
    del key, inputs
    return state + 1.0, {"sum": jnp.sum(state), "each": state}


def measured(state):
    return {"last": state[0], "sum": jnp.float32(7.0)}


def run(rounds=10, **options):
    options = {"every": 2, "evaluate": measured, "chunk": 3, "progress": False, **options}
    return js.simulate(step, jnp.zeros(2), rounds, key=jax.random.key(0), **options)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("chunk", [1, 3, None])
def test_a_callback_sees_every_record_in_order_whatever_the_chunks(chunk):
    seen = []
    _, records = run(on_records=seen.append, chunk=chunk)
    assert np.concatenate([part.round for part in seen]).tolist() == [2, 4, 6, 8, 10]
    joined = jax.tree.map(lambda *parts: np.concatenate(parts), *seen)
    jax.tree.map(np.testing.assert_array_equal, joined, records)


def test_a_callback_stops_the_run_after_its_chunk(tmp_path):
    checkpoint = {"checkpoint": tmp_path / "run"}
    state, records = run(on_records=lambda r: r.evaluation["last"][-1] >= 4.0, **checkpoint)
    assert records.round.tolist() == [2, 4, 6]
    assert state.tolist() == [6.0, 6.0]
    finished, records = run(resume=True, **checkpoint)
    assert (finished.tolist(), len(records.round)) == ([10.0, 10.0], 5)
    _, records = run(on_records=lambda r: r.round)  # an array that is true is no wish to stop
    assert len(records.round) == 5


def test_columns_are_a_table():
    _, records = run(4)
    table = records.columns()
    assert list(table) == [
        "round", "each", "each.min", "each.max", "sum", "last", "evaluation.sum",
    ]  # fmt: skip
    assert {len(column) for column in table.values()} == {2}
    assert table["each"].tolist() == [1.0, 3.0]
    assert list(records.columns(each=True))[1:3] == ["each.0", "each.1"]
    frame = pytest.importorskip("pandas").DataFrame(table)
    assert frame["sum"].tolist() == [2.0, 6.0]


def test_columns_of_an_algorithm_are_named_after_its_fields():
    half = js.Records(np.arange(1), jnp.zeros((1,), jnp.bfloat16), None)
    assert half.columns()["value"].dtype == np.float32
    traffic = js.gossip.Traffic(np.ones(1), np.ones(1))
    info = js.learning.LearnerInfo(np.ones((1, 3)), traffic)
    names = list(js.Records(np.arange(1), info, None).columns())
    assert names[:5] == ["round", "loss", "loss.min", "loss.max", "traffic.messages"]


def test_records_are_written_as_csv(tmp_path):
    _, records = run(4)
    path = records.to_csv(tmp_path / "new" / "run.csv")
    assert [row["round"] for row in rows(path)] == ["2", "4"]
    assert rows(path)[1]["each"] == "3.0"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_has_each_record_once_also_after_a_resume(form, tmp_path):
    write = getattr(loggers, form)
    whole, resumed = tmp_path / f"whole.{form}", tmp_path / f"resumed.{form}"
    run(on_records=write(whole))
    options = {"on_records": write(resumed), "checkpoint": tmp_path / "run"}
    run(6, **options)
    with resumed.open("a") as file:
        file.write('{"round": 8, "su' if form == "jsonl" else "8,3")  # killed while writing
    run(10, resume=True, **{**options, "on_records": write(resumed)})
    assert resumed.read_text() == whole.read_text()
    run(2, on_records=write(resumed))
    assert len(resumed.read_text().splitlines()) == (2 if form == "csv" else 1)  # began anew


def test_json_lines_have_no_nan(tmp_path):
    writer = loggers.jsonl(tmp_path / "x.jsonl")
    writer.write(1, {"a": float("nan"), "b": 2.0})
    writer.write(2, {"a": 1.0, "c": 3.0})
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == [
        {"round": 1, "a": None, "b": 2.0},
        {"round": 2, "a": 1.0, "c": 3.0},
    ]


def test_columns_that_come_later_widen_a_csv_file(tmp_path):
    writer = loggers.csv(tmp_path / "x.csv")
    writer.write(1, {"a": 1.0})
    writer.write(2, {"b": 2.0})
    writer.write(3, {"a": 3.0})
    assert (tmp_path / "x.csv").read_text().split() == ["round,a,b", "1,1.0,", "2,,2.0", "3,3.0,"]


def test_several_writers_and_one_of_the_users_own(tmp_path):
    class Memory:
        def __init__(self):
            self.rounds = []

        def write(self, round, values):
            self.rounds.append((round, values["sum"]))

        def close(self):
            raise AssertionError("a user's writer is closed by its user")

    memory = Memory()
    run(4, on_records=[loggers.csv(tmp_path / "a.csv"), memory])
    assert memory.rounds == [(2, 2.0), (4, 6.0)]
    assert len(rows(tmp_path / "a.csv")) == 2
    assert isinstance(memory, loggers.Writer)


def test_every_run_gets_a_writer_of_its_own(tmp_path):
    with loggers.every_run(lambda name: loggers.csv(tmp_path / f"{name}.csv")) as name:
        name("ring 8/a")
        run(4)
        run(2)
        name("star")
        run(2)
    run(2)
    found = {path.name: len(rows(path)) for path in tmp_path.iterdir()}
    assert found == {"ring_8_a.csv": 2, "ring_8_a-2.csv": 1, "star.csv": 1}


@pytest.mark.parametrize("bad", [3, "run.csv", [print, 3], {"a": 1}])
def test_what_is_no_callback_is_refused(bad):
    with pytest.raises(ValueError, match=r"on_records: expected .*loggers\.csv"):
        run(on_records=bad)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_is_no_path_is_refused(form):
    with pytest.raises(ValueError, match="path: expected a file name, got 3"):
        getattr(loggers, form)(3)


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"jaxswarm\[tensorboard\]"):
        loggers.tensorboard("x")


def test_tensorboard_gets_the_scalars(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto import event_pb2

    run(4, on_records=(writer := loggers.tensorboard(tmp_path)))
    writer.close()
    (path,) = tmp_path.iterdir()
    data, values = path.read_bytes(), []
    while data:  # length, its checksum, event, its checksum
        size = int.from_bytes(data[:8], "little")
        event = event_pb2.Event.FromString(data[12 : 12 + size])
        values += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
        data = data[16 + size :]
    assert [(step, x) for step, tag, x in values if tag == "sum"] == [(2, 2.0), (4, 6.0)]


@pytest.mark.slow
def test_weights_and_biases_logs_offline(tmp_path):
    pytest.importorskip("wandb")
    code = f"""
        import sys; sys.path[:0] = {[os.getcwd(), *sys.path]!r}
        from jaxswarm import loggers
        writer = loggers.wandb(mode="offline", dir={str(tmp_path)!r})
        writer.write(1, {{"loss": 2.0}})
        writer.close()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=120)
    (log,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert b"loss" in log.read_bytes()
