"""Importing the package is light: slow dependencies load with the package that needs them."""

import subprocess
import sys

import pytest

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
