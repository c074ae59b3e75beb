"""Check arguments: one function for each sort, used by every package.

Each returns the value that the caller goes on with and raises a ``ValueError`` that names the
argument, what was expected and what came. Values are checked whenever they are known, concrete
``jax.Array`` included; only what ``jit``, ``vmap`` or ``grad`` is tracing passes unchecked, since
its values do not exist yet.

Gossip rules check operators with :func:`jaxswarm.gossip.require_operator` and parameters with
:func:`jaxswarm.agents.check_params`; graphs are checked by
:func:`jaxswarm.topology.require_topology`.
"""

import math
import operator
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxswarm import errors

if TYPE_CHECKING:
    import jax

LARGEST = 2**31 - 1
"""The largest ``int32``: round numbers, sizes and identifiers lie below it."""


def is_traced(value: Any) -> bool:
    """Return whether ``jit``, ``vmap`` or ``grad`` is tracing a value, so that it is unknown."""
    jax = sys.modules.get("jax")  # not imported here: the command line stays quick without it
    return jax is not None and isinstance(value, jax.core.Tracer)


def is_whole(value: Any) -> bool:
    """Return whether a concrete value is a whole number: neither a flag nor ``2.0``."""
    try:
        operator.index(value)
    except TypeError:
        return False
    return not isinstance(value, (bool, np.bool_))


