"""Eight clusters of a grid, and the networks of their experts, for the tests of experts."""

import functools

import jax
import numpy as np

from jaxswarm import data, generative
from jaxswarm.models import flow

K = 8
MODEL = flow.from_network(flow.MLP(width=8, depth=2, num_classes=3), (2,), num_classes=3)
ROUTER = generative.router(flow.MLP(width=4, depth=2, num_classes=3), (2,), K, num_classes=3)


class Points:
    """A grid of sixteen modes in eight clusters of two."""

    @functools.cached_property
    def batch(self):
        return data.gaussian_grid(jax.random.key(0), 256, 4)

    @property
    def x(self):
        return np.asarray(self.batch.x)

    @property
    def y(self):
        return np.asarray(self.batch.y) % 3

    @property
    def clusters(self):
        return np.asarray(self.batch.y) // 2


POINTS = Points()
