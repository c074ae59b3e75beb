"""A battery of wrong arguments: each must meet a ``ValueError`` that names the argument.

A table maps the name of a public function to ``(function, good arguments, kinds)``, where ``kinds``
gives for each argument that is tried the kind of value that it expects. Values may be ``Later``.
"""

import inspect

import jax
import numpy as np

from tests.later import built

NAN, INF = float("nan"), float("inf")
ODD = ["x", 1j, object(), {"a": 1}]

BAD = {
    "size": [0, -1, 2.5, NAN, INF, True, "3", None, [3], 2**40, np.float32(3.0)],
    "count": [-1, 2.5, NAN, INF, True, "3", [3], 2**40],  # at least 0
    "optional": [0, -1, 2.5, NAN, True, "3", 2**40],  # a size, or None
    "seed": [-1, 2.5, NAN, "3", None],
    "positive": [0.0, -1.0, NAN, INF, None, *ODD],
    "number": [NAN, INF, None, *ODD],
    "nonnegative": [-1.0, NAN, INF, None, *ODD],
    "probability": [-0.1, 1.5, NAN, None, *ODD],
    "flag": [2, "yes", None, 0.5],
    "key": [0, None, "key", np.zeros(2, np.uint32)],
    "function": [3, None, "f"],
    "name": ["no such name", 3, None, ["ring"]],
    "thing": [3, None, "x", np.zeros(2)],  # an object of this package
    "mask": [np.ones(3, bool), np.ones(7), np.ones((7, 2), bool), "x"],  # not of 7 agents
    "indices": [[0.5], [-1], [10**6], ["x"], [[0, 1]], [True], "x"],
    "numbers": [[[NAN]], "x", [[1j]], [["x"]], object()],
}


def refusals(table, name):
    """What a function of a table did with wrong arguments instead of naming them."""
    function, good, kinds = built(table[name])
    wrong = []
    for argument, kind in kinds.items():
        for value in BAD[kind] if isinstance(kind, str) else kind:
            try:
                function(**(good | {argument: value}))
            except ValueError as error:
                if argument in str(error) or (kind == "name" and "unknown" in str(error)):
                    continue
                wrong.append(f"{name}({argument}={value!r}): does not name it: {error}"[:200])
            except Exception as error:
                shown = f"{type(error).__name__}: {error}"
                wrong.append(f"{name}({argument}={value!r}): {shown}"[:200])
            else:
                wrong.append(f"{name}({argument}={value!r}): accepted")
    return wrong


def functions(module):
    """Names of the public functions and validating constructors of a package."""
    found = set()
    for name in module.__all__:
        value = getattr(module, name)
        validates = isinstance(value, type) and hasattr(value, "__post_init__")
        if inspect.isfunction(value) or isinstance(value, jax.stages.Wrapped) or validates:
            found.add(name)
    return found
