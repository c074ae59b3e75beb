"""Settings of the C library's allocator for large arrays on CPUs.

XLA allocates the scratch memory of a program anew at every call. glibc serves large blocks by
``mmap`` and returns them to the kernel at once, so every page of them costs a page fault at every
call: beyond about 250 MB of state a simulation spent most of its time there.
"""

import ctypes
import os
import sys

VARIABLE = "JAXSWARM_ALLOCATOR"
"""Environment variable; ``system`` leaves the allocator as it is."""

_SETTINGS = (
    (-4, 0),  # M_MMAP_MAX: large blocks come from the heap, too
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD: what is freed is kept for the next call
    (-2, 2**28),  # M_TOP_PAD: the heap grows by 256 MB at a time
    (-8, 1),  # M_ARENA_MAX: one heap for all threads; other heaps cannot hold large blocks
)


def keep_memory() -> bool:
    """Let glibc keep freed memory for later use instead of returning it to the kernel.

    ``import jaxswarm`` calls it. It has an effect only before jax starts its threads, which it does
    when the first array is made, and only on Linux with glibc.

    Returns:
        Whether the settings were made: false elsewhere, or with ``JAXSWARM_ALLOCATOR=system``.
    """
    if os.environ.get(VARIABLE) == "system" or sys.platform != "linux":
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  # no attribute: another C library
        return all([library.mallopt(name, value) for name, value in _SETTINGS])
    except (AttributeError, OSError):
        return False
