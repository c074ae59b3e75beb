"""Bad values of every sort of argument, and a check that a function refuses them by name."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tests.later import built

NAN = float("nan")
SIZE = (0, -1, 2.5, NAN, jnp.float32(NAN), "2", None, True, [2], 1j)
COUNT = SIZE[1:]
"""As sizes, but 0 is allowed."""
FEW_SIZES = (0, 2.5, NAN, None)
"""For functions that take long to refuse."""
NUMBER = (NAN, jnp.float32(NAN), np.inf, jnp.float32(jnp.inf), "x", None, 1j, True, [0.1, 0.2])
SHARE = (*NUMBER, -0.1, 1.5, jnp.float32(1.5))
FLAG = (1, 0.5, "yes", None)
THING = (3, "x", [1], object())
"""Not an environment, network, rule, optimizer, game, …"""
OBJECT = (None, *THING)
KEY = (0, None, np.zeros(2, np.uint32), jax.random.split(jax.random.key(0), 2))
FUNCTION = (3, "x", None)
WIDTHS = ((), (0,), (2.5,), 8, "8", (None,), ("8",), (-1, 4), NAN)
NAME = ("nonsense", 3, None)


def with_defaults(function: Callable[..., Any], /, **defaults: Any) -> Callable[..., Any]:
    """A function with other defaults, which may be ``Later``."""
    return lambda **changed: built(function)(**(built(defaults) | changed))


def accepted(call: Callable[..., Any], bad: Mapping[str, Sequence[Any]]) -> list[str]:
    """What is wrong: bad values that ``call(**{name: value})`` takes, or refuses obscurely."""
    wrong = []
    for name, values in built(dict(bad)).items():
        for value in values:
            try:
                call(**{name: value})
            except ValueError as error:
                if re.search(rf"\b{name}\b", str(error)):
                    continue
                wrong.append(f"{name}={value!r}: ValueError without the name: {error}")
            except Exception as error:
                first = str(error).splitlines()[0] if str(error) else ""
                wrong.append(f"{name}={value!r}: {type(error).__name__}: {first[:100]}")
            else:
                wrong.append(f"{name}={value!r}: accepted")
    return wrong
