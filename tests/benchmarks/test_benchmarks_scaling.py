"""The scaling benchmark: variants compute the same, its account is right, it reports in form."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import workload
from benchmarks.ceiling import Ceiling
from benchmarks.scaling import __main__ as command
from benchmarks.scaling import learners, local, mixing, report, timing, variants
from benchmarks.scaling.timing import Program
from jaxswarm import gossip, topology
from jaxswarm.gossip.regular_layouts import Mean


@pytest.fixture(scope="module")
def given():
    ceiling = Ceiling(64, 2**12)
    ceiling.measure()
    return timing.Setting(
        quick=True,
        ceiling=ceiling,
        copy_gbs=1.0,
        segment_s=1e-4,
        repeats=2,
        case_s=1.0,
        deadline=float("inf"),
    )


@pytest.mark.slow
def test_gossip_end_to_end(tmp_path, monkeypatch, capsys, given):
    monkeypatch.setattr(mixing, "AGENTS", (12,))
    monkeypatch.setattr(mixing, "PARAMETERS", (10,))
    monkeypatch.setattr(command, "setting", lambda quick, seconds: given)
    path, picture = tmp_path / "deep" / "scaling.json", tmp_path / "scaling.png"
    arguments = ["--quick", "--only", "gossip", "--json", str(path), "--figure", str(picture)]
    assert command.main(arguments) == 0
    found = json.loads(path.read_text())
    assert set(found) == {"device", "ceiling", "seconds", "errors", "gossip"}
    assert {row["layout"] for row in found["gossip"]} == set(gossip.LAYOUTS) - {"auto"}
    for row in found["gossip"]:
        assert row["node_updates_per_s"] == pytest.approx(12 * row["rounds_per_s"])
        assert row["touched_gbs"] * 1e9 == pytest.approx(row["bytes_touched"] * row["rounds_per_s"])
        assert row["peak_bytes"] >= 4 * 12 * 10
        assert row["compile_s"] > 0
    assert picture.stat().st_size > 1000
    printed = capsys.readouterr().out
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    command.main(["--table", str(path), "--into", str(page)])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| 4-regular, gather | 12 | 10 |" in text
    assert printed.strip() in text


def test_failing_sections_are_told_and_the_rest_goes_on(monkeypatch, capsys, given):
    def broken(given):
        yield {"case": "first", "agents": 3, "skipped": "for a test"}
        raise RuntimeError("out of luck")

    monkeypatch.setattr(command, "setting", lambda quick, seconds: given)
    monkeypatch.setitem(command.SECTIONS, "sweep", broken)
    assert command.main(["--quick", "--only", "sweep"]) == 1
    assert "Section sweep failed: RuntimeError: out of luck" in capsys.readouterr().out


def test_bytes_touched_are_the_documented_sums():
    ring = gossip.mixing(topology.ring(10), layout="circulant")
    assert mixing.bytes_touched(ring, 2, 5) == (2 + 1) * 10 * 5 * 4 + 10 * 5 * 4
    dense = gossip.mixing(topology.ring(10), layout="dense")
    assert mixing.bytes_touched(dense, 2, 5) == 3 * 10 * 5 * 4 + 10 * 10 * 4
    mean = Mean(jnp.full(10, 0.1), 10)
    assert mixing.bytes_touched(mean, 9, 5, itemsize=2) == 3 * 10 * 5 * 2


def test_sizes_beyond_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr(timing, "free_memory", lambda: 1000)
    assert timing.too_large(100) is None
    assert "GB free" in (timing.too_large(101) or "")
    assert "needs" in (timing.too_large(100, 701) or "")


def test_a_program_that_fails_leaves_the_others_alone(given):
    class Broken(Program):
        def __call__(self, state):
            state.delete()
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: too much\nand more")

    programs = [
        Broken("broken", lambda x: x, rounds=1),
        Program("fine", lambda x: x + 1, rounds=1),
    ]
    found = timing.by_turns(programs, lambda: jnp.zeros(3), given)
    assert found[0] == "JaxRuntimeError: RESOURCE_EXHAUSTED: too much"
    assert isinstance(found[1], float)
    assert found[1] > 0


def test_donation_shares_the_state_and_keeping_does_not():
    x = jnp.zeros((64, 32))
    for donate, shared in ((True, x.nbytes), (False, 0)):
        program = Program("add", lambda x: x + 1, rounds=1, donate=donate)
        program.compile(x)
        memory = program.memory()
        assert memory["alias"] == shared
        assert memory["peak"] == 2 * x.nbytes - shared + memory["temp"]
    turned = Program("turned", lambda x: (x[::-1], jnp.copy(x)), rounds=1, donate=False)
    turned.compile(x)
    assert turned.state_copies((64, 32)) >= 0 == turned.state_copies((7, 7))


@pytest.mark.parametrize("way", [variants.einsum, variants.slabs])
def test_variants_mix_alike(way, monkeypatch):
    monkeypatch.setattr(variants, "CACHE_BYTES", 1.0)
    W = gossip.mixing(topology.random_regular(12, 4, seed=0), layout="gather")
    x = jax.random.normal(jax.random.key(0), (12, 70))
    np.testing.assert_allclose(jax.jit(way)(W, x), gossip.mix(W, x), atol=1e-6)


@pytest.mark.parametrize("way", [variants.taken, variants.sent_in_bf16])
def test_variants_with_bf16_messages_mix_nearly_alike(way):
    W = gossip.mixing(topology.random_regular(12, 4, seed=0), layout="gather")
    x = jax.random.normal(jax.random.key(0), (12, 7))
    np.testing.assert_allclose(jax.jit(way)(W, x), gossip.mix(W, x), atol=2e-2)


def test_two_rounds_a_body_are_two_rounds():
    W = gossip.mixing(topology.ring(12))
    x = jax.random.normal(jax.random.key(0), (12, 3))
    once, twice = variants.looped(gossip.mix, 4), variants.paired(gossip.mix, 4)
    np.testing.assert_allclose(jax.jit(twice)(W, x), jax.jit(once)(W, x), atol=1e-6)


@pytest.mark.slow
def test_the_fused_local_step_is_the_learners():
    n = 5
    batch = local.fixed_batch(n)
    alone = learners.learner(gossip.identity(), sample=None)
    state = learners.initial(n)
    moved, _ = jax.jit(alone.step)(jax.random.key(1), state, batch)
    by_hand = jax.jit(variants.fused_step)(state.params, batch)
    before = workload.from_flax(state.params)
    theirs, ours = workload.from_flax(moved.params), workload.from_flax(by_hand)
    for name in workload.LEAVES:
        assert np.abs(theirs[name] - before[name]).max() > 1e-4
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6)


def test_targets_are_judged_on_a_gpu_only():
    row = {"case": "ring", "layout": "circulant", "bytes_minimal": 4e9, "touched_gbs": 80.0}
    found = {
        "device": {"platform": "gpu"},
        "ceiling": {"copy_gbs": 100.0},
        "gossip": [row | {"minimal_gbs": 40.0}],
        "learners": [{"case": "ring", "agents": 10_000, "rounds_per_s": 99.0}],
        "local": [{"ratio": 0.51}],
    }
    lines = report.targets(found).splitlines()[4:]
    assert [line.split("|")[-2].strip() for line in lines] == [
        "held",
        "not held",
        "not held",
        "held",
    ]
    assert report.targets(found | {"device": {"platform": "cpu"}}) == ""


def test_pages_without_marks_are_refused():
    with pytest.raises(ValueError, match="page: expected the marks"):
        report.insert("text", "a page")


@pytest.mark.slow
@pytest.mark.parametrize(
    "section", ["learners", "local", "donation", "memory", "sweep", "variants"]
)
def test_every_other_section_runs(section, given):
    rows = list(command.SECTIONS[section](dataclasses.replace(given, repeats=1)))
    assert rows
    assert all("skipped" not in row for row in rows)
    report.tables(
        {
            "device": {"kind": "cpu", "platform": "cpu", "jax": "0", "free_bytes": 1},
            "ceiling": {"copy_gbs": 1.0, "gemm_gflops": 1.0},
            "seconds": {section: 1.0},
            "errors": {},
            section: rows,
        }
    )
