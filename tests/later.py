"""Values that are built when a test first needs them: importing a test module compiles nothing."""

import functools
from typing import Any

import jax
from jax._src import core

# Unlike the public one it does not fold constants while a program is lowered, which tests that
# share an MLIR context (see conftest.py) do not bear.
_outside_of_traces = getattr(core, "eval_context", jax.ensure_compile_time_eval)


class Later:
    """The result of a call, computed at its first use and kept; its attributes wait as well.

    The function and its arguments may be ``Later`` themselves. Tables of arguments hold these;
    ``built`` replaces them before a test calls anything.

    Example:
        >>> params = Later(dict, weight=2.0)
        >>> built({"params": params, "others": (Later(len, params), None)})
        {'params': {'weight': 2.0}, 'others': (1, None)}
    """

    def __init__(self, function: Any, *args: Any, **kwargs: Any):
        self._call = function, args, kwargs

    @functools.cached_property
    def value(self) -> Any:
        function, args, kwargs = built(self._call)
        with _outside_of_traces():  # also where a traced function needs it first
            return function(*args, **kwargs)

    def __getattr__(self, name: str) -> "Later":
        if name == "value" or name.startswith("__"):  # an error while building, or a protocol
            raise AttributeError(name)
        return Later(lambda: getattr(self.value, name))


def built(tree: Any) -> Any:
    """A dictionary, list or tuple of any depth with the values in place of those to be built."""
    if isinstance(tree, Later):
        return built(tree.value)
    if type(tree) is dict:
        return {key: built(value) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(built(value) for value in tree)
    return tree
