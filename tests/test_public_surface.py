"""Packages hide no module, the top level is lazy, and documents name what exists."""

import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import jaxswarm

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [
    module.name
    for module in pkgutil.walk_packages(jaxswarm.__path__, "jaxswarm.")
    if module.ispkg and not module.name.rpartition(".")[2].startswith("_")
]
METHODS = ROOT / "docs" / "methods.md"


@pytest.mark.parametrize("name", ["jaxswarm", *PACKAGES])
def test_no_attribute_shadows_a_submodule(name):
    package = importlib.import_module(name)
    shadowed = []
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{name}.{module.name}")
        if not isinstance(getattr(package, module.name), ModuleType):
            shadowed.append(module.name)
    assert not shadowed, f"{name}: attributes over modules of the same name: {shadowed}"


@pytest.mark.parametrize("name", ["jaxswarm", *PACKAGES])
def test_all_names_exist_and_are_documented(name):
    package = importlib.import_module(name)
    assert package.__doc__
    for public in getattr(package, "__all__", ()):
        value = getattr(package, public)
        if inspect.isfunction(value) or inspect.isclass(value):
            assert value.__doc__, f"{name}.{public} has no docstring"


def test_top_level_is_lazy_and_complete():
    code = (
        "import sys, jaxswarm as js; "
        "loaded = [m for m in sys.modules if m.startswith('jaxswarm.')]; "
        "assert loaded == ['jaxswarm._allocator'], loaded; "
        "assert callable(js.simulate) and callable(js.rollout) and callable(js.sweep); "
        "assert callable(js.gossip.averaging); "
        "assert {'gossip', 'simulate', 'rl'} <= set(dir(js)); "
        "from jaxswarm import rollout; assert rollout is js.rollout"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_an_unknown_top_level_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'gosip'"):
        jaxswarm.gosip  # noqa: B018


def resolve(dotted: str) -> object:
    """The object that a dotted name below ``jaxswarm`` (or ``js``) addresses."""
    value: object = jaxswarm
    for part in re.sub(r"^(js|jaxswarm)\.", "", dotted).split("."):
        value = getattr(value, part)
    return value


def rows(text: str) -> list[tuple[str, str]]:
    """``(usual name, address)`` of every table row of ``docs/methods.md`` that gives a call."""
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) >= 3 and cells[1].startswith("`"):
            found.append((cells[0], re.match(r"`([\w.]+)", cells[1])[1]))  # type: ignore[index]
    return found


@pytest.mark.parametrize(("method", "address"), rows(METHODS.read_text(encoding="utf-8")))
def test_every_row_of_the_methods_index_imports(method, address):
    value = resolve(address)
    assert callable(value) or isinstance(value, (dict, ModuleType)), f"{method}: {address}"


def test_the_methods_index_is_long():
    assert len(rows(METHODS.read_text(encoding="utf-8"))) > 60


DOCUMENTS = ["CONTRIBUTING.md", "README.md", "docs/methods.md"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_documents_name_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:jaxswarm|experiments|tests|docs|benchmarks|results|notebooks)/[\w./]+)`", text
    )
    named += [link for link in re.findall(r"\]\(([^)#:]+)\)", text) if "://" not in link]
    base = (ROOT / document).parent
    missing = [name for name in named if not (ROOT / name).exists() and not (base / name).exists()]
    assert not [name for name in missing if "NAME" not in name]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_names_that_documents_give_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    packages = "|".join(sorted(set(jaxswarm.__all__) - {"__version__"}))
    for dotted in re.findall(rf"`(?:js\.|jaxswarm\.)?((?:{packages})(?:\.[A-Za-z_]\w*)+)\b", text):
        if not dotted.endswith((".py", ".md", ".json")):
            resolve(dotted)
