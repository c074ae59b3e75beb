"""Synthetic tier of the Fortytwo experiment: Byzantine shares and Sybil identities, no models.

Shapes: ``S`` populations (seeds).
"""

from typing import Any

import jax
import numpy as np

from experiments.fortytwo.config import Config
from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from jaxswarm.systems import fortytwo

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.45)  # Byzantine shares of the synthetic tier
SYNTHETIC_ACCURACY = 0.75  # of honest synthetic judges
TESTS = 200  # calibration tests of a synthetic node
BUDGET = 1.0  # compute of the operator of Sybil identities, in units of one node's


def synthetic(config: Config) -> Results:
    """Byzantine shares and Sybil identities among Bernoulli judges.

    Returns:
        ``shares``, ``right``, ``majority [kinds, shares, S]`` for random and inverting nodes;
        ``influence [2, sybils, S]``, share of reputation of one operator's identities without and
        with admission tests; the operator's compute is that of one node, which its identities
        share.
    """
    keys = jax.random.split(jax.random.key(config.seed + 17), config.seeds)
    total = config.synthetic_nodes

    @jit_fast_compile
    def simulate(population: Any, keys: Any) -> Any:
        def one(key: Any, nodes: Any, threshold: Any) -> Any:
            info = fortytwo.simulate_nodes(
                key, nodes, num_requests=config.synthetic_requests, num_tests=TESTS,
                threshold=threshold,
            )  # fmt: skip
            return info.right.mean(), info.majority.mean(), info.sybil_weight[-1]

        over_keys = jax.vmap(one, (0, None, None))
        return jax.lax.map(lambda each: over_keys(keys, *each), population)

    def draw(**options: Any) -> fortytwo.SyntheticNodes:
        return fortytwo.synthetic_nodes(
            jax.random.key(config.seed), judge_accuracy=SYNTHETIC_ACCURACY, **options
        )

    swept = [
        (draw(num_nodes=total, byzantine=share, behavior=kind), 0.0)
        for kind in ("random", "inverter")
        for share in SHARES
    ]
    most = max(config.sybils)
    for threshold in (0.0, config.threshold):
        for count in config.sybils:
            nodes = draw(num_nodes=total - most, sybils=count, compute=BUDGET)
            missing = most - count
            padded = [
                np.pad(x, (0, missing), constant_values=value)
                for x, value in zip(nodes, (0.0, 0.0, -1, 0.0), strict=True)
            ]
            swept.append((fortytwo.SyntheticNodes(*padded), threshold))
    population = jax.tree.map(
        lambda *leaves: np.stack(leaves).astype(np.asarray(leaves[0]).dtype), *swept
    )
    right, majority, influence = (np.asarray(x) for x in simulate(population, keys))
    count = 2 * len(SHARES)
    return {
        "shares": np.array(SHARES),
        "right": right[:count].reshape(2, len(SHARES), -1),
        "majority": majority[:count].reshape(2, len(SHARES), -1),
        "influence": influence[count:].reshape(2, len(config.sybils), -1),
    }
