"""Adversarial judges: verdicts that Byzantine nodes send in place of their own.

Shapes: ``N`` nodes, ``p`` pairs of each, two orders of presentation.
"""

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.trust.ranking import FIRST, SECOND
from jaxswarm.types import ArrayLike, Key

KINDS = ("honest", "random", "inverter", "self_promoter", "colluder", "sleeper", "sybil")
"""Names of behaviours; a node's kind is its position here.

``random`` ranks at random, ``inverter`` sends the opposite verdict, ``self_promoter`` prefers its
own reply, ``colluder`` those of all colluders; each is honest about other pairs. ``sleeper`` is
honest until it wakes, then inverts. ``sybil`` judges honestly as many pairs as its share of an
operator's compute pays for, and guesses the others.
"""


def corrupt_verdicts(
    key: Key,
    kinds: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    verdicts: ArrayLike,
    *,
    awake: ArrayLike | None = None,
    paid: ArrayLike | None = None,
) -> jax.Array:
    """Replace honest verdicts by those that each node's behaviour sends; runs inside ``jit``.

    Reply ``i`` is that of node ``i``. Node ``i`` draws from ``fold_in(key, i)``.

    Args:
        key: consumed.
        kinds: ``int[N]``, positions in ``KINDS``.
        first: ``int[N, p]``, replies compared.
        second: ``int[N, p]``.
        verdicts: ``int[N, p, 2]``, honest verdicts about ``(first, second)`` in both orders.
        awake: ``bool[N]``, sleepers that have woken; all if ``None``.
        paid: ``float[N]`` in ``[0, 1]``, share of its pairs that a Sybil identity can afford to
            judge; 0 if ``None``.

    Returns:
        ``int32[N, p, 2]``.

    Raises:
        ValueError: for unknown kinds or shapes that differ.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> pairs = jnp.array([[0], [1]]), jnp.array([[1], [0]])
        >>> honest = jnp.ones((2, 1, 2), int)
        >>> kinds = [KINDS.index("inverter"), KINDS.index("self_promoter")]
        >>> corrupt_verdicts(jax.random.key(0), kinds, *pairs, honest).tolist()
        [[[-1, -1]], [[1, 1]]]
    """
    checks.key(key)
    kind = jnp.asarray(checks.wholes("kinds", kinds, 0, len(KINDS) - 1, shape=(None,)))
    n = kind.shape[0]
    a = jnp.asarray(checks.wholes("first", first, 0, n - 1, shape=(n, None)))
    b = jnp.asarray(checks.wholes("second", second, 0, n - 1, shape=a.shape))
    sent = checks.wholes("verdicts", verdicts, SECOND, FIRST, shape=(*a.shape, 2))
    sent = jnp.asarray(sent)
    if awake is None:
        awake = jnp.ones(n, bool)
    woken = jnp.asarray(checks.mask("awake", awake, (n,)))
    if paid is None:
        paid = jnp.zeros(n)
    checks.probability("paid", paid, shape=n)
    is_kind = {name: (kind == i)[:, None, None] for i, name in enumerate(KINDS)}

    def draws(key: Key) -> tuple[jax.Array, jax.Array]:
        coin_key, pay_key = jax.random.split(key)
        coins = jax.random.bernoulli(coin_key, shape=sent.shape[1:])
        return jnp.where(coins, FIRST, SECOND), jax.random.uniform(pay_key, sent.shape[1:])

    guesses, costs = jax.vmap(draws)(agents.keys(key, n))
    node = jnp.arange(n)[:, None]
    own = _favor(sent, a == node, b == node)
    clique = kind == KINDS.index("colluder")
    clique = _favor(sent, clique[a], clique[b])
    inverts = is_kind["inverter"] | (is_kind["sleeper"] & woken[:, None, None])
    unpaid = is_kind["sybil"] & (costs >= jnp.asarray(paid)[:, None, None])
    sent = jnp.where(inverts, -sent, sent)
    sent = jnp.where(is_kind["self_promoter"], own, sent)
    sent = jnp.where(is_kind["colluder"], clique, sent)
    return jnp.where(is_kind["random"] | unpaid, guesses, sent).astype(jnp.int32)


def _favor(verdicts: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    """Verdicts for the favored reply where exactly one of a pair is favored."""
    favored = jnp.where(first & ~second, FIRST, jnp.where(second & ~first, SECOND, 0))[..., None]
    return jnp.where(favored != 0, favored, verdicts)
