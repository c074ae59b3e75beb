"""Several devices of one CPU, set from inside the program instead of by ``XLA_FLAGS``."""

import os

import jax

from jaxswarm import checks

_FLAG = "--xla_force_host_platform_device_count"


def force_cpu_devices(count: int) -> bool:
    """Let the CPU count as ``count`` devices; call it before jax uses a device.

    The devices share the CPU's cores: they show that a program runs sharded, not that it becomes
    faster. A number in ``XLA_FLAGS`` stands, and so does everything if jax runs already with as
    many devices. GPUs and TPUs are not concerned: where jax finds them, the CPU is not used.

    Args:
        count: number of devices, at least 1.

    Returns:
        Whether the devices that jax finds are forced ones of the CPU, by this call. It starts jax.

    Raises:
        ValueError: if ``count`` is no number ≥ 1, or jax runs already with fewer devices.

    Example:
        >>> force_cpu_devices(1)  # jax runs already, and has one
        False
    """
    count = checks.whole("count", count, 1)
    if _FLAG in os.environ.get("XLA_FLAGS", ""):
        return False
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # a device has been used
        if jax.default_backend() == "cpu" and jax.device_count() < count:
            raise ValueError(
                f"count: jax runs already, with {jax.device_count()} CPU devices of {count}; call "
                "sharding.force_cpu_devices before anything that uses a device"
            ) from None
        return False
    return jax.default_backend() == "cpu" and count > 1
