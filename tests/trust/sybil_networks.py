"""A small network of trust with Sybils, shared by the tests of graphs and walks."""

import functools

import numpy as np

from jaxswarm.trust import graphs

HONEST, ITEMS = 8, 6
SIZES = {"num_users_total": 16, "num_items_total": 10, "trust_width": 8, "affinity_width": 8}
ATTACKER = 2


@functools.cache
def honest():
    rng = np.random.default_rng(1)
    trust = [(i, j) for i in range(HONEST) for j in range(HONEST) if i != j and rng.random() < 0.4]
    trust = sorted({*trust, (0, ATTACKER), (3, ATTACKER)})
    likes = [(i, k) for i in range(HONEST) for k in range(ITEMS) if rng.random() < 0.6]
    likes = sorted({*likes, (0, 0), (0, 1), (3, 0), (ATTACKER, 0), (ATTACKER, 1)})
    return graphs.trust_network(
        graphs.weighted_graph(trust, HONEST, weights=rng.random(len(trust)) + 0.1),
        graphs.weighted_graph(likes, HONEST, ITEMS, weights=rng.random(len(likes)) + 0.1),
    )


@functools.cache
def attacked(shape="chain", num_sybils=3, attackers=(ATTACKER,)):
    """Attacks of all shapes and numbers of Sybils in arrays of one shape."""
    return graphs.sybil_attack(honest(), list(attackers), num_sybils, shape, **SIZES)
