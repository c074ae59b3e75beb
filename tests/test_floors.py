"""Imports point down: core, world, domains, systems, experiments (DESIGN of the package map)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

CORE = {
    "_draws",
    "_optimizers",
    "agents",
    "algorithm",
    "checks",
    "errors",
    "gossip",
    "topology",
    "types",
}
RUNNING = {
    "__main__",
    "_allocator",
    "_cli",
    "_columns",
    "_compiled",
    "_demo",
    "_intervals",
    "_marl_eval",
    "_processes",
    "_rollout",
    "_simulate",
    "_sweep",
    "checkpoint",
    "launch",
    "loggers",
    "plotting",
    "progress",
    "sharding",
    "statistics",
}
WORLD = {"data", "envs", "models", "network", "space", "swarms"}
DOMAINS = {"collective", "coordination", "generative", "language", "learning", "rl", "trust"}

# What the top-level functions of the package are: `from jaxswarm import simulate`.
LAZY = {
    "Algorithm": "algorithm",
    "Checkpoint": "checkpoint",
    "NonFiniteWarning": "progress",
    "Records": "_rollout",
    "Timing": "_simulate",
    "rollout": "_rollout",
    "simulate": "_simulate",
    "sweep": "_sweep",
}


def _imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, those inside functions too, of jaxswarm and experiments."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: expected absolute imports"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _package(dotted: str) -> str | None:
    """The package of ``jaxswarm`` that a dotted name belongs to, ``systems.NAME`` for systems."""
    parts = dotted.split(".")
    if parts[0] != "jaxswarm" or len(parts) < 2:
        return None
    name = LAZY.get(parts[1], parts[1])
    return ".".join(["systems", *parts[2:3]]) if name == "systems" else name


def _home(path: Path) -> str:
    parts = path.relative_to(ROOT / "jaxswarm").with_suffix("").parts
    if parts[0] == "systems":
        return "systems" if len(parts) < 3 else f"systems.{parts[1]}"
    return parts[0]


def allowed(home: str, target: str) -> bool:
    """Whether a file of package ``home`` may import from package ``target``."""
    if home == target or target == "__version__":
        return True
    if home in CORE:
        return target in CORE
    if home in RUNNING:
        return target in CORE | RUNNING
    if home in WORLD:
        return target in CORE | RUNNING | WORLD
    if home in DOMAINS:
        return target in CORE | RUNNING | WORLD
    if home.startswith("systems"):
        return target in CORE | RUNNING | WORLD | DOMAINS
    return False


FILES = [path for path in (ROOT / "jaxswarm").rglob("*.py") if path.parent != ROOT / "jaxswarm"]
FILES += [path for path in (ROOT / "jaxswarm").glob("*.py") if path.name != "__init__.py"]


def test_every_package_stands_on_a_floor():
    homes = {_home(path).partition(".")[0] for path in FILES} - {"systems"}
    assert homes <= CORE | RUNNING | WORLD | DOMAINS


def test_imports_point_down():
    upward = [
        f"{path.relative_to(ROOT)}: {_home(path)} imports {dotted}"
        for path in FILES
        for dotted in _imports(path)
        if (target := _package(dotted)) is not None and not allowed(_home(path), target)
    ]
    assert not upward, "\n".join(upward)


def test_the_library_does_not_import_experiments_tests_or_benchmarks():
    wrong = [
        f"{path.relative_to(ROOT)}: {dotted}"
        for path in FILES
        if path.name != "_cli.py"  # runs the experiments of a checkout
        for dotted in _imports(path)
        if dotted.split(".")[0] in {"experiments", "tests", "benchmarks"}
    ]
    assert not wrong, "\n".join(wrong)


def test_experiments_do_not_import_one_another():
    wrong = []
    for path in (ROOT / "experiments").rglob("*.py"):
        home = path.relative_to(ROOT / "experiments").parts[0]
        for dotted in _imports(path):
            parts = dotted.split(".")
            if (
                parts[0] == "experiments"
                and parts[1:2]
                and parts[1] not in {home, "harness", "SYSTEMS"}
            ):
                wrong.append(f"{path.relative_to(ROOT)}: {dotted}")
    assert not wrong, "\n".join(wrong)


def test_there_are_no_import_circles():
    """No file needs, at any depth or inside a function, a file that needs it."""
    modules = {}
    for path in [*FILES, *(ROOT / "experiments").rglob("*.py")]:
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        modules[dotted.removesuffix(".__init__")] = path
    edges: dict[str, set[str]] = {}
    for name, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typing_only = {
            child
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
            for child in ast.walk(node)
        }
        edges[name] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node not in typing_only:
                for alias in node.names:
                    dotted = f"{node.module}.{alias.name}"
                    edges[name].add(dotted if dotted in modules else str(node.module))
    circles = [circle for circle in _circles(edges) if len(circle) > 1]
    assert not circles, "\n".join(" <-> ".join(sorted(circle)) for circle in circles)


def _circles(edges: dict[str, set[str]]) -> list[set[str]]:
    import networkx as nx

    graph = nx.DiGraph([(a, b) for a, targets in edges.items() for b in targets])
    return list(nx.strongly_connected_components(graph))


@pytest.mark.parametrize(
    ("home", "target", "fine"),
    [
        ("gossip", "learning", False),
        ("learning", "rl", False),
        ("rl", "systems.stac", False),
        ("systems.stac", "systems.symphony", False),
        ("systems.stac", "rl", True),
        ("envs", "plotting", True),
        ("gossip", "plotting", False),
    ],
)
def test_the_rule_itself(home, target, fine):
    assert allowed(home, target) is fine
