"""The contract of a system's folder: what loads, and what is refused with which words."""

import pytest

import experiments
from experiments import harness


def test_a_folder_loads_as_an_experiment(systems):
    fake = harness.load("fake")
    assert (fake.name, fake.title) == ("fake", "Linear trend: whether it rises")
    assert str(fake.paper) == (
        "A. Author, B. Author, On Trends, Journal of Trends, 1999, arXiv:9901.00001"
    )
    assert fake.SCALES["full"] == fake.Config(agents=64)
    assert harness.describe("fake").substitutes == fake.substitutes
    assert harness.describe("fake").changes == fake.changes == "The slope was 1 in the pilot."


def test_paper_does_not_repeat_the_year():
    assert str(harness.Paper("A. B", "T", 2025, "NeurIPS 2025")) == "A. B, T, NeurIPS 2025"
    assert str(harness.Paper("A. B", "T", 2025)) == "A. B, T, 2025"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("def plot(", "def draw("), r"other/figure.py: expected plot, lacks \['plot'\]"),
        (('NAME = "other"', 'NAME = "another"'), "NAME: expected 'other', got 'another'"),
        (("PAPER = Paper", "PAPER = 1, Paper"), "PAPER: expected a Paper"),
        (('"full": Config', '"huge": Config'), r"SCALES lacks \['full'\]"),
    ],
)
def test_a_broken_folder_is_named(change, message, systems, copy_system, monkeypatch):
    monkeypatch.setattr(experiments, "SYSTEMS", ("other",))
    copy_system(systems, "other", change)
    with pytest.raises(ValueError, match=message):
        harness.load("other")


def test_an_unknown_name_gets_a_suggestion(systems):
    with pytest.raises(ValueError, match="unknown system 'fak', did you mean 'fake'"):
        harness.load("fak")
