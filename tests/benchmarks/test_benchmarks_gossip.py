"""The gossip benchmark: peers do the same work, and the report has its promised form."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import gossip, layouts, workload
from benchmarks.ceiling import Ceiling
from benchmarks.swarm import Swarm
from jaxswarm import data


@pytest.fixture(scope="module")
def work():
    return workload.make(6, "ring")


def test_workload_is_doubly_stochastic_and_starts_equal(work):
    matrix = np.diag(work.self_weights)
    np.add.at(matrix, (np.arange(6)[:, None], work.neighbors), work.neighbor_weights)
    np.testing.assert_allclose(matrix.sum(axis=0), 1.0, atol=1e-6)
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-6)
    assert sum(leaf[0].size for leaf in work.initial.values()) == workload.PARAMETERS == 9610


def test_unknown_graph_is_refused():
    with pytest.raises(ValueError, match="graph: expected one of"):
        workload.make(6, "moebius")


@pytest.mark.slow
def test_jaxswarm_learns_what_the_accuracy_says(work):
    assert workload.accuracy(work.initial, work) < 0.3
    assert workload.accuracy(Swarm(work).train(200), work) > 0.75


def test_on_the_same_minibatches_all_compute_the_same(work):
    torch = pytest.importorskip("torch")
    from benchmarks.peers_torch import PEERS

    rng = np.random.default_rng(0)
    x = rng.uniform(size=(6, workload.BATCH, workload.FEATURES)).astype(np.float32)
    y = rng.integers(workload.CLASSES, size=(6, workload.BATCH))
    batch = data.Batch(jnp.asarray(x), jnp.asarray(y), jnp.ones(y.shape))
    ours = Swarm(work, sample=lambda key, shards: batch).train(3)
    assert np.abs(ours["w1"] - work.initial["w1"]).max() > 1e-3
    for make in PEERS:
        peer = make(work)
        peer.batches = lambda: (torch.from_numpy(x), torch.from_numpy(y))
        theirs = peer.train(3)
        for name in workload.LEAVES:
            np.testing.assert_allclose(theirs[name], ours[name], atol=2e-5, err_msg=peer.name)


def test_peers_mix_like_the_operator(work):
    torch = pytest.importorskip("torch")
    from benchmarks.peers_torch import HandBatched

    values = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    matrix = np.diag(work.self_weights)
    np.add.at(matrix, (np.arange(6)[:, None], work.neighbors), work.neighbor_weights)
    mixed = HandBatched(work).mix(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(mixed, matrix @ values, atol=1e-6)


def test_layouts_of_a_ring_and_of_a_regular_graph():
    found = layouts.graphs(6, (4, 16))
    assert list(found) == ["ring", "4-regular"]
    names = [runner.name for runner in layouts.runners(found["ring"], rounds=1)]
    assert names == ["mix:circulant", "mix:gather", "mix:dense", "mix:segment"]


@pytest.mark.slow
def test_report_has_the_promised_form(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gossip, "_torch_peers", tuple)
    path = tmp_path / "deep" / "gossip.json"
    gossip.main(["--quick", "--agents", "6", "--json", str(path)])
    report = json.loads(path.read_text())
    assert set(report) == {"rows", "ceiling"}
    assert set(report["ceiling"]) == {"gemm_gflops", "copy_gbs"}
    columns = "impl agents graph rounds_per_s node_updates_per_s compile_s final_accuracy".split()
    for row in report["rows"]:
        assert list(row) == columns
        assert row["node_updates_per_s"] == pytest.approx(row["agents"] * row["rounds_per_s"])
    learned = [row for row in report["rows"] if not row["impl"].startswith("mix:")]
    assert {row["graph"] for row in learned} == {"ring", "4-regular"}
    assert all(0.0 <= row["final_accuracy"] <= 1.0 for row in learned)
    assert "GFLOP/s" in capsys.readouterr().out


def test_without_torch_only_its_rows_are_missing(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    monkeypatch.setattr(gossip, "_told", [])
    assert gossip._torch_peers() == ()
    assert gossip._torch_peers() == ()
    assert capsys.readouterr().err.count("pip install 'jaxswarm[bench]'") == 1


def test_ceilings_are_positive_and_the_best_seen():
    ceiling = Ceiling()
    ceiling.measure()
    first = ceiling.result()
    ceiling.measure()
    assert all(ceiling.result()[name] >= first[name] > 0 for name in first)
