"""Bad values by sort of argument, shared by the batteries of bad input; any may be ``Later``."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from tests.later import built

NAN, INF = float("nan"), float("inf")
SIZE = (0, -1, 2.5, NAN, INF, "2", True, [2], 2**40, jnp.float32(2.0), np.array([2, 3]))
COUNT = SIZE[1:]  # sizes that may be 0
INDEX = (-1, 99, 1.5, NAN, "x", [1], jnp.int32(99))
POSITIVE = (0.0, -1.0, NAN, INF, "1", [1.0], jnp.float32(NAN), jnp.float32(-1.0), 1j)
NOT_NEGATIVE = (-1.0, NAN, INF, "1", [1.0], jnp.float32(NAN), jnp.float32(-1.0), 1j)
NUMBER = (NAN, INF, "1", [1.0], 1j)
SHARE = (-0.1, 1.1, NAN, "x", [0.5], jnp.float32(1.5))
INNER_SHARE = (0.0, 1.0, *SHARE)
FLAG = (2, "yes", None, [True], 1.0)
FUNCTION = (None, 3, "loss", [1.0])
NAME = (3, None, "no such name", ["iid"])
SEED = (-1, 1.5, NAN, "0", None, [1])
OBJECT = (None, 3, "x", [1, 2], {"a": 1}, np.zeros(3))
KEY = (None, 0, 1.5, np.zeros(2, np.uint32), "key")


class Call(NamedTuple):
    """A function, arguments that it accepts, and for some of them values that it must refuse."""

    function: Callable[..., Any]
    good: dict[str, Any]
    bad: dict[str, tuple[Any, ...]]
    named: Mapping[str, str] = MappingProxyType({})
    """What an error calls the argument, where that is another name."""


def refuses(call: Call, argument: str) -> None:
    """Check that every bad value of an argument meets a ``ValueError`` that names it."""
    word = call.named.get(argument, argument)
    call = Call(*built(tuple(call)))
    for value in call.bad[argument]:
        text = _refusal(call, {**call.good, argument: value})
        assert text is not None, f"{argument}={value!r} was accepted"
        assert re.search(word, text), f"{argument}={value!r}: {text}"


def accepts(call: Call) -> Any:
    """What the function returns for the arguments that it accepts."""
    return built(call.function)(**built(call.good))


def _refusal(call: Call, arguments: dict[str, Any]) -> str | None:
    try:
        call.function(**arguments)
    except ValueError as error:
        return str(error)
    return None


def cases(calls: dict[str, Call]) -> list[tuple[str, str]]:
    """All ``(call, argument)`` of a battery."""
    return [(name, argument) for name, call in calls.items() for argument in call.bad]
