"""Byzantine attacks: what Byzantine agents send instead of their models.

``attacked(rule, attack, byzantine)`` wraps any rule that supports the attack:

* :func:`sign_flip`, :func:`scaled_noise`, :func:`one_sided_noise`
* :func:`alie` (a little is enough), :func:`inner_product_manipulation` (IPM)
* :func:`dissensus`, another message for every receiver
* :func:`fang_trimmed_mean`, :func:`fang_krum`, made for one rule (Fang et al.)
* :func:`sybil_copies`; the whole Sybil attack is the wrapper :func:`sybil_attack`

A new one is ``Attack(forge)`` of a function ``forge(key, params, messages, byzantine, exchange)``.
Poisoned data are in :mod:`jaxswarm.data.poisoning`.
"""

from collections.abc import Callable
from typing import Any

from jaxswarm.gossip._mixing import mixing
from jaxswarm.gossip.attacks._alie import alie
from jaxswarm.gossip.attacks._dissensus import dissensus
from jaxswarm.gossip.attacks._sign_flip import no_attack, sign_flip
from jaxswarm.gossip.attacks._wrapper import (
    Attack,
    AttackedState,
    ForgeFn,
    attacked,
    attacked_by_one_of,
    check_byzantine_neighbors,
)
from jaxswarm.gossip.attacks.fang import fang_krum, fang_trimmed_mean
from jaxswarm.gossip.attacks.inner_product import inner_product_manipulation
from jaxswarm.gossip.attacks.noise import one_sided_noise, scaled_noise
from jaxswarm.gossip.attacks.sybil import sybil_attack, sybil_copies
from jaxswarm.topology import Topology, degrees


def _plain(attack: Callable[..., Attack]) -> Callable[..., Attack]:
    """Factory of an attack that needs neither the graph nor the number of Byzantine agents."""

    def make(topology: Topology, num_byzantine: int, **options: Any) -> Attack:
        del topology, num_byzantine
        return attack(**options)

    return make


def _dissensus_on(
    topology: Topology, num_byzantine: int, *, weights: Any = "metropolis", **options: Any
) -> Attack:
    del num_byzantine
    return dissensus(mixing(topology, weights, connected=False), **options)


def _fang_krum_on(topology: Topology, num_byzantine: int, **options: Any) -> Attack:
    largest = int(degrees(topology)[0].max()) + 1
    return fang_krum(num_byzantine, **{"num_candidates": largest, **options})


ATTACKS: dict[str, Callable[..., Attack]] = {
    "none": _plain(no_attack),
    "sign_flip": _plain(sign_flip),
    "scaled_noise": _plain(scaled_noise),
    "one_sided_noise": _plain(one_sided_noise),
    "alie": _plain(alie),
    "inner_product_manipulation": _plain(inner_product_manipulation),
    "dissensus": _dissensus_on,
    "fang_trimmed_mean": _plain(fang_trimmed_mean),
    "fang_krum": _fang_krum_on,
    "sybil_copies": _plain(sybil_copies),
}
"""Name -> ``(topology, num_byzantine, **options) -> Attack``; the options are the attack's own.

The same arguments as :data:`jaxswarm.gossip.ROBUST_RULES`, so that both can be walked over.
``dissensus`` also takes ``weights``, the weights that the attackers assume.
"""

__all__ = [
    "ATTACKS",
    "Attack",
    "AttackedState",
    "ForgeFn",
    "alie",
    "attacked",
    "attacked_by_one_of",
    "check_byzantine_neighbors",
    "dissensus",
    "fang_krum",
    "fang_trimmed_mean",
    "inner_product_manipulation",
    "no_attack",
    "one_sided_noise",
    "scaled_noise",
    "sign_flip",
    "sybil_attack",
    "sybil_copies",
]
