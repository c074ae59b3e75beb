"""Local model poisoning of Fang et al.: attacks made for Krum and for trimmed means.

Both push against the direction in which the honest mean moves, as far as the rule still accepts it.
They are omniscient and use the honest messages of the round before to find the direction; where the
honest mean does not move they send the honest mean.

Shapes: ``N`` agents on axis 0 of every leaf, ``P`` parameters, ``H`` honest candidates.

References:
    M. Fang, X. Cao, J. Jia, N. Gong, Local model poisoning attacks to Byzantine-robust federated
    learning, 2020.
"""

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip.attacks._honest import honest_agents
from jaxswarm.gossip.attacks._wrapper import Attack
from jaxswarm.gossip.robust.distances import squared_distances
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import Key, Params, PyTree


def fang_trimmed_mean(reach: float | jax.Array = 2.0) -> Attack:
    """Send values just outside the honest range, on the side that the honest mean moves away from.

    Where the honest mean rises, Byzantine agents send something between the honest minimum and
    ``reach`` times beyond it (``m / reach`` for ``m > 0``, ``m · reach`` else); where it falls,
    likewise above the maximum. Each agent draws its own.

    Args:
        reach: at least 1; 1 sends the extreme honest value itself. May be traced.

    Raises:
        ValueError: if a concrete ``reach`` is below 1 or not finite.
    """
    checks.real("reach", reach, 1.0)

    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        del params
        now, unravel = agents.ravel(messages)
        past = agents.ravel(exchange.extras["previous"])[0]
        flags = honest_agents((messages, past), byzantine, exchange)
        mean, direction = _mean_and_direction(now, past, flags)
        honest = flags[:, None]
        low = jnp.min(jnp.where(honest, now, jnp.inf), axis=0)
        high = jnp.max(jnp.where(honest, now, -jnp.inf), axis=0)
        below = jnp.where(low > 0, low / reach, low * reach)
        above = jnp.where(high > 0, high * reach, high / reach)
        near = jnp.where(direction > 0, low, high)
        far = jnp.where(direction > 0, below, above)
        keys = agents.keys(key, now.shape[0])
        share = jax.vmap(lambda k: jax.random.uniform(k, now.shape[1:]))(keys)
        outside = near[None] + share * (far - near)[None]
        outside = jnp.where((direction[None] == 0) | ~flags.any(), mean[None], outside)
        return unravel(outside.astype(now.dtype))

    return Attack(forge, needs_previous=True)


def fang_krum(
    num_byzantine: int, *, num_candidates: int | None = None, halvings: int = 12
) -> Attack:
    """Send the point farthest against the honest direction that Krum would still choose.

    All Byzantine agents send ``w − λ s``: ``w`` the honest mean of the round before, ``s`` the
    signs of its change, ``λ`` the largest of a halving sequence for which Krum, given the honest
    messages and ``b`` copies of this point, picks this point (the smallest if none is).

    Args:
        num_byzantine: ``b``, Byzantine messages among the candidates, also what Krum assumes; at
            least 1.
        num_candidates: number of candidates that Krum is assumed to compare, its own included:
            Byzantine messages and the first honest agents. All agents by default; on a sparse graph
            the size of a neighbourhood, which also bounds the cost, ``O(H² P)``.
        halvings: how many ``λ`` are tried.

    Raises:
        ValueError: if ``b < 1``, ``halvings < 1`` or ``n − b − 2 < 1``; the last also while mixing.
    """
    num_byzantine = checks.whole("num_byzantine", num_byzantine, 1)
    halvings = checks.whole("halvings", halvings, 1)
    if num_candidates is not None:
        num_candidates = checks.whole("num_candidates", num_candidates, 1)
        _check_candidates(num_candidates, num_byzantine)

    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        del key, params
        now, unravel = agents.ravel(messages)
        past = agents.ravel(exchange.extras["previous"])[0]
        n = now.shape[0] if num_candidates is None else min(num_candidates, now.shape[0])
        _check_candidates(n, num_byzantine)
        flags = honest_agents((messages, past), byzantine, exchange)
        _, direction = _mean_and_direction(now, past, flags)
        start = _mean(past, flags)
        first = jnp.argsort(~flags, stable=True)[: n - num_byzantine]
        compared, honest = now[first], flags[first]
        between, honest = squared_distances(compared, honest)
        away = jnp.where(honest[:, None], compared - start[None], 0.0)
        square, slope = jnp.sum(jnp.square(away), axis=1), away @ direction
        length = jnp.maximum(jnp.sum(jnp.square(direction)), 1.0)
        widest = jnp.max(jnp.where(jnp.isfinite(between), between, 0.0))
        most = (jnp.sqrt(jnp.max(square)) + jnp.sqrt(widest)) / jnp.sqrt(length)
        counted = jnp.arange(n) < jnp.sum(honest) - 2

        def is_chosen(step: jax.Array) -> jax.Array:
            to_point = jnp.maximum(square + 2.0 * step * slope + step**2 * length, 0.0)
            to_point = jnp.where(honest, to_point, jnp.inf)
            copies = jnp.zeros(num_byzantine).at[0].set(jnp.inf)  # not the distance to itself
            of_point = _krum_score(jnp.concatenate([copies, to_point]), counted)
            to_copies = jnp.broadcast_to(to_point[:, None], (len(to_point), num_byzantine))
            rows = jnp.concatenate([between, to_copies], axis=1)
            of_honest = jax.vmap(_krum_score, (0, None))(rows, counted)
            return of_point < jnp.min(jnp.where(honest, of_honest, jnp.inf))

        steps = most * 0.5 ** jnp.arange(halvings)
        works = jax.vmap(is_chosen)(steps)
        step = steps[jnp.where(works.any(), jnp.argmax(works), halvings - 1)]
        point = start - step * direction
        return unravel(jnp.broadcast_to(point[None], now.shape).astype(now.dtype))

    return Attack(forge, needs_previous=True)


def _krum_score(distances: jax.Array, counted: jax.Array) -> jax.Array:
    """Krum's score: the sum of as many of the smallest distances as are counted."""
    return jnp.sum(jnp.where(counted, jnp.sort(distances), 0.0))


def _mean(x: jax.Array, honest: jax.Array) -> jax.Array:
    count = jnp.maximum(jnp.sum(honest), 1)
    return jnp.sum(jnp.where(honest[:, None], x, 0.0), axis=0) / count


def _mean_and_direction(
    now: jax.Array, past: jax.Array, honest: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The honest mean ``[P]`` and the signs of its change."""
    return _mean(now, honest), jnp.sign(_mean(now - past, honest))


def _check_candidates(n: int, b: int) -> None:
    if n - b - 2 < 1:
        raise ValueError(
            f"num_byzantine: krum tolerates b attackers if n - b - 2 >= 1, got n = {n}, b = {b}"
        )