def whole(name: str, value: Any, low: int = 0, high: int = LARGEST) -> int:
    """Return a whole number as ``int``: a size, a count, a position.

    Args:
        name: the argument, for the message.
        value: ``int``, a numpy integer or a concrete integer array without axes. Neither a flag nor
            ``2.0``.
        low: smallest value allowed.
        high: largest value allowed.

    Example:
        >>> whole("num_agents", 3, 1)
        3
        >>> whole("num_agents", 2.5, 1)
        Traceback (most recent call last):
        ...
        ValueError: num_agents: expected a whole number of at least 1, got 2.5

    Raises:
        ValueError: anything else, also a traced value, since sizes must be known.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if isinstance(value, (bool, np.bool_)) or number is None or not low <= number <= high:
        wanted = f"of at least {low}" if high == LARGEST else f"in [{low}, {high}]"
        raise ValueError(f"{name}: expected a whole number {wanted}, got {shown(value)}")
    return number


def wholes(name: str, value: Any, low: int = 0, high: int = LARGEST, *, shape: Any = None) -> Any:
    """Return whole numbers as an array ``int32``; traced ones are only checked for their dtype.

    Args:
        name: the argument, for the message.
        value: anything that converts to an array of integers; an empty list is one.
        low: smallest value allowed.
        high: largest value allowed.
        shape: the shape expected; ``None`` inside it, or instead of it, stands for any extent.

    Returns:
        A numpy array, or the traced array.

    Raises:
        ValueError: floats, flags, values out of range or another shape.
    """
    wanted = (
        f"whole numbers in [{low}, {high}]"
        if high != LARGEST
        else (f"whole numbers of at least {low}")
    )
    array = value if is_traced(value) else as_array(name, value, wanted)
    if not is_traced(array) and array.size == 0 and not hasattr(value, "dtype"):
        array = array.astype(np.int32)
    if not _is_whole(array.dtype):
        raise ValueError(f"{name}: expected {wanted}, got {shown(value)}")
    _expect_shape(name, array, shape)
    if is_traced(array):
        return array
    bad = (array < low) | (array > high)
    if bad.any():
        raise ValueError(f"{name}: expected {wanted}, got {array[bad].flat[0]}")
    return array.astype(np.int32)


def real(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: float | None = None,
    below: float | None = None,
    shape: Any = (),
    infinite: bool = False,
) -> Any:
    """Check a finite real number, or an array of them, and return it as it came.

    Args:
        name: the argument, for the message.
        value: a number or array; traced ones are only checked for shape and dtype.
        low: smallest value allowed.
        high: largest value allowed.
        above: excluded lower bound, instead of ``low``.
        below: excluded upper bound, instead of ``high``.
        shape: the shape expected, a plain number by default; ``None`` inside it, or instead of it,
            stands for any extent.
        infinite: whether infinities within the bounds are allowed. NaN never is.

    Returns:
        ``value`` itself, so that dtypes and weak types stay.

    Example:
        >>> real("learning_rate", 0.1, above=0.0)
        0.1
        >>> real("learning_rate", float("nan"), above=0.0)
        Traceback (most recent call last):
        ...
        ValueError: learning_rate: expected a finite number > 0, got nan

    Raises:
        ValueError: anything else.
    """
    wanted = _range(low, high, above, below, infinite, plural=shape != ())
    array = value if is_traced(value) else as_array(name, value, wanted)
    dtype = array.dtype
    if not (_is_floating(dtype) or _is_whole(dtype)):
        raise ValueError(f"{name}: expected {wanted}, got {shown(value)}")
    _expect_shape(name, array, shape)
    if is_traced(array):
        return value
    numbers = array.astype(np.float64)
    good = (numbers >= low) & (numbers <= high)
    good &= np.isfinite(numbers) | infinite
    if above is not None:
        good &= numbers > above
    if below is not None:
        good &= numbers < below
    if not good.all():
        raise ValueError(f"{name}: expected {wanted}, got {numbers[~good].flat[0]:.6g}")
    return value


def probability(name: str, value: Any, *, shape: Any = ()) -> Any:
    """Check a probability or a share in ``[0, 1]`` and return it as it came.

    Raises:
        ValueError: as :func:`real`.
    """
    return real(name, value, 0.0, 1.0, shape=shape)


def index(name: str, value: Any, size: int) -> Any:
    """Check a position among ``size`` things and return it, as ``int`` unless it is traced.

    Raises:
        ValueError: unless it is a whole number in ``[0, size)``.
    """
    if is_traced(value):
        if not _is_whole(value.dtype) or value.shape != ():
            raise ValueError(f"{name}: expected an index in [0, {size}), got {shown(value)}")
        return value
    try:
        return whole(name, value, 0, size - 1)
    except ValueError:
        raise ValueError(f"{name}: expected an index in [0, {size}), got {shown(value)}") from None


def mask(name: str, value: Any, shape: Any) -> Any:
    """Check flags, ``bool`` of a shape such as ``(num_agents,)``, and return them as an array.

    Raises:
        ValueError: for another dtype or shape.
    """
    wanted = f"bool{_shape_text(shape)}"
    if is_traced(value) or _is_jax_array(value):
        array = value
    else:
        array = as_array(name, value, wanted)
    if array.dtype != bool:
        raise ValueError(f"{name}: expected {wanted}, got {array.dtype}{list(array.shape)}")
    _expect_shape(name, array, shape, f"expected {wanted}, got bool{list(array.shape)}")
    return array


def key(value: Any, name: str = "key", *, shape: Any = ()) -> Any:
    """Check typed random keys, a single one by default, and return them.

    Raises:
        ValueError: for legacy ``uint32`` keys, seeds, or another shape.
    """
    dtype = getattr(value, "dtype", None)
    if dtype is None or not _is_key(dtype):
        raise ValueError(
            f"{name}: expected a typed key from jax.random.key(seed), got {shown(value)}"
        )
    _expect_shape(name, value, shape)
    return value


def function(name: str, value: Any) -> Callable[..., Any]:
    """Check that a value can be called and return it.

    Raises:
        ValueError: naming the type that came, and the attribute to pass instead where an algorithm
            or model came for its function of that name.
    """
    if not callable(value):
        own = callable(getattr(value, name, None))
        hint = f"; pass its function, {type(value).__name__.lower()}.{name}" if own else ""
        raise ValueError(f"{name}: expected a function, got {shown(value)}{hint}")
    return value


def instance(name: str, value: Any, kind: type | tuple[type, ...], example: str = "") -> Any:
    """Check that a value is of a type and return it.

    Args:
        name: the argument, for the message.
        value: what came.
        kind: the type expected, or several.
        example: how to make one, for the message: ``"topology.ring(64)"``.

    Raises:
        ValueError: naming the expected type and what came.
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(k.__name__ for k in kinds)
        hint = f" such as {example}" if example else ""
        raise ValueError(f"{name}: expected a {wanted}{hint}, got {shown(value)}")
    return value


def numbers(name: str, value: Any, shape: Any = None) -> "jax.Array":
    """Return real numbers as a floating ``jax.Array``; NaN and infinity pass, unlike :func:`real`.

    For data that a run produces, where a NaN is an outcome and not a wrong argument.

    Raises:
        ValueError: for another shape, complex numbers, flags, keys or what is no array.
    """
    import jax.numpy as jnp

    wanted = "real numbers" if shape is None else f"real numbers {_shape_text(shape)}"
    known = is_traced(value) or _is_jax_array(value)
    array = value if known else as_array(name, value, wanted)
    floating = _is_floating(array.dtype)
    if not floating and not _is_whole(array.dtype):
        raise ValueError(f"{name}: expected {wanted}, got {shown(value)}")
    _expect_shape(name, array, shape)
    return jnp.asarray(array) if floating else jnp.asarray(array, jnp.float32)


