"""What this machine can do at best: its matrix-product peak and its copy bandwidth, measured."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

GEMM_SIZE = 1024
COPY_BYTES = 2**27


class Ceiling:
    """Both ceilings as short repeatable runs, so that they can be interleaved with what they bound."""

    def __init__(self) -> None:
        square = jax.random.normal(jax.random.key(0), (GEMM_SIZE, GEMM_SIZE))
        product = jax.jit(lambda a, b: a @ b)
        self._gemm = lambda: product(square, square)
        block = jnp.ones(COPY_BYTES // 4)
        # Negation moves what a copy moves, and cannot be elided.
        negate = jax.jit(jnp.negative)
        self._copy = lambda: negate(block)
        self._gflops: list[float] = []
        self._gbs: list[float] = []
        self._seconds(self._gemm), self._seconds(self._copy)

    def measure(self) -> None:
        """Take one more sample of each."""
        self._gflops.append(2 * GEMM_SIZE**3 / self._seconds(self._gemm) / 1e9)
        self._gbs.append(2 * COPY_BYTES / self._seconds(self._copy) / 1e9)

    def result(self) -> dict[str, float]:
        """The best seen: ``{"gemm_gflops", "copy_gbs"}``; a copy counts bytes read and written."""
        return {"gemm_gflops": max(self._gflops), "copy_gbs": max(self._gbs)}

    @staticmethod
    def _seconds(run: Callable[[], Any]) -> float:
        began = time.perf_counter()
        jax.block_until_ready(run())
        return time.perf_counter() - began
