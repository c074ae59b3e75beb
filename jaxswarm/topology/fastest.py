"""Fastest mixing weights: minimise the second eigenvalue modulus of one graph by descent.

Minimises the second largest eigenvalue modulus of the mixing matrix over symmetric edge weights,
either through the spectrum (a soft maximum of eigenvalue moduli whose sharpness grows) or through
the gossip simulation itself (the disagreement left after some rounds). The problem is convex, so
the start does not matter in the end; the best iterate is returned, never worse than Metropolis
weights.

References:
    Boyd, Diaconis, Xiao, Fastest mixing Markov chain on a graph, 2004. Xiao, Boyd, Fast linear
    iterations for distributed averaging, 2004 (weights of either sign).
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.topology._local_weights import best_constant, metropolis
from jaxswarm.topology.graph import Topology, per_member, reverse_slots
from jaxswarm.topology.large import power_modulus
from jaxswarm.topology.validation import (
    is_concrete,
    require_connected,
    require_symmetric,
    require_topology,
)

DENSE_LIMIT = 256
"""Number of agents up to which each step diagonalises the dense matrix."""
BLOCK = 12
"""Number of vectors of the subspace iteration beyond ``DENSE_LIMIT`` agents."""


def fastest_mixing(
    topology: Topology,
    *,
    steps: int = 600,
    through: str = "spectrum",
    nonnegative: bool = False,
    learning_rate: float = 0.02,
    rounds: int = 32,
    key: jax.Array | None = None,
) -> jax.Array:
    """Optimise symmetric edge weights ``[..., E]`` for the smallest ``|lambda_2|``.

    Doubly stochastic. Traceable in the topology's arrays, so batches are optimised together. Beyond
    ``DENSE_LIMIT`` agents the spectrum is followed by subspace iteration and nothing is dense.

    Args:
        topology: undirected and connected.
        steps: of Adam.
        through: ``"spectrum"``, or ``"simulation"``: minimise the disagreement of random values
            left after ``rounds`` rounds of gossip, whose cost grows with the edges alone.
        nonnegative: keep all weights, self-weights included, non-negative (the fastest mixing
            Markov chain); otherwise signs are free, which is never slower.
        learning_rate: of the first step, relative to the scale of the weights; decays to zero.
        rounds: simulated rounds for ``through="simulation"``; more are sharper and slower.
        key: draws the test vectors; fixed by default.

    Raises:
        ValueError: on a directed or disconnected graph, ``steps`` or ``rounds`` below 1, or an
            unknown value of ``through``.
    """
    require_topology(topology)
    checks.choice("way to differentiate", through, ("spectrum", "simulation"))
    steps, rounds = checks.whole("steps", steps, 1), checks.whole("rounds", rounds, 1)
    nonnegative = checks.flag("nonnegative", nonnegative)
    checks.real("learning_rate", learning_rate, above=0.0)
    key = jax.random.key(0) if key is None else checks.key(key)
    if is_concrete(topology):
        require_symmetric(topology, "'fastest_mixing'")
        for t in range(topology.length if topology.is_sequence else 1):
            require_connected(topology[t] if topology.is_sequence else topology)
    if topology.num_edge_slots == 0:
        return jnp.zeros(topology.mask.shape)

    known = is_concrete(topology) or topology.num_agents <= DENSE_LIMIT
    constant = best_constant(topology) if known else metropolis(topology)
    settings = (steps, through, nonnegative, rounds, topology.num_agents <= DENSE_LIMIT)
    return _optimize(topology, constant, learning_rate, key, settings=settings)


@partial(jax.jit, static_argnames="settings")
def _optimize(
    topology: Topology,
    constant: jax.Array,
    learning_rate: float | jax.Array,
    key: jax.Array,
    settings: tuple[int, str, bool, int, bool],
) -> jax.Array:
    def single(member: Topology, constant: jax.Array) -> jax.Array:
        return _descend(member, constant, learning_rate, key, *settings)

    return per_member(single, topology, constant)


def _descend(
    topology: Topology,
    constant: jax.Array,
    learning_rate: float | jax.Array,
    key: jax.Array,
    steps: int,
    through: str,
    nonnegative: bool,
    rounds: int,
    is_dense: bool,
) -> jax.Array:
    import optax

    n = topology.num_agents
    back = reverse_slots(topology)
    scale = 1.0 / (1.0 + topology.in_degrees().max())

    def project(raw: jax.Array) -> jax.Array:
        """Symmetric and, if asked for, non-negative weights; maps such weights to themselves."""
        raw = jnp.where(topology.mask, scale * (raw + raw[back]) / 2.0, 0.0)
        if not nonnegative:
            return raw
        raw = jnp.maximum(raw, 0.0)
        total = jnp.maximum(jax.ops.segment_sum(raw, topology.receivers, num_segments=n), 1.0)
        return raw / jnp.maximum(total[topology.receivers], total[topology.senders])

    def apply(weights: jax.Array, values: jax.Array) -> jax.Array:
        """``(W - 11^T/N) values`` for ``values [N, B]``."""
        values = values - values.mean(axis=0, keepdims=True)
        change = values[topology.senders] - values[topology.receivers]
        pulled = weights[:, None] * change
        return values + jax.ops.segment_sum(
            pulled, topology.receivers, num_segments=n, indices_are_sorted=True
        )

    def moduli(weights: jax.Array, block: jax.Array) -> jax.Array:
        if is_dense:
            matrix = apply(weights, jnp.eye(n))
            return jnp.abs(jnp.linalg.eigvalsh(matrix))
        return jnp.abs(jnp.linalg.eigvalsh(block.T @ apply(weights, block)))

    def soft_maximum(
        raw: jax.Array, sharpness: jax.Array, block: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        values = moduli(project(raw), block)
        return jax.nn.logsumexp(sharpness * values) / sharpness, values.max()

    def remaining_disagreement(
        raw: jax.Array, _: jax.Array, block: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        weights = project(raw)

        def one_round(values: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            values = apply(weights, values)
            size = jnp.sqrt(jnp.sum(values**2) + 1e-30)
            return values / size, jnp.log(size)

        _, logs = jax.lax.scan(one_round, block, None, length=rounds)
        rate = logs[1:].mean() if rounds > 1 else logs[0]
        return rate, jnp.exp(logs[rounds // 2 :].mean())

    def refreshed(weights: jax.Array, block: jax.Array, key: jax.Array) -> jax.Array:
        if through == "simulation":
            return jax.random.normal(key, block.shape)
        if is_dense:
            return block
        for _ in range(3):
            block, _ = jnp.linalg.qr(apply(weights, apply(weights, block)))
        return block

    objective = soft_maximum if through == "spectrum" else remaining_disagreement
    optimizer = optax.scale_by_adam(b2=0.99)
    sharpness = jnp.geomspace(20.0, 4000.0, steps)
    rates = learning_rate * (1.0 + jnp.cos(jnp.linspace(0.0, jnp.pi, steps))) / 2.0

    def step(carry: Any, inputs: Any) -> tuple[Any, None]:
        raw, moments, block, best, best_value = carry
        sharpness, rate, key = inputs
        block = refreshed(project(raw), block, key)
        (_, value), grads = jax.value_and_grad(objective, has_aux=True)(raw, sharpness, block)
        better = value < best_value
        best = jnp.where(better, raw, best)
        best_value = jnp.where(better, value, best_value)
        updates, moments = optimizer.update(grads, moments, raw)
        raw = raw - rate * jnp.asarray(updates)
        raw = jnp.maximum(raw, 0.0) if nonnegative else raw
        return (raw, moments, block, best, best_value), None

    simple = metropolis(topology)
    start = (simple if nonnegative else constant) / scale
    block = jnp.linalg.qr(jax.random.normal(key, (n, min(BLOCK, n))))[0]
    carry = (start, optimizer.init(start), block, start, jnp.inf)
    keys = jax.random.split(jax.random.fold_in(key, 1), steps)
    (raw, _, _, best, _), _ = jax.lax.scan(step, carry, (sharpness, rates, keys))

    # ``best`` was chosen by noisy or partial values: compare the candidates by exact ones.
    candidates = jnp.stack([project(constant / scale), simple, project(raw), project(best)])

    def exact(weights: jax.Array) -> jax.Array:
        if is_dense:
            return moduli(weights, block).max()
        return power_modulus(topology, weights, "row", iterations=1000)

    return candidates[jnp.argmin(jax.vmap(exact)(candidates))]
