"""Execution profiles: one function run in several precisions, batches, layouts and compilations.

Two nodes that compute the same function on the same inputs differ in rounding, because they use
other types, batch sizes (which change the order of sums), compilers or devices. A profile names one
such way of execution, and :func:`run` executes a function that way; nothing is simulated.

On CPUs XLA ignores the precision of matrix products, so that profiles which differ in nothing else
are the same execution there: :func:`available` leaves them out.

Shapes: ``B`` rows of the inputs.

References:
    E. Kim, I. Isozaki, N. Sirkin, M. Robson, Generative AI reproducibility and consensus, 2023.
"""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxswarm import checks
from jaxswarm.types import Params, PyTree

DTYPES = ("float32", "bfloat16", "float16")
"""Types to which :func:`run` can convert parameters and floating inputs."""

MATMUL_PRECISIONS = ("default", "tensorfloat32", "bfloat16", "float32", "highest")
"""Precisions of ``jax.default_matmul_precision`` that a profile may ask for."""


class Profile(NamedTuple):
    """A way of executing a function of parameters and rows.

    Attributes:
        name: for tables and messages.
        dtype: type of parameters and floating inputs, one of :data:`DTYPES`.
        batch_size: rows that are computed together; ``None`` for all.
        padding: further rows in every batch, whose results are dropped.
        compiled: whether the function is compiled as a whole; if not, it runs operation by
            operation, ``lax`` loops included, which is slow.
        num_devices: devices over which the rows of a batch are sharded.
        matmul_precision: one of :data:`MATMUL_PRECISIONS`, without effect on CPUs; ``None`` for
            jax's own.
    """

    name: str
    dtype: str = "float32"
    batch_size: int | None = None
    padding: int = 0
    compiled: bool = True
    num_devices: int = 1
    matmul_precision: str | None = None


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("float32"),
        Profile("batch 1", batch_size=1),
        Profile("batch 7", batch_size=7, padding=1),
        Profile("op by op", compiled=False),
        Profile("bfloat16", dtype="bfloat16"),
        Profile("float16", dtype="float16"),
        Profile("2 devices", num_devices=2),
        Profile("tensorfloat32", matmul_precision="tensorfloat32"),
    )
}
"""Named profiles; ``"float32"``, all rows in one compiled program, is the reference."""


def available() -> dict[str, Profile]:
    """Those of :data:`PROFILES` that differ from the others on this machine.

    Without ``"2 devices"`` where jax has one device, and without profiles of a precision of matrix
    products on CPUs.

    Example:
        >>> from jaxswarm.trust import profiles
        >>> {"float32", "batch 7", "op by op", "bfloat16"} <= set(profiles.available())
        True
    """
    on_cpu = jax.default_backend() == "cpu"
    return {
        name: profile
        for name, profile in PROFILES.items()
        if profile.num_devices <= jax.device_count()
        and not (on_cpu and profile.matmul_precision is not None)
    }


def run(
    fn: Callable[..., PyTree], params: Params, inputs: PyTree, profile: Profile | str
) -> PyTree:
    """Execute a function of parameters and rows in a profile; runs on the host.

    Equal arguments give equal bits. A function that is called again with rows of the same shape is
    not compiled anew.

    Args:
        fn: ``fn(params, inputs) -> outputs``, whose results for a row may not depend on the other
            rows; it computes in the types of its arguments. A function of ``jax.jit`` keeps its own
            options.
        params: pytree; floating leaves are converted to the profile's type.
        inputs: pytree of leaves ``[B, ...]``, for example noise and conditions; floating leaves are
            converted.
        profile: a profile, or the name of one of :data:`PROFILES`.

    Returns:
        Outputs as numpy arrays ``[B, ...]``, floating ones as float32.

    Raises:
        ValueError: for arguments of another kind, inputs without a common number of rows, more
            devices than there are, or outputs without an axis of rows.

    Example:
        >>> import jax.numpy as jnp, numpy as np
        >>> from jaxswarm.trust import profiles
        >>> weights = jnp.linspace(-1.0, 1.0, 12).reshape(4, 3)
        >>> x = np.linspace(0.0, 1.0, 20).reshape(5, 4)
        >>> exact = profiles.run(lambda w, x: jnp.tanh(x @ w), weights, x, "float32")
        >>> rounded = profiles.run(lambda w, x: jnp.tanh(x @ w), weights, x, "bfloat16")
        >>> exact.shape, bool(np.abs(exact - rounded).max() > 1e-3)
        ((5, 3), True)
    """
    checks.function("fn", fn)
    profile = check_profile(profile)
    leaves = jax.tree.leaves(inputs)
    counts = {np.shape(leaf)[:1] for leaf in leaves}
    if len(counts) != 1 or () in counts or (0,) in counts:
        raise ValueError(
            "inputs: expected leaves [B, ...] of one number of rows B >= 1, got shapes "
            f"{[np.shape(leaf) for leaf in leaves]}"
        )
    (count,) = counts.pop()
    rows = count if profile.batch_size is None else min(profile.batch_size, count)
    size = rows + profile.padding
    size += -size % profile.num_devices
    place = _placement(profile)
    params = jax.tree.map(lambda leaf: place(_converted(leaf, profile.dtype), False), params)
    inputs = jax.tree.map(lambda leaf: _converted(leaf, profile.dtype), inputs)
    call = fn if hasattr(fn, "lower") or not profile.compiled else jax.jit(fn)
    found = []
    with contextlib.ExitStack() as settings:
        if not profile.compiled:
            settings.enter_context(jax.disable_jit())
        if profile.matmul_precision is not None:
            settings.enter_context(jax.default_matmul_precision(profile.matmul_precision))
        for start in range(0, count, rows):
            # What fills a batch repeats the last row.
            taken = np.minimum(np.arange(start, start + size), count - 1)
            batch = inputs
            if size != count:
                batch = jax.tree.map(lambda leaf, taken=taken: leaf[taken], inputs)
            batch = jax.tree.map(lambda leaf: place(leaf, True), batch)
            kept = min(rows, count - start)
            found.append(
                jax.tree.map(lambda x, kept=kept: _host(x, size, kept), call(params, batch))
            )
    return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


