"""Serving of requests by one transformer, accelerated in ways that can be combined and timed.

``serving.server(model, serving.ACCELERATIONS["continuous batching"], …)`` gives pure functions
``load(params)`` and ``run(weights, prompts, lengths)``; all choices give the tokens of plain greedy
generation, bfloat16 and int8 up to rounding. :func:`timed` measures their wall time.
"""

from jaxswarm.models.transformer.serving._acceleration import (
    ACCELERATIONS,
    CHUNK,
    WEIGHTS,
    Acceleration,
)
from jaxswarm.models.transformer.serving._server import Served, Server, server
from jaxswarm.models.transformer.serving._timing import Timing, timed
from jaxswarm.models.transformer.serving._weights import Quantized, num_bytes, restore, store

__all__ = [
    "ACCELERATIONS",
    "CHUNK",
    "WEIGHTS",
    "Acceleration",
    "Quantized",
    "Served",
    "Server",
    "Timing",
    "num_bytes",
    "restore",
    "server",
    "store",
    "timed",
]
