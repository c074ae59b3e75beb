"""Every notebook runs from top to bottom, shows its pictures, and equals its script."""

import ast
import importlib
import inspect
import os
import re
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
PICTURES = {
    "01_gossip_in_ten_minutes": 8,
    "02_attack_and_defend": 6,
    "03_swarms": 7,
    "04_networked_actor_critic": 6,
    "05_who_should_do_what": 4,
    "06_feeds_and_levels": 6,
    "07_optimism_fronts_chunks": 3,
    "08_generative_swarms": 5,
    "09_language_agents": 3,
    "10_trust_without_a_centre": 6,
    "11_teams_that_plan": 4,
    "12_networks_and_serving": 5,
}


def _learned_weights_win(shown: str) -> bool:
    metropolis, fastest, learned = (float(x) for x in re.findall(r"\d+\.\d+", shown))
    return learned < 0.8 * fastest < 0.8 * metropolis


def _defence_holds_and_replay_is_exact(shown: str) -> bool:
    averaging, trimmed = (float(x) for x in re.findall(r"\d+\.\d+", shown))
    return "'replayed exactly': True" in shown and trimmed > averaging + 0.3


def _looking_finds_more(shown: str) -> bool:
    by_hand, at_random = (int(x) for x in re.findall(r": (\d+)", shown))
    return by_hand > 1.5 * at_random


def _gossip_helps_and_resumption_is_exact(shown: str) -> bool:
    ring, alone = (float(x) for x in re.findall(r"\d+\.\d+", shown))
    return "'resumed exactly': True" in shown and ring > alone + 0.5


def _gossip_learns_and_all_results_are_equal(shown: str) -> bool:
    alone, gossip = (float(x) for x in re.findall(r"\d+\.\d+", shown))
    return shown.count("True") == 2 and gossip < 0.5 * alone


def _optimism_preferences_and_chunks_pay(shown: str) -> bool:
    numbers = (float(x) for x in re.findall(r"\d+\.\d+", re.sub(r"slip of 0.4", "", shown)))
    optimistic, greedy, share, closed, open_loop, left, right = numbers
    return (
        optimistic < 2.5 < greedy
        and share > 0.7
        and closed > open_loop + 0.02
        and min(left, right) > 0.7
    )


def _estimates_insertions_and_levels_are_as_described(shown: str) -> bool:
    numbers = [float(x) for x in re.findall(r"\d+\.\d+", shown)]
    error, far_error, near, far, most, least, never, greedy, learned, caves, random, new = numbers
    return (
        error < 0.06
        and far_error < 0.3
        and near > 5 * far
        and most > 1.3 * least
        and greedy < 0.95 * never
        and learned > 1.1 * never
        and caves == 1.0 > random
        and new > 0.2
    )


def _experts_equal_one_model_and_gossip_keeps_diversity(shown: str) -> bool:
    numbers = (float(x) for x in re.findall(r"\d+\.\d+", shown))
    one, full, top, lost, before, after, alone, team = numbers
    return (
        full < 0.02
        and one < 0.02
        and top > full
        and lost > 5 * full
        and (after > before + 0.05 and alone > 0.5 and team < 0.3)
    )


def _rewards_help_and_the_protocol_changes_nothing(shown: str) -> bool:
    before, after, direct, served = (float(x) for x in re.findall(r"0\.\d+", shown))
    return (
        after > before + 0.05
        and direct == served
        and "'majority vote': '40', 'peer ranking': '50'" in shown
    )


def _attacks_gain_little_and_leaks_are_seen(shown: str) -> bool:
    numbers = [float(x) for x in re.findall(r"\d+\.\d+", shown)]
    salsa, trust, alpha, full, honest, impostor, small_prime, large_prime = numbers[:8]
    detected, law, shallow, deep, mean, restored = numbers[8:]
    return (
        full < 0.6 * salsa
        and full < 0.5 * alpha < alpha < 0.7 * trust
        and honest > 0.95
        and impostor < 0.1
        and "'refused': 5" in shown
        and 0.002 < small_prime < 0.006
        and large_prime == 0.0
        and abs(detected - law) < 0.03
        and 2 * shallow < deep < 0.7 * mean
        and restored > 0.95
    )


def _plans_fit_and_are_kept(shown: str) -> bool:
    easy, hard, prompted, alone, goals, found, without = (
        float(x) for x in re.findall(r"\d+(?:\.\d+)?", shown)
    )
    return hard > 2 * easy and prompted > alone + 0.1 and goals == 3 and found > without


def _connections_help_and_choices_pay(shown: str) -> bool:
    numbers = (float(x) for x in re.findall(r"\d+\.\d+", shown))
    dialed, punched, without, relayed, few, many, agree, never, spread, chosen, one = numbers
    return (
        dialed + 0.3 < punched
        and without + 0.1 < relayed
        and few < many < 2 * few
        and never < 0.6 < agree == 1.0
        and spread < 0.01
        and chosen < one - 0.2
    )


