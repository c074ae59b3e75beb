"""Local model poisoning made for one rule: the attacks of Fang et al. on Krum and on trimmed means.

Both push against the direction in which the honest are moving, as far as the rule still takes it.
They are omniscient and remember the honest messages of the round before, from which they know the
direction; in a round in which the honest stand still they tell the honest mean.

Shapes: ``N`` agents on axis 0 of every leaf, ``P`` parameters, ``H`` honest voices.

References:
    M. Fang, X. Cao, J. Jia, N. Gong, Local model poisoning attacks to Byzantine-robust federated
    learning, 2020.
"""

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip.attacks import Attack
from jaxswarm.gossip.robust.distances import squared_distances
from jaxswarm.gossip.types import Exchange, PyTree


def fang_trimmed_mean(reach: float | jax.Array = 2.0) -> Attack:
    """Just outside the honest range, on the side that the honest are moving away from.

    Where the honest mean rises, attackers tell something between the honest minimum and ``reach``
    times beyond it (``m / reach`` for ``m > 0``, ``m · reach`` else); where it falls, likewise
    above the maximum. Each attacker draws its own.

    Args:
        reach: at least 1; 1 tells the extreme honest value itself. May be traced.
    """

    def forge(
        key: jax.Array,
        params: PyTree,
        messages: PyTree,
        byzantine: jax.Array,
        round: Exchange,
        before: PyTree,
    ) -> PyTree:
        del params, round
        now, unravel = agents.ravel(messages)
        mean, direction = _course(now, agents.ravel(before)[0], ~byzantine)
        who = ~byzantine[:, None]
        low = jnp.min(jnp.where(who, now, jnp.inf), axis=0)
        high = jnp.max(jnp.where(who, now, -jnp.inf), axis=0)
        below = jnp.where(low > 0, low / reach, low * reach)
        above = jnp.where(high > 0, high * reach, high / reach)
        near = jnp.where(direction > 0, low, high)
        far = jnp.where(direction > 0, below, above)
        keys = agents.keys(key, now.shape[0])
        share = jax.vmap(lambda k: jax.random.uniform(k, now.shape[1:]))(keys)
        lies = near[None] + share * (far - near)[None]
        return unravel(jnp.where(direction[None] == 0, mean[None], lies).astype(now.dtype))

    return Attack(forge, remembers=True)


def fang_krum(num_byzantine: int, *, num_voices: int | None = None, halvings: int = 12) -> Attack:
    """The point farthest against the honest direction that Krum would still choose.

    All attackers tell ``w − λ s``: ``w`` the honest mean of the round before, ``s`` the signs of
    its change, ``λ`` the largest of a halving sequence for which Krum, given the honest messages
    and ``b`` copies of the lie, picks the lie (the smallest if none is).

    Args:
        num_byzantine: ``b``, attackers among the voices, also what Krum assumes; at least 1.
        num_voices: how many voices Krum is thought to hear, its own included: attackers and the
            first honest agents. All agents by default; on a sparse graph the size of a
            neighbourhood, which also bounds the cost, ``O(H² P)``.
        halvings: how many ``λ`` are tried.

    Raises:
        ValueError: if ``b < 1``, ``halvings < 1`` or ``n − b − 2 < 1``; the last also while mixing.
    """
    if num_byzantine < 1:
        raise ValueError(f"num_byzantine: expected at least 1 attacker, got {num_byzantine}")
    if halvings < 1:
        raise ValueError(f"halvings: expected at least 1, got {halvings}")
    if num_voices is not None:
        _check_voices(num_voices, num_byzantine)

    def forge(
        key: jax.Array,
        params: PyTree,
        messages: PyTree,
        byzantine: jax.Array,
        round: Exchange,
        before: PyTree,
    ) -> PyTree:
        del key, params, round
        now, unravel = agents.ravel(messages)
        past = agents.ravel(before)[0]
        n = now.shape[0] if num_voices is None else min(num_voices, now.shape[0])
        _check_voices(n, num_byzantine)
        _, direction = _course(now, past, ~byzantine)
        start = _mean(past, ~byzantine)
        first = jnp.argsort(byzantine, stable=True)[: n - num_byzantine]
        heard, honest = now[first], ~byzantine[first]
        between, honest = squared_distances(heard, honest)
        away = jnp.where(honest[:, None], heard - start[None], 0.0)
        square, slope = jnp.sum(jnp.square(away), axis=1), away @ direction
        length = jnp.maximum(jnp.sum(jnp.square(direction)), 1.0)
        widest = jnp.max(jnp.where(jnp.isfinite(between), between, 0.0))
        most = (jnp.sqrt(jnp.max(square)) + jnp.sqrt(widest)) / jnp.sqrt(length)
        counted = jnp.arange(n) < jnp.sum(honest) - 2

        def chosen(step: jax.Array) -> jax.Array:
            to_lie = jnp.maximum(square + 2.0 * step * slope + step**2 * length, 0.0)
            to_lie = jnp.where(honest, to_lie, jnp.inf)
            copies = jnp.zeros(num_byzantine).at[0].set(jnp.inf)  # not the distance to itself
            of_lie = _closest(jnp.concatenate([copies, to_lie]), counted)
            lies = jnp.broadcast_to(to_lie[:, None], (len(to_lie), num_byzantine))
            rows = jnp.concatenate([between, lies], axis=1)
            of_honest = jax.vmap(_closest, (0, None))(rows, counted)
            return of_lie < jnp.min(jnp.where(honest, of_honest, jnp.inf))

        steps = most * 0.5 ** jnp.arange(halvings)
        works = jax.vmap(chosen)(steps)
        step = steps[jnp.where(works.any(), jnp.argmax(works), halvings - 1)]
        lie = start - step * direction
        return unravel(jnp.broadcast_to(lie[None], now.shape).astype(now.dtype))

    return Attack(forge, remembers=True)


def _closest(distances: jax.Array, counted: jax.Array) -> jax.Array:
    """Krum's score: the sum of as many of the smallest distances as are counted."""
    return jnp.sum(jnp.where(counted, jnp.sort(distances), 0.0))


def _mean(x: jax.Array, honest: jax.Array) -> jax.Array:
    count = jnp.maximum(jnp.sum(honest), 1)
    return jnp.sum(jnp.where(honest[:, None], x, 0.0), axis=0) / count


def _course(now: jax.Array, past: jax.Array, honest: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The honest mean ``[P]`` and the signs of its change."""
    return _mean(now, honest), jnp.sign(_mean(now - past, honest))


def _check_voices(n: int, b: int) -> None:
    if n - b - 2 < 1:
        raise ValueError(
            f"num_byzantine: krum tolerates b attackers if n - b - 2 >= 1, got n = {n}, b = {b}"
        )
