"""One page of API reference for each public package, from its ``__all__`` and docstrings."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import jaxswarm
from docs.generators.files import DOCS, keep_only, write

FOLDER = DOCS / "api"
_KINDS = ("Functions", "Classes", "Constants")
_FEW = 4  # more entries than this get a line of links above them


def pages() -> list[Path]:
    """Write all pages; their paths."""
    documented: dict[int, str] = {}
    text = _page("jaxswarm", jaxswarm, _top_level(), (), documented)
    written = [write(FOLDER / "jaxswarm.rst", text)]
    packages = dict(public_packages())
    for name, module in packages.items():
        subpackages = [other for other in packages if other.rpartition(".")[0] == name]
        text = _page(name, module, _names(module), subpackages, documented)
        written.append(write(FOLDER / f"{name}.rst", text))
    top = [name for name in packages if name.count(".") == 1]
    text = f"{_title('API reference', '=')}\n\n{_INTRODUCTION}\n\n{_toctree(['jaxswarm', *top])}\n"
    written.append(write(FOLDER / "index.rst", text))
    keep_only(FOLDER, written)
    return written


_INTRODUCTION = """\
One page a package, generated from the docstrings. ``import jaxswarm as js`` loads none of them;
``js.gossip``, ``js.topology`` and the others load when they are first used. Looking for a method by
the name under which it was published? See :doc:`/methods`."""


def public_packages() -> Iterator[tuple[str, ModuleType]]:
    """``(dotted name, module)`` of every public package and of public top-level modules."""
    for name in jaxswarm._PACKAGES:
        yield from _with_subpackages(f"jaxswarm.{name}")


def _with_subpackages(name: str) -> Iterator[tuple[str, ModuleType]]:
    module = importlib.import_module(name)
    yield name, module
    exported = getattr(module, "__all__", ())
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        # A package that its parent does not export by name is where the parent's names are written.
        if found.name in exported and not found.name.startswith("_"):
            yield from _with_subpackages(f"{name}.{found.name}")


def _top_level() -> list[str]:
    return list(jaxswarm._NAMES)


def _names(module: ModuleType) -> list[str]:
    """The public names: ``__all__``, or what a module without it defines itself."""
    if hasattr(module, "__all__"):
        return [n for n in module.__all__ if not isinstance(getattr(module, n), ModuleType)]
    own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__]
    constants = [name for name in _documented_constants(module) if name not in own]
    return [name for name in own + constants if not name.startswith("_")]


def _page(
    name: str,
    module: ModuleType,
    names: Sequence[str],
    subpackages: Sequence[str],
    documented: dict[int, str],
) -> str:
    """The page of one package; ``documented`` holds where each object already has an entry."""
    groups: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for each in names:
        groups[_kind(getattr(module, each))].append(each)
    parts = [_title(name, "="), f".. automodule:: {name}\n   :no-members:"]
    if subpackages:
        parts += [_title("Packages", "-"), _toctree(subpackages)]
    for kind in [kind for kind in _KINDS if groups[kind]]:
        parts.append(_title(kind, "-"))
        names = sorted(groups[kind], key=str.lower)
        if len(names) > _FEW:
            parts.append(" · ".join(f":py:obj:`~{name}.{each}`" for each in names))
        for each in names:
            value, address = getattr(module, each), f"{name}.{each}"
            first = documented.setdefault(id(value), address) if kind != "Constants" else address
            is_first = first == address
            parts.append(
                _entry(module, each) if is_first else f"``{each}``: see :py:obj:`{first}`."
            )
    return "\n\n".join(parts) + "\n"


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "Classes"
    is_function = callable(value) and hasattr(value, "__name__") and hasattr(value, "__code__")
    is_function |= callable(value) and hasattr(value, "__wrapped__")
    return "Functions" if is_function else "Constants"


def _entry(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    kind = _kind(value)
    if kind == "Functions":
        return f".. autofunction:: {name}"
    if kind == "Classes":
        members = ", ".join(_methods(value))
        return f".. autoclass:: {name}" + (f"\n   :members: {members}" if members else "")
    text = " ".join(_documented_constants(module).get(name, "").split())
    text = f"{text}." if text and not text.endswith(".") else text
    if isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
        text += " Keys: " + ", ".join(f"``{key}``" for key in value) + "."
    elif isinstance(value, tuple | list | frozenset) and all(isinstance(x, str) for x in value):
        text += " Values: " + ", ".join(f"``{each}``" for each in value) + "."
    elif isinstance(value, int | float | str) and "`" not in repr(value):
        text += f" Value: ``{value!r}``."
    return f".. py:data:: {name}\n\n   {text.strip() or 'See the package above.'}"


def _methods(value: type) -> list[str]:
    """Documented public methods and properties that the class itself defines."""
    found = []
    for name, member in vars(value).items():
        function = getattr(member, "__func__", getattr(member, "fget", member))
        is_method = inspect.isfunction(function) or hasattr(function, "__wrapped__")
        if not name.startswith("_") and is_method and inspect.getdoc(member):
            found.append(name)
    return found


@cache
def _documented_constants(module: ModuleType) -> dict[str, str]:
    """``{name: docstring}`` of the assignments in the package's files that a string follows."""
    file = Path(inspect.getfile(module))
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    found: dict[str, str] = {}
    for each in files:
        body = ast.parse(each.read_text(encoding="utf-8")).body
        for node, following in pairwise(body):
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            target = node.target if isinstance(node, ast.AnnAssign) else target
            text = following.value if isinstance(following, ast.Expr) else None
            is_text = isinstance(text, ast.Constant) and isinstance(text.value, str)
            if isinstance(target, ast.Name) and is_text:
                found.setdefault(target.id, text.value)  # type: ignore[union-attr]
    return found


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _toctree(names: Sequence[str]) -> str:
    return ".. toctree::\n   :maxdepth: 1\n\n" + "\n".join(f"   {name}" for name in names)
