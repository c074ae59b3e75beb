"""What this machine can do at best: its matrix-product peak and its copy bandwidth, measured."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

GEMM_SIZE = 1024
COPY_BYTES = 2**27


class Ceiling:
    """Both ceilings as short runs, so that they can take turns with what they bound.

    Args:
        gemm_size: rows of the square matrices.
        copy_bytes: size of the block that is copied; well beyond the caches.
        calls: of either, one after the other, per sample; a fast device needs several.
    """

    def __init__(
        self, gemm_size: int = GEMM_SIZE, copy_bytes: int = COPY_BYTES, calls: int = 1
    ) -> None:
        self._flop, self._bytes = 2 * gemm_size**3 * calls, 2 * copy_bytes * calls
        self._calls = calls
        square = jax.random.normal(jax.random.key(0), (gemm_size, gemm_size))
        product = jax.jit(lambda a, b: a @ b)
        self._gemm = lambda: product(square, square)
        # Negation moves what a copy moves, and cannot be elided; donated, it needs no fresh pages.
        self._negate = jax.jit(jnp.negative, donate_argnums=0)
        self._block = jnp.ones(copy_bytes // 4)
        self._gflops: list[float] = []
        self._gbs: list[float] = []
        for run in (self._gemm, self._copy):
            self._seconds(run)

    def measure(self) -> None:
        """Take one more sample of each."""
        self._gflops.append(self._flop / self._seconds(self._gemm) / 1e9)
        self._gbs.append(self._bytes / self._seconds(self._copy) / 1e9)

    def result(self) -> dict[str, float]:
        """The best seen: ``{"gemm_gflops", "copy_gbs"}``; a copy counts bytes read and written."""
        return {"gemm_gflops": max(self._gflops), "copy_gbs": max(self._gbs)}

    def _copy(self) -> jax.Array:
        self._block = self._negate(self._block)
        return self._block

    def _seconds(self, run: Callable[[], Any]) -> float:
        began = time.perf_counter()
        for _ in range(self._calls - 1):
            run()
        jax.block_until_ready(run())
        return time.perf_counter() - began
