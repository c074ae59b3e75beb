"""The Python blocks of the pages run as they stand, one after the other, page by page."""

import ast
import importlib
import re
import types
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
WRITTEN = sorted([*DOCS.glob("*.md"), *DOCS.glob("concepts/*.md"), *DOCS.glob("howto/*.md")])
PAGES = {
    str(path.relative_to(DOCS)): blocks
    for path in WRITTEN
    if (blocks := re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL))
}
QUICK = {
    "concepts/agents_axis.md",
    "concepts/topology.md",
    "concepts/mixing.md",
    "concepts/exchange.md",
    "howto/papers.md",
    "howto/logging.md",
}
"""Pages whose code takes a fraction of a second; the others compile learners or environments."""
EXCERPTS = {"methods.md"}
"""Pages whose blocks are excerpts with an ellipsis; names are checked, nothing runs."""


def _run(page: str) -> None:
    namespace = {"__name__": "page"}
    for block in PAGES[page]:
        exec(compile(block, page, "exec"), namespace)


@pytest.mark.parametrize("page", sorted(QUICK))
def test_quick_pages_run(page):
    _run(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(set(PAGES) - QUICK - EXCERPTS))
def test_pages_run(page):
    _run(page)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_names_of_the_library_exist(page):
    """Every ``js.a.b.c`` of a page, without running it."""
    import jaxswarm

    tree = ast.parse("\n".join(PAGES[page]).replace("…", "..."))
    for node in ast.walk(tree):
        value, parts = node, []
        while isinstance(value, ast.Attribute):
            parts.append(value.attr)
            value = value.value
        if isinstance(value, ast.Name) and value.id == "js" and parts:
            found = jaxswarm
            for part in reversed(parts):
                if not isinstance(found, types.ModuleType):
                    break
                assert hasattr(found, part), f"{page}: {ast.unparse(node)}"
                found = getattr(found, part)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxswarm"):
            home = importlib.import_module(node.module)
            assert all(hasattr(home, alias.name) for alias in node.names), node.module
