"""Synthetic tier: nodes with latent ability whose verdicts are Bernoulli draws, without models.

For unit tests, Byzantine sweeps and Sybil economics with thousands of nodes; nothing here stands
for a language model.

Shapes: ``N`` nodes, ``K`` replies of a request, ``p`` pairs of each judge, ``Q`` requests.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.systems.fortytwo._adversaries import KINDS
from jaxswarm.trust import ranking
from jaxswarm.trust.ranking import FIRST, SECOND
from jaxswarm.types import ArrayLike, Key


class SyntheticNodes(NamedTuple):
    """Nodes with latent ability.

    Attributes:
        ability: ``float32[N]``, log-odds of a right reply to a question of difficulty 0.
        sharpness: ``float32[N]``, ``κ``: the right one of two replies is preferred with probability
            ``σ(κ)``.
        kinds: ``int32[N]``, positions in ``KINDS``; only ``honest``, ``random``, ``inverter`` and
            ``sybil`` occur, and -1 for a node that is absent.
        paid: ``float32[N]``, share of its pairs that a Sybil identity can afford to judge.
    """

    ability: Any
    sharpness: Any
    kinds: Any
    paid: Any


class SyntheticInfo(NamedTuple):
    """Outcome of each request, ``[Q]``, and reputations after all.

    Attributes:
        right: ``bool[Q]``, whether reputation-weighted Bradley–Terry chose a right reply.
        majority: ``bool[Q]``, whether the majority vote did.
        possible: ``bool[Q]``, whether any reply was right.
        reputation: ``float32[N]``, at the end.
        sybil_weight: ``float32[Q]``, share of all admitted nodes' reputation that Sybil
            identities hold.
    """

    right: jax.Array
    majority: jax.Array
    possible: jax.Array
    reputation: jax.Array
    sybil_weight: jax.Array


def synthetic_nodes(
    key: Key,
    num_nodes: int,
    *,
    judge_accuracy: float = 0.75,
    byzantine: float = 0.0,
    behavior: str = "inverter",
    sybils: int = 0,
    compute: float = 0.0,
) -> SyntheticNodes:
    """Draw nodes with abilities ``N(0, 1)`` and judges of one accuracy, some of them adversarial.

    Args:
        key: consumed.
        num_nodes: ``N >= 2``, Sybil identities not counted.
        judge_accuracy: probability in ``(0.5, 1)`` that an honest verdict is right.
        byzantine: share of the nodes that follow ``behavior``, the last ones, in ``[0, 1)``.
        behavior: ``"random"`` or ``"inverter"``.
        sybils: identities that one operator adds, at least 0.
        compute: the operator's compute, at least 0, in units of one node's; each identity judges a
            share ``compute / sybils`` of its pairs and guesses the others.

    Raises:
        ValueError: for numbers out of range or an unknown behaviour.
    """
    checks.key(key)
    num_nodes = checks.whole("num_nodes", num_nodes, 2)
    checks.real("judge_accuracy", judge_accuracy, above=0.5, below=1.0)
    checks.real("byzantine", byzantine, 0.0, below=1.0)
    checks.choice("behavior", behavior, ("random", "inverter"))
    sybils = checks.whole("sybils", sybils, 0)
    compute = float(checks.real("compute", compute, 0.0))
    total = num_nodes + sybils
    position = jnp.arange(total)
    bad = (position >= num_nodes - round(byzantine * num_nodes)) & (position < num_nodes)
    kinds = jnp.where(bad, KINDS.index(behavior), KINDS.index("honest"))
    kinds = jnp.where(position >= num_nodes, KINDS.index("sybil"), kinds).astype(jnp.int32)
    sharpness = jnp.log(judge_accuracy / (1.0 - judge_accuracy))
    return SyntheticNodes(
        jax.vmap(lambda k: jax.random.normal(k))(agents.keys(key, total)),
        jnp.full(total, sharpness, jnp.float32),
        kinds,
        jnp.full(total, min(compute / max(sybils, 1), 1.0), jnp.float32),
    )


def simulate_nodes(
    key: Key,
    nodes: SyntheticNodes,
    *,
    num_requests: int,
    num_replies: int = 16,
    per_node: int = 3,
    difficulty: ArrayLike = 0.0,
    shared_errors: ArrayLike = 0.7,
    initial: float = 0.5,
    rate: float = 0.9,
    num_tests: int = 0,
    threshold: float = 0.6,
) -> SyntheticInfo:
    """Simulate requests of the synthetic tier; runs inside ``jit``.

    Each request is answered by ``K`` nodes drawn at random and judged by all. A reply is right with
    probability ``σ(ability - difficulty)``; a wrong one is the popular wrong answer with
    probability ``shared_errors``, else one of its own. Each judge draws its pairs at random, with
    replacement. Verdicts are ``Bernoulli(σ(κ (q_i - q_j)))``
    with quality ``q`` 1 for a right reply and 0 for a wrong one.

    Args:
        key: consumed.
        nodes: of :func:`synthetic_nodes`.
        num_requests: ``Q >= 1``.
        num_replies: ``K``, from 2 to ``N``, at most the nodes that are present.
        per_node: ``p >= 1``.
        difficulty: of all requests.
        shared_errors: in ``[0, 1]``.
        initial: reputation of all nodes at the start, in ``(0, 1]``.
        rate: of the reputation, in ``[0, 1]``.
        num_tests: calibration tests that each node takes before it may judge; none if 0. A Sybil
            identity judges the same share of them as of its other pairs; Byzantine nodes of other
            kinds pass as honest ones do.
        threshold: share of right verdicts that admits a node, in ``[0, 1]``.

    Returns:
        Outcomes of the requests and reputations, see :class:`SyntheticInfo`.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax
        >>> from jaxswarm.systems import fortytwo
        >>> nodes = fortytwo.synthetic_nodes(jax.random.key(0), 50, judge_accuracy=0.9)
        >>> info = fortytwo.simulate_nodes(jax.random.key(1), nodes, num_requests=40)
        >>> bool(info.right.mean() > info.majority.mean())
        True
    """
    checks.key(key)
    checks.instance("nodes", nodes, SyntheticNodes, "synthetic_nodes(key, 100)")
    n = checks.whole("number of nodes", nodes.ability.shape[0], 2)
    num_requests = checks.whole("num_requests", num_requests, 1)
    num_replies = checks.whole("num_replies", num_replies, 2, n)
    per_node = checks.whole("per_node", per_node, 1)
    checks.real("difficulty", difficulty)
    checks.probability("shared_errors", shared_errors)
    checks.real("initial", initial, above=0.0, high=1.0)
    checks.probability("rate", rate)
    num_tests = checks.whole("num_tests", num_tests)
    checks.probability("threshold", threshold)
    kind = {name: nodes.kinds == i for i, name in enumerate(KINDS)}
    test_key, key = jax.random.split(key)
    present = jnp.asarray(nodes.kinds) >= 0
    allowed = present
    if num_tests:
        skill = jax.nn.sigmoid(jnp.asarray(nodes.sharpness))
        share = jnp.where(kind["sybil"], nodes.paid, 1.0)
        chance = share * skill + (1.0 - share) * 0.5
        passed = jax.random.uniform(test_key, (n, num_tests)) < chance[:, None]
        allowed = present & ranking.admitted(passed, threshold)

    def request(reputation: jax.Array, key: Key) -> tuple[jax.Array, Any]:
        keys = jax.random.split(key, 6)
        order = jnp.where(present, jax.random.uniform(keys[0], (n,)), -1.0)
        authors = jax.lax.top_k(order, num_replies)[1]
        chance = jax.nn.sigmoid(nodes.ability[authors] - difficulty)
        right = jax.random.bernoulli(keys[1], chance)
        shared = jax.random.bernoulli(keys[2], shared_errors, (num_replies,))
        labels = jnp.where(right, 0, jnp.where(shared, 1, 2 + jnp.arange(num_replies)))
        classes = ranking.answer_classes(labels[:, None].astype(jnp.int32))
        draws = jax.random.split(keys[3])
        first = jax.random.randint(draws[0], (n, per_node), 0, num_replies)
        step = jax.random.randint(draws[1], (n, per_node), 1, num_replies)
        second = (first + step) % num_replies
        known = right.astype(jnp.float32)
        shown = [jax.nn.one_hot(x, num_replies) @ known for x in (first, second)]
        gap = shown[0] - shown[1]
        prefers = jax.nn.sigmoid(nodes.sharpness[:, None] * gap)
        verdicts = jnp.where(jax.random.uniform(keys[4], first.shape) < prefers, FIRST, SECOND)
        verdicts = jnp.where(kind["inverter"][:, None], -verdicts, verdicts)
        coins, costs = jax.random.uniform(keys[5], (2, *first.shape))
        guess = jnp.where(coins < 0.5, FIRST, SECOND)
        unpaid = kind["sybil"][:, None] & (costs >= nodes.paid[:, None])
        verdicts = jnp.where(kind["random"][:, None] | unpaid, guess, verdicts)
        winners = jnp.where(verdicts == SECOND, second, first)
        losers = jnp.where(verdicts == SECOND, first, second)
        weight = jnp.where(allowed, reputation, 0.0)
        each = jnp.broadcast_to(weight[:, None], first.shape).ravel()
        strengths = ranking.bradley_terry(
            winners.ravel(), losers.ravel(), each, num_items=num_replies
        )
        winner, _ = ranking.pick(strengths, classes)
        agreed = _judged_well(winners, losers, strengths)
        share = jnp.sum(jnp.where(kind["sybil"], weight, 0.0)) / jnp.maximum(jnp.sum(weight), 1e-9)
        majority = right[ranking.majority_vote(classes)]
        updated = ranking.update_reputation(reputation, agreed, rate=rate)
        return updated, (right[winner], majority, jnp.any(right), share)

    start = jnp.full(n, initial, jnp.float32)
    last, found = jax.lax.scan(request, start, jax.random.split(key, num_requests))
    return SyntheticInfo(found[0], found[1], found[2], last, found[3])


def _judged_well(winners: jax.Array, losers: jax.Array, strengths: jax.Array) -> jax.Array:
    """``ranking.agreement`` of comparisons ``[N, p]`` that are sorted by judge, ``float32[N]``.

    On CPUs faster in a loop over requests than sums by segments, which are scattered.
    """
    won, lost = (jax.nn.one_hot(x, strengths.shape[0]) @ strengths for x in (winners, losers))
    return jnp.mean(jnp.where(won > lost, 1.0, jnp.where(won < lost, 0.0, 0.5)), axis=1)