CONCLUSIONS = {
    "01_gossip_in_ten_minutes": _learned_weights_win,
    "02_attack_and_defend": _defence_holds_and_replay_is_exact,
    "03_swarms": _looking_finds_more,
    "04_networked_actor_critic": _gossip_helps_and_resumption_is_exact,
    "05_who_should_do_what": _gossip_learns_and_all_results_are_equal,
    "06_feeds_and_levels": _estimates_insertions_and_levels_are_as_described,
    "07_optimism_fronts_chunks": _optimism_preferences_and_chunks_pay,
    "08_generative_swarms": _experts_equal_one_model_and_gossip_keeps_diversity,
    "09_language_agents": _rewards_help_and_the_protocol_changes_nothing,
    "10_trust_without_a_centre": _attacks_gain_little_and_leaks_are_seen,
    "11_teams_that_plan": _plans_fit_and_are_kept,
    "12_networks_and_serving": _connections_help_and_choices_pay,
}

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the Jupyter packages
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_there_are_notebooks():
    assert {script.stem for script in SCRIPTS} == set(PICTURES)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script_and_notebook_are_in_sync(script):
    import jupytext

    text, notebook = (jupytext.read(script.with_suffix(kind)) for kind in (".py", ".ipynb"))
    assert [(cell.cell_type, cell.source) for cell in notebook.cells] == [
        (cell.cell_type, cell.source) for cell in text.cells
    ], f"run: jupytext --sync notebooks/{script.name}"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_stored_outputs_are_those_of_one_whole_execution(script):
    """Either none, or all cells in order, every picture, and a last value that fits the text."""
    import jupytext

    notebook = jupytext.read(script.with_suffix(".ipynb"))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    if not outputs:
        assert all(cell.execution_count is None for cell in code)
        return
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for output in outputs if output.output_type in ("stream", "error")]
    assert sum("image/png" in out.get("data", {}) for out in outputs) == PICTURES[script.stem]
    assert CONCLUSIONS[script.stem](outputs[-1]["data"]["text/plain"])
    assert script.with_suffix(".ipynb").stat().st_size < 1_500_000


def _arguments_fit(function, call) -> bool:
    """Whether a call has no keyword that the function does not know, and not too many values."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return True
    kinds = {parameter.kind for parameter in parameters}
    named = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
    known = {parameter.name for parameter in parameters}
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    starred = any(isinstance(argument, ast.Starred) for argument in call.args)
    return (named <= known or inspect.Parameter.VAR_KEYWORD in kinds) and (
        starred or len(call.args) <= len(by_place) or inspect.Parameter.VAR_POSITIONAL in kinds
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_notebook_uses_of_jaxswarm_exists(script):
    """Every attribute of its modules, and every keyword of their functions, without a run."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxswarm"):
            home = importlib.import_module(node.module)
            for alias in node.names:
                modules[alias.asname or alias.name] = getattr(home, alias.name)
    stored = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and type(n.ctx) is ast.Store}
    stored |= {argument.arg for argument in ast.walk(tree) if isinstance(argument, ast.arg)}

    def value(node):
        """What a name or a dotted name of jaxswarm is; None for other expressions."""
        if isinstance(node, ast.Name):
            return modules.get(node.id) if node.id not in stored else None
        if isinstance(node, ast.Attribute):
            owner = value(node.value)
            if isinstance(owner, types.ModuleType):
                assert hasattr(owner, node.attr), f"line {node.lineno}: {ast.unparse(node)}"
                return getattr(owner, node.attr)
        return None

    assert modules
    for node in ast.walk(tree):
        value(node)
        if isinstance(node, ast.Call) and (function := value(node.func)) is not None:
            assert _arguments_fit(function, node), f"line {node.lineno}: {ast.unparse(node)}"


def test_the_opening_of_the_first_notebook_runs(monkeypatch):
    """Graphs and averaging, in a kernel, with pictures. Whole notebooks are slow."""
    import jupytext

    script = SCRIPTS[0]
    notebook = jupytext.read(script.with_suffix(".ipynb"))
    learning = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## 3"))
    notebook.cells = notebook.cells[:learning]
    outputs = _executed(notebook, script, monkeypatch)
    assert sum("image/png" in out.get("data", {}) for out in outputs) == 2
    assert outputs[-1]["data"]["text/plain"].count("20 rounds leave") == 3


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_its_pictures(script, monkeypatch):
    import jupytext

    outputs = _executed(jupytext.read(script.with_suffix(".ipynb")), script, monkeypatch)
    assert sum("image/png" in out.get("data", {}) for out in outputs) == PICTURES[script.stem]
    assert CONCLUSIONS[script.stem](outputs[-1]["data"]["text/plain"])


def _executed(notebook, script, monkeypatch):
    """Outputs of all cells: values and pictures, no stream and no error."""
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # One device, as a reader has; compiled in a hurry, as all tests are (see conftest.py).
    flags = re.sub(r"--xla_force_host_platform_device_count=\S*", "", os.environ["XLA_FLAGS"])
    monkeypatch.setenv("XLA_FLAGS", flags.strip())
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    resources = {"metadata": {"path": str(script.parent)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    assert not [out for out in outputs if out.output_type in ("stream", "error")], outputs
    return outputs


def test_the_rule_of_the_first_notebook_is_short():
    source = (ROOT / "notebooks" / "01_gossip_in_ten_minutes.py").read_text(encoding="utf-8")
    rule = re.search(r"def event_triggered.*?\n\n\n", source, re.DOTALL)
    assert rule is not None
    assert len(rule.group().strip().splitlines()) <= 20


@pytest.mark.parametrize("name", ["swapped_classes", "nearer_half"])
def test_an_attack_and_a_defence_take_fifteen_lines(name):
    source = (ROOT / "notebooks" / "02_attack_and_defend.py").read_text(encoding="utf-8")
    written = re.search(rf"def {name}.*?\n\n\n", source, re.DOTALL)
    assert written is not None
    assert len(written.group().strip().splitlines()) <= 15
