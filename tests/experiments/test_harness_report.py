"""``REPRODUCTION.md``: generated from ``claims.json`` alone, entries of older runs included."""

import json
import re
from pathlib import Path

import pytest

from experiments import harness
from experiments.harness import report
from experiments.harness.cli import main

ROOT = Path(__file__).resolve().parents[2]

OLD = {
    "system": "fake",
    "scale": "full",
    "command": "python -m experiments reproduce fake --scale full",
    "seed": 0,
    "date": "2026-11-24",
    "seconds": 301.2,
    "error": None,
    "versions": {"jax": "0.10.1", "device": "gpu"},
    "claims": [
        {
            "system": "fake",
            "claim": "it rises",
            "baseline": "flat",
            "effect": 0.5,
            "interval": [0.1, 0.9],
            "seeds": 3,
            "threshold": 0.2,
            "held": True,
            "seconds": 301.2,
            "bound": "at least",
            "judge": "effect",
            "judged": 0.5,
            "control": False,
            "note": "",
        }
    ],
}


def test_recording_keeps_other_systems_and_replaces_its_own(systems):
    main(["reproduce", "flat", "--scale", "smoke", "--record"])
    main(["reproduce", "fake", "--scale", "smoke", "--record"])
    main(["reproduce", "fake", "--record"])
    main(["reproduce", "fake", "--scale", "smoke", "--seed", "3", "--record"])
    entries = json.loads(Path("results/claims.json").read_text())
    assert [(e["system"], e["scale"]) for e in entries] == [
        ("fake", "small"),
        ("fake", "smoke"),
        ("flat", "smoke"),
    ]
    document = Path("results/REPRODUCTION.md").read_text()
    assert document == report.markdown(entries)
    assert "| [fake](#fake) | small | 3 of 3 | 0 |" in document
    assert "| [flat](#flat) | smoke | not judged | – |" in document
    assert "python -m experiments reproduce fake --scale smoke --seed 3" in document


def test_processor_time_stands_beside_wall_time_in_entries_that_have_it(systems):
    assert "on 2026-11-24: 301.2 s, base seed 0" in report.markdown([OLD])
    document = report.markdown([OLD | {"cpu_seconds": 540.2}])
    assert "on 2026-11-24: 301.2 s (540 CPU s), base seed 0" in document
    main(["reproduce", "fake", "--scale", "smoke", "--record"])
    (entry,) = json.loads(Path("results/claims.json").read_text())
    assert 0 < entry["cpu_seconds"]


def test_document_of_a_system(systems):
    main(["reproduce", "flat", "fake", "--record"])
    document = Path("results/REPRODUCTION.md").read_text()
    assert "A. Author, B. Author, *On Trends*, Journal of Trends, 1999, " in document
    assert "[arXiv:9901.00001](https://arxiv.org/abs/9901.00001)" in document
    assert "A formula replaces the measurement." in document
    assert "recorded run: The slope was 1 in the pilot." in document
    assert "![Figure of fake, small scale](figures/fake.png)" in document
    assert "**not held**" in document
    rows = [line for line in document.splitlines() if line.startswith(("| 1 |", "| 2 |"))]
    assert [row.split("|")[2].strip() for row in rows] == ["Trends rise (§2)", "as in 1"] * 2
    row = next(line for line in document.splitlines() if line.startswith("| 3 |"))
    assert row == (
        "| 3 | Own check: the flat arm does not rise | The flat arm stays low \\| near zero"
        "<br>*mean end of the flat arm of 8 agents; flat* | value, points "
        "| 0.0009237, 1 | ≤ 0.1, value | held |"
    )


def test_report_regenerates_the_document_from_claims_alone(systems):
    main(["reproduce", "fake", "--record"])
    path = Path("results/REPRODUCTION.md")
    document = path.read_text()
    path.unlink()
    assert main(["report"]) == 0
    assert path.read_text() == document


def test_older_entries_are_shown_with_dashes(systems):
    document = report.markdown([OLD])
    assert "| [fake](#fake) | full | 1 of 1 | 1 | 301 |" in document
    assert "Paper: –" in document
    assert (
        "| 1 | – | it rises<br>*vs flat* | – | 0.5 [0.1, 0.9], 3 | ≥ 0.2, value "
        "| held, interval crosses the threshold |"
    ) in document
    Path("results").mkdir()
    Path("results/claims.json").write_text(json.dumps([OLD]))
    main(["reproduce", "fake", "--record"])
    entries = json.loads(Path("results/claims.json").read_text())
    assert [entry["scale"] for entry in entries] == ["small", "full"]
    assert entries[1] == OLD
    assert "Paper: A. Author" in report.markdown(entries)  # of the newer entry


def test_a_failed_run_is_not_recorded(systems):
    with pytest.raises(ValueError, match="outcome: expected a finished run"):
        report.record("results", harness.Outcome("fake", "small", "", error="broke"), {})


def test_text_in_cells_is_not_markup():
    row = OLD["claims"][0] | {"claim": "a_b * c_d | x<br>\ny", "measured": "2 * (p - q)"}
    document = report.markdown([OLD | {"claims": [row]}])
    assert "a\\_b \\* c\\_d \\| x&lt;br> y<br>*2 \\* (p - q); vs flat*" in document


def test_no_recorded_comparison_is_held_by_equality():
    """What says *higher* or *more accurate* does not hold where both arms are equal to the bit."""
    rows = json.loads((ROOT / "results" / "claims.json").read_text(encoding="utf-8"))
    strict = re.compile(r"\b(more accurate|higher|lower|better|beats?|raises|outperforms?) ")
    allowed = re.compile(r"\bno (more|less|higher|lower|better)\b|\bat (least|most)\b")
    equal = [
        claim["claim"]
        for row in rows
        for claim in row["claims"]
        if claim["held"] and claim["effect"] == claim["threshold"]
        if strict.search(claim["claim"]) and not allowed.search(claim["claim"])
    ]
    assert not equal
