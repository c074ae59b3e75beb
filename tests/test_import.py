"""Importing the package is light: slow dependencies load with the package that needs them."""

import platform
import subprocess
import sys

import pytest

from jaxswarm import _allocator

HEAVY = "jumanji distrax flax matplotlib networkx orbax scipy sklearn tensorflow_probability"


@pytest.mark.parametrize(
    "modules",
    [
        "jaxswarm",
        "jaxswarm.agents, jaxswarm.topology, jaxswarm.gossip, jaxswarm._simulate, "
        "jaxswarm.checkpoint",
    ],
)
def test_import_pulls_in_nothing_heavy(modules):
    allowed = ", ".join(f"'{name}'" for name in HEAVY.split())
    code = (
        "import jax, sys; before = set(sys.modules); "
        f"import {modules}; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        f"print(sorted(new & {{{allowed}}}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_allocator_can_be_left_alone(monkeypatch):
    if sys.platform == "linux" and platform.libc_ver()[0] == "glibc":
        monkeypatch.delenv(_allocator.VARIABLE, raising=False)
        assert _allocator.keep_memory()  # every setting was accepted
    monkeypatch.setenv(_allocator.VARIABLE, "system")
    assert not _allocator.keep_memory()
    monkeypatch.delenv(_allocator.VARIABLE)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not _allocator.keep_memory()