def check_profile(profile: Profile | str, name: str = "profile") -> Profile:
    """Check a profile, or look up the name of one, and return it.

    Raises:
        ValueError: for an unknown name or type, sizes out of range, or too few devices.
    """
    if isinstance(profile, str):
        profile = PROFILES[checks.choice(name, profile, PROFILES)]
    checks.instance(name, profile, Profile, "profiles.Profile('mine', batch_size=4)")
    checks.choice("dtype", profile.dtype, DTYPES)
    if profile.batch_size is not None:
        checks.whole("batch_size", profile.batch_size, 1)
    checks.whole("padding", profile.padding)
    checks.flag("compiled", profile.compiled)
    devices = checks.whole("num_devices", profile.num_devices, 1)
    if devices > jax.device_count():
        raise ValueError(
            f"num_devices: expected at most {jax.device_count()}, the devices that there are, got "
            f"{devices}"
        )
    if profile.matmul_precision is not None:
        checks.choice("matmul_precision", profile.matmul_precision, MATMUL_PRECISIONS)
    return profile


def convert(tree: PyTree, dtype: str) -> PyTree:
    """Convert the floating leaves of a pytree to one of :data:`DTYPES`; others stay.

    Differentiable, so that gradients of a loss in half precision arrive at float32 parameters.
    """
    checks.choice("dtype", dtype, DTYPES)

    def leaf(x: Any) -> Any:
        return jnp.asarray(x).astype(dtype) if _is_floating(x) else x

    return jax.tree.map(leaf, tree)


def _is_floating(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(leaf), jnp.floating)


def _converted(leaf: Any, dtype: str) -> Any:
    """A leaf on the host in a type, so that slicing it compiles nothing; keys stay on a device."""
    if jnp.issubdtype(getattr(leaf, "dtype", float), jax.dtypes.prng_key):
        return leaf
    array = np.asarray(leaf)
    return array.astype(jnp.dtype(dtype)) if jnp.issubdtype(array.dtype, jnp.floating) else array


def _placement(profile: Profile) -> Callable[[Any, bool], Any]:
    """Put a leaf on the profile's devices, its rows sharded or the whole replicated."""
    if profile.num_devices == 1:
        return lambda leaf, by_rows: jnp.asarray(leaf)
    mesh = Mesh(np.asarray(jax.devices()[: profile.num_devices]), ("rows",))
    sharded = NamedSharding(mesh, PartitionSpec("rows"))
    whole = NamedSharding(mesh, PartitionSpec())
    return lambda leaf, by_rows: jax.device_put(leaf, sharded if by_rows else whole)


def _host(x: jax.Array, size: int, kept: int) -> np.ndarray:
    if not np.ndim(x) or np.shape(x)[0] != size:
        raise ValueError(f"fn: expected outputs [{size}, ...], one per row, got {np.shape(x)}")
    array = np.asarray(x)[:kept]
    return array.astype(np.float32) if jnp.issubdtype(array.dtype, jnp.floating) else array