def flag(name: str, value: Any) -> bool:
    """Return a setting that is on or off as ``bool``.

    Raises:
        ValueError: anything but ``True`` and ``False``, also traced flags.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}: expected True or False, got {shown(value)}")
    return bool(value)


def choice(kind: str, value: Any, options: Any) -> str:
    """Return one of several names.

    Raises:
        ValueError: naming the known ones, as :func:`jaxswarm.errors.unknown` words it.
    """
    if not isinstance(value, str) or value not in options:
        raise errors.unknown(kind, value, options)
    return value


def concrete(name: str, value: Any) -> Any:
    """Check that nothing in a pytree is traced, for what numpy computes, and return it.

    Raises:
        ValueError: naming the argument.
    """
    import jax

    if any(is_traced(leaf) for leaf in jax.tree.leaves(value)):
        raise ValueError(
            f"{name}: expected concrete arrays, got traced ones; call this outside jit, vmap and "
            "grad"
        )
    return value


def as_array(name: str, value: Any, wanted: str) -> np.ndarray:
    """Convert what a caller gave to a numpy array.

    Raises:
        ValueError: if it is ragged, a string or an object, naming ``wanted``.
    """
    try:
        array = np.asarray(value)
    except Exception as error:  # ragged lists, keys, objects: numpy and jax raise many types
        raise ValueError(f"{name}: expected {wanted}, got {shown(value)}") from error
    if array.dtype.kind in "OSUmMc":
        raise ValueError(f"{name}: expected {wanted}, got {shown(value)}")
    return array


def shown(value: Any) -> str:
    """Describe a value for an error message: numbers and short texts as they are, arrays by shape.

    Example:
        >>> shown(2.5), shown(np.zeros((2, 3)))
        ('2.5', 'float64[2, 3]')
    """
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if is_traced(value):
        return f"traced {dtype}{list(value.shape)}"
    if dtype is not None and isinstance(shape, tuple):
        plain = shape == () and not _is_key(dtype)
        return str(value) if plain else f"{dtype}{list(shape)}"
    if value is None or isinstance(value, (bool, int, float, complex)):
        return repr(value)
    if isinstance(value, (str, list, tuple, dict, set)) and len(repr(value)) <= 60:
        return repr(value)
    if isinstance(value, type) or callable(value):
        return f"{type(value).__name__} {getattr(value, '__name__', '')}".rstrip()
    return type(value).__name__


def _is_jax_array(value: Any) -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(value, jax.Array)


def _is_floating(dtype: Any) -> bool:
    """Whether a dtype is one of real floating numbers, those of ``ml_dtypes`` included."""
    return str(dtype).startswith(("float", "bfloat"))


def _is_whole(dtype: Any) -> bool:
    return str(dtype).startswith(("int", "uint"))


def _is_key(dtype: Any) -> bool:
    """Whether a dtype is that of typed random keys, ``key<fry>``."""
    return str(dtype).startswith("key<")


def _expect_shape(name: str, array: Any, shape: Any, message: str | None = None) -> None:
    if shape is None:
        return
    wanted: Sequence[int | None] = (shape,) if isinstance(shape, int) else tuple(shape)
    found = tuple(array.shape)
    fits = len(found) == len(wanted) and all(
        w is None or w == f for w, f in zip(wanted, found, strict=True)
    )
    if not fits:
        what = "a single value of shape ()" if wanted == () else f"shape {_shape_text(wanted)}"
        raise ValueError(f"{name}: {message or f'expected {what}, got shape {found}'}")


def _shape_text(shape: Any) -> str:
    extents = (shape,) if isinstance(shape, int) else tuple(shape)
    return f"[{', '.join('any' if extent is None else str(extent) for extent in extents)}]"


def _range(
    low: float,
    high: float,
    above: float | None,
    below: float | None,
    infinite: bool,
    plural: bool,
) -> str:
    noun = "numbers" if plural else "a number"
    if not infinite:
        noun = "finite numbers" if plural else "a finite number"
    lower = (above is not None, low if above is None else above)
    upper = (below is not None, high if below is None else below)
    if lower[1] > -math.inf and upper[1] < math.inf:
        brackets = "(["[not lower[0]], ")]"[not upper[0]]
        return f"{noun} in {brackets[0]}{lower[1]:g}, {upper[1]:g}{brackets[1]}"
    if lower[1] > -math.inf:
        return f"{noun} {'>' if lower[0] else '>='} {lower[1]:g}"
    if upper[1] < math.inf:
        return f"{noun} {'<' if upper[0] else '<='} {upper[1]:g}"
    return noun
