"""Eight clusters of a grid, and the networks of their experts, for the tests of experts."""

import jax
import numpy as np

from jaxswarm import data, generative
from jaxswarm.models import flow

K = 8
MODEL = flow.from_network(flow.MLP(width=8, depth=2, num_classes=3), (2,), num_classes=3)
ROUTER = generative.router(flow.MLP(width=4, depth=2, num_classes=3), (2,), K, num_classes=3)


class POINTS:
    """A grid of sixteen modes in eight clusters of two."""

    batch = data.gaussian_grid(jax.random.key(0), 256, 4)
    x = np.asarray(batch.x)
    y = np.asarray(batch.y) % 3
    clusters = np.asarray(batch.y) // 2
