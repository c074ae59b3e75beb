"""Checks of learners' arguments: hyper-parameters, sizes, layers, networks' weights."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.errors import unknown
from jaxswarm.types import Params

UNIT = (0.0, 1.0)
POSITIVE = (0.0, math.inf)
SHARE = (1e-12, 1.0)
"""Ranges of hyper-parameters; ``SHARE`` is a unit range without 0."""


def check_ranges(
    hyperparameters: Any,
    ranges: Mapping[str, tuple[float, float]],
    *,
    infinite: Collection[str] = (),
    optional: Collection[str] = (),
    num_agents: int | None = None,
) -> None:
    """Refuse known values outside their closed range; traced values pass.

    Args:
        hyperparameters: has an attribute for every name in ``ranges``.
        ranges: name -> ``(low, high)``.
        infinite: names of those that may be infinite.
        optional: names of those that may be ``None``.
        num_agents: number of independent learners, which may have values ``[N]`` each; ``None`` if
            all values are single numbers.

    Raises:
        ValueError: naming the value, what was expected and what came.

    Example:
        >>> from types import SimpleNamespace
        >>> check_ranges(SimpleNamespace(discount=1.5), {"discount": (0.0, 1.0)})
        Traceback (most recent call last):
        ...
        ValueError: discount: expected a finite number in [0, 1], got 1.5
    """
    for name, (low, high) in ranges.items():
        given: Any = getattr(hyperparameters, name)
        if given is None and name in optional:
            continue
        several = num_agents is not None and len(getattr(given, "shape", ())) == 1
        shape = (num_agents,) if several else ()
        checks.real(name, given, low, high, shape=shape, infinite=name in infinite)


def check_kind(hyperparameters: Any, kind: type, name: str = "hyperparameters") -> Any:
    """Check that hyper-parameters are those of a learner and return them.

    Raises:
        ValueError: naming the learner's type and what came.
    """
    return checks.instance(name, hyperparameters, kind)


def check_numbers(hyperparameters: Any, kind: type, num_agents: int | None) -> None:
    """Check the type of a step's hyper-parameters, and that their known numbers are not NaN.

    Args:
        hyperparameters: what the caller gave as ``inputs``.
        kind: the learner's type, a NamedTuple.
        num_agents: number of independent learners; ``None`` if agents share one.

    Raises:
        ValueError: naming the value.
    """
    check_kind(hyperparameters, kind, "inputs")
    names = [name for name in getattr(kind, "_fields", ())]
    ranges = dict.fromkeys(names, (-math.inf, math.inf))
    check_ranges(hyperparameters, ranges, optional=names, infinite=names, num_agents=num_agents)


def positive_sizes(**sizes: Any) -> tuple[int, ...]:
    """Check sizes of at least 1 and return them as ``int``.

    Raises:
        ValueError: naming the size.
    """
    return tuple(checks.whole(name, size, 1) for name, size in sizes.items())


def layer_widths(name: str, widths: Any) -> tuple[int, ...]:
    """Check the widths of hidden layers, at least one of at least 1, and return them.

    Raises:
        ValueError: naming the argument.
    """
    array = checks.wholes(name, widths, 1, shape=(None,))
    if not len(array):
        raise ValueError(f"{name}: expected at least one layer, got none")
    return tuple(int(width) for width in array)


def flag(name: str, value: Any) -> Any:
    """Check a single flag, ``bool`` or a traced or known array ``bool[]``, and return it.

    Raises:
        ValueError: for numbers, other shapes and other types.
    """
    if not isinstance(value, bool):
        checks.mask(name, value, ())
    return value


def choice(name: str, value: Any, options: Collection[str]) -> str:
    """Check the name of an option and return it.

    Raises:
        ValueError: with the closest known name.
    """
    if not isinstance(value, str) or value not in options:
        raise unknown(name, value, options)
    return value


def check_optimizer(optimizer: Any, name: str = "optimizer") -> Any:
    """Check that a value is an optax optimizer and return it.

    Raises:
        ValueError: naming what came.
    """
    if not (callable(getattr(optimizer, "init", None)) and hasattr(optimizer, "update")):
        raise ValueError(
            f"{name}: expected an optax.GradientTransformation such as optax.scale_by_adam(), got "
            f"{checks.shown(optimizer)}"
        )
    return optimizer


def check_weights(
    params: Params,
    init: Callable[[jax.Array], Params],
    num_agents: int | None,
    name: str = "params",
) -> None:
    """Check that ``params`` are weights of a network: of one learner, or of ``N``.

    Args:
        params: what the caller gave.
        init: the network's ``init``.
        num_agents: leading axis of independent learners; ``None`` for shared weights.
        name: the argument, for the message.

    Raises:
        ValueError: naming the leaf, its expected and its found shape.
    """
    if num_agents is not None:
        agents.check_leading_axis(params, num_agents, name)
    expected = jax.tree_util.tree_leaves_with_path(jax.eval_shape(init, jax.random.key(0)))
    found = {jax.tree_util.keystr(path): leaf for path, leaf in _leaves(params)}
    lead = () if num_agents is None else (num_agents,)
    hint = "shared=True" if num_agents is None else "shared=False"
    names = [jax.tree_util.keystr(path) for path, _ in expected]
    odd = [n for n in names if n not in found] + [n for n in found if n not in names]
    if odd:
        kind = "missing" if odd[0] not in found else "unknown"
        raise ValueError(
            f"{name}: expected this network's weights, as rl.initialize makes them with {hint}, got"
            f" a tree with leaf {odd[0]} {kind}"
        )
    for leaf_name, (_, leaf) in zip(names, expected, strict=True):
        if jnp.shape(found[leaf_name]) != (*lead, *leaf.shape):
            raise ValueError(
                f"{name}: leaf {leaf_name}: expected shape {(*lead, *leaf.shape)} ({hint}), got "
                f"{jnp.shape(found[leaf_name])}"
            )


def _leaves(tree: Params) -> Sequence[tuple[Any, Any]]:
    return jax.tree_util.tree_leaves_with_path(tree)
