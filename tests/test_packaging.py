"""The wheel, its metadata and its commands, as someone without a checkout meets them."""

import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from jaxswarm import _cli, _demo

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_names_this_version():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {PROJECT['version']}" in text
    assert f"license: {PROJECT['license']}" in text
    assert "cff-version: 1.2.0" in text


def test_every_extra_is_used():
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("jaxswarm", "experiments", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
    )
    imported = {"reasoning-gym": "reasoning_gym"}
    for extra, requirements in PROJECT["optional-dependencies"].items():
        for requirement in requirements:
            name = re.split(r"[<>=!\[ ]", requirement)[0]
            module = imported.get(name, name)
            used = re.search(rf"import {module}\b|from {module}\b|\"{module}\"", sources)
            assert used, f"extra {extra}: nothing imports {module}"


def test_supported_versions_are_said():
    said = PROJECT["classifiers"]
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)} <= set(said)
    assert any(line.startswith("Operating System ::") for line in said)


def test_the_command_prints_its_help(capsys):
    assert _cli.main([]) == 0
    told = capsys.readouterr().out
    for command in ("demo", "launch", "list", "run", "reproduce", "report"):
        assert f"\n  {command}" in told
    assert _cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == PROJECT["version"]
    assert _cli.main(["reprodce"]) == 2
    assert "did you mean 'reproduce'" in capsys.readouterr().err


def test_commands_of_a_checkout_say_so_elsewhere(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JAXSWARM_SOURCES", raising=False)
    assert _cli.main(["list"]) == 2
    assert "checkout" in capsys.readouterr().err


def test_commands_of_a_checkout_run_there(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSWARM_SOURCES", str(ROOT))
    assert _cli.main(["run", "single_mergin"]) == 2
    assert "did you mean 'single_merging'" in capsys.readouterr().err


def test_the_demonstration_has_four_arms():
    rows = _demo.table(8, 60, progress=False)
    assert [name for name, *_ in rows] == ["isolated", "ring", "exponential", "server"]
    assert all(0.0 < score < 1.0 for _, score, _ in rows)
    assert [sent > 0 for *_, sent in rows] == [False, True, True, True]


@pytest.mark.slow
def test_the_demonstration_is_the_same_on_two_devices():
    one, two = _demo.table(8, 60, progress=False), _demo.table(8, 60, devices=2, progress=False)
    for (name, score, sent), (_, other, others) in zip(one, two, strict=True):
        assert abs(score - other) < 0.01, name  # sums in another order
        assert sent == others, name


def test_the_demonstration_refuses_devices_that_do_not_divide(capsys):
    with pytest.raises(SystemExit):
        _demo.main(["--agents", "6", "--devices", "4"])
    assert "expected a divisor of 6 agents, got 4" in capsys.readouterr().err


@pytest.mark.slow
def test_a_wheel_in_a_fresh_environment_runs_the_readme(tmp_path):
    pytest.importorskip("build")
    pytest.importorskip("twine")

    def run(*command, **options):
        done = subprocess.run(command, capture_output=True, text=True, timeout=900, **options)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    run(sys.executable, "-m", "build", "--outdir", str(tmp_path / "dist"), str(ROOT))
    built = sorted(map(str, (tmp_path / "dist").iterdir()))
    assert len(built) == 2
    run(sys.executable, "-m", "twine", "check", "--strict", *built)

    venv.create(tmp_path / "env", with_pip=True)
    python = str(tmp_path / "env" / "bin" / "python")
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    (wheel,) = (path for path in built if path.endswith(".whl"))
    run(python, "-m", "pip", "install", "--quiet", *constraints, wheel)
    elsewhere = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": ""}}
    assert "usage: jaxswarm" in run(python, "-m", "jaxswarm", **elsewhere)
    assert "server" in run(
        str(tmp_path / "env" / "bin" / "jaxswarm"),
        *("demo", "--agents", "8", "--rounds", "20"),
        **elsewhere,
    )
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    for block in blocks:
        assert re.search(r"\d\.\d", run(python, "-c", block, **elsewhere))
