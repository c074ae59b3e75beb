"""Visit counts, bottlenecks and scores of recorded walks: MeritRank's connectivity decay.

Shapes: ``R`` roots, ``W`` walks of each, ``T`` steps, ``V`` vertices. Time and memory grow with
``R W T`` and ``R V``; there is no ``[V, V]`` table.

References:
    B. Nasrulin, G. Ishmaev, J. Pouwelse, MeritRank: Sybil tolerant reputation for merit-based
    tokenomics, 2022.
    R. Madhwal, J. Pouwelse, Web3Recommend: decentralised recommendations with trust and relevance,
    2023.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

CHUNK, SPAN = 2048, 64
"""Pairs of a first visit and a candidate, and places, that :func:`bottlenecks` counts at once."""


def visit_counts(
    vertices: jax.Array, num_vertices: int, *, weights: ArrayLike | None = None
) -> jax.Array:
    """Count the visits of every vertex over the walks of each root, the start included.

    Args:
        vertices: ``int32[R, W, T + 1]``, padded by ``V``.
        num_vertices: ``V``.
        weights: ``float[R, W, T + 1]``, what each visit counts; 1 by default.

    Returns:
        ``float32[R, V]``.

    Raises:
        ValueError: for vertices out of range or other shapes.
    """
    vertices, num_vertices = _checked(vertices, num_vertices)
    if weights is None:
        weights = jnp.ones(vertices.shape, jnp.float32)
    weights = jnp.asarray(checks.real("weights", weights, 0.0, shape=vertices.shape))
    return _visits(vertices, weights, num_vertices=num_vertices)


def bottlenecks(vertices: jax.Array, num_vertices: int, *, references: int = 2) -> jax.Array:
    """Largest share of the walks to a vertex that passed one other vertex before it.

    ``b(x) = max over v of (walks that saw v before their first visit of x) / (walks that visit
    x)``, over vertices ``v`` other than the root. It is 1 exactly if all recorded walks to ``x``
    pass a common vertex.

    The candidates ``v`` of each ``x`` are the vertices before ``x`` in the first ``references``
    walks that visit it. A bottleneck of share 1 is always among them, one of share ``b`` with
    probability ``1 - (1 - b) ** references``; a share that is found is counted over all walks.

    Args:
        vertices: ``int32[R, W, T + 1]``, padded by ``V``.
        num_vertices: ``V``.
        references: at least 1; time grows with it.

    Returns:
        ``float32[R, V]`` in ``[0, 1]``; 0 for vertices that no walk visits and for the root.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.trust import walks
        >>> records = jnp.array([[[0, 1, 3], [0, 2, 3], [0, 1, 3]]])
        >>> [round(float(share), 2) for share in walks.bottlenecks(records, 4)[0]]
        [0.0, 0.0, 0.0, 0.67]

    Raises:
        ValueError: for vertices out of range or other shapes.
    """
    vertices, num_vertices = _checked(vertices, num_vertices)
    references = checks.whole("references", references, 1)
    return _bottlenecks(vertices, num_vertices=num_vertices, references=references)


def scores(
    vertices: jax.Array,
    num_vertices: int,
    *,
    beta: ArrayLike = 0.0,
    threshold: ArrayLike = 0.99,
    targets: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    references: int = 2,
) -> jax.Array:
    """Score vertices by their share of the visits, lowered behind bottlenecks.

    The score of ``x`` is ``visits(x) / total visits * (1 - beta * b(x))`` with ``b`` of
    :func:`bottlenecks` where that reaches the threshold, 0 elsewhere: MeritRank's connectivity
    decay. Visits of the root itself do not count.

    Args:
        vertices: ``int32[R, W, T + 1]``, padded by ``V``.
        num_vertices: ``V``.
        beta: in ``[0, 1]``.
        threshold: in ``[0, 1]``.
        targets: ``bool[V]``, vertices that are scored and counted in the total; all by default.
        weights: ``float[R, W, T + 1]``, what each visit counts; 1 by default.
        references: as of :func:`bottlenecks`.

    Returns:
        ``float32[R, V]``; 0 where nothing was visited.

    Raises:
        ValueError: for numbers out of range or other shapes.
    """
    counts = visit_counts(vertices, num_vertices, weights=weights)
    checks.probability("beta", beta)
    checks.probability("threshold", threshold)
    if targets is None:
        targets = np.ones(num_vertices, bool)
    targets = checks.mask("targets", targets, (num_vertices,))
    roots = jnp.asarray(vertices)[:, 0, 0]
    if is_zero(beta):
        return _shares(counts, roots, targets)
    narrow = bottlenecks(vertices, num_vertices, references=references)
    return _penalized(_shares(counts, roots, targets), narrow, beta, threshold)


@jax.jit
def _shares(counts: jax.Array, roots: jax.Array, targets: Any) -> jax.Array:
    def of_root(counts: jax.Array, root: jax.Array) -> jax.Array:
        counts = jnp.where(targets & (jnp.arange(counts.shape[0]) != root), counts, 0.0)
        total = jnp.sum(counts)
        return jnp.where(total > 0, counts / jnp.where(total > 0, total, 1.0), 0.0)

    return jax.vmap(of_root)(counts, roots)


@jax.jit
def _penalized(shares: jax.Array, narrow: jax.Array, beta: Any, threshold: Any) -> jax.Array:
    """Shares of visits, lowered by ``beta`` behind bottlenecks that reach the threshold."""
    return shares * (1.0 - beta * jnp.where(narrow >= threshold, narrow, 0.0))


def is_zero(value: Any) -> bool:
    """Whether a number is known to be 0, so that what it multiplies can be left out."""
    return not checks.is_traced(value) and not np.any(np.asarray(value))


def _checked(vertices: Any, num_vertices: int) -> tuple[jax.Array, int]:
    num_vertices = checks.whole("num_vertices", num_vertices, 1)
    vertices = jnp.asarray(checks.wholes("vertices", vertices, 0, num_vertices))
    if vertices.ndim != 3 or 0 in vertices.shape[1:]:
        raise ValueError(f"vertices: expected shape [R, W, T + 1], got {list(vertices.shape)}")
    return vertices, num_vertices


@functools.partial(jax.jit, static_argnames="num_vertices")
def _visits(vertices: jax.Array, weights: jax.Array, *, num_vertices: int) -> jax.Array:
    def count(record: jax.Array, weights: jax.Array) -> jax.Array:
        empty = jnp.zeros(num_vertices, jnp.promote_types(weights.dtype, jnp.float32))
        return empty.at[record.ravel()].add(weights.ravel(), mode="drop")

    return jax.vmap(count)(vertices, weights)


@functools.partial(jax.jit, static_argnames=("num_vertices", "references"))
def _bottlenecks(vertices: jax.Array, *, num_vertices: int, references: int) -> jax.Array:
    end = num_vertices
    num_walks, steps = vertices.shape[1:]
    walk_of = jnp.broadcast_to(jnp.arange(num_walks)[:, None], (num_walks, steps))
    span = min(steps, SPAN)

    def of_root(record: jax.Array) -> jax.Array:
        # Sorted by vertex, then by place: the first of equal entries is the first visit.
        ordered, place_of = _sorted(record, end)
        new = ordered[:, 1:] != ordered[:, :-1]
        new = jnp.concatenate([jnp.ones((num_walks, 1), bool), new], axis=1)
        first = new & (ordered < end)
        visiting = jnp.zeros(end + 1).at[ordered].add(first.astype(jnp.float32))

        def next_reference(carry: Any, _: None) -> Any:
            best, reference = carry
            later = first & (walk_of > reference[ordered])
            reference = jnp.full(end + 1, num_walks)
            reference = reference.at[jnp.where(later, ordered, end)].min(walk_of)
            ours = first & (walk_of == reference[ordered])
            depth = jnp.zeros(end + 1, jnp.int32).at[ordered].max(jnp.where(ours, place_of, 0))
            source = jnp.minimum(reference, num_walks - 1)

            def at_places(block: jax.Array, best: jax.Array) -> jax.Array:
                """Count the walks of all vertices for their candidates at ``span`` places."""
                start = 1 + block * span
                own = jnp.where(first, jnp.clip(depth[ordered] - start, 0, span), 0).ravel()
                ends = jnp.cumsum(own)  # pairs of a first visit and a candidate stand in one row

                def count_chunk(chunk: jax.Array, counts: jax.Array) -> jax.Array:
                    pair = chunk * CHUNK + jnp.arange(CHUNK)
                    entry = jnp.searchsorted(ends, pair, side="right")
                    real, entry = pair < ends[-1], jnp.minimum(entry, len(ends) - 1)
                    column = pair - (ends[entry] - own[entry])
                    walk, vertex = entry // steps, ordered.ravel()[entry]
                    wanted = record[source[vertex], start + column]
                    slot = _search(ordered, walk, wanted)
                    seen = ordered[walk, slot] == wanted
                    before = place_of[walk, slot] < place_of.ravel()[entry]
                    hit = real & (wanted < end) & (wanted != record[0, 0]) & seen & before
                    return counts.at[vertex, column].add(hit.astype(jnp.float32))

                empty = jnp.zeros((end + 1, span))
                counts = jax.lax.fori_loop(0, -(-ends[-1] // CHUNK), count_chunk, empty)
                return jnp.maximum(best, counts.max(axis=1))

            blocks = -(-(jnp.max(depth) - 1) // span)
            return (jax.lax.fori_loop(0, blocks, at_places, best), reference), None

        start = (jnp.zeros(end + 1), jnp.full(end + 1, -1))
        best = jax.lax.scan(next_reference, start, length=references)[0][0]
        share = jnp.where(visiting > 0, best / jnp.where(visiting > 0, visiting, 1.0), 0.0)
        return share[:end]

    # One root after the other, since the number of chunks and blocks is each root's own.
    return jax.lax.map(of_root, vertices)


def _sorted(record: jax.Array, end: int) -> tuple[jax.Array, jax.Array]:
    """Vertices of each walk in ascending order, and their places ``[W, T + 1]``."""
    steps = record.shape[1]
    if (end + 1) * steps > checks.LARGEST:
        place = jnp.argsort(record, axis=1, stable=True)
        return jnp.take_along_axis(record, place, axis=1), place
    codes = jnp.sort(record * steps + jnp.arange(steps)[None], axis=1)
    return codes // steps, codes % steps


def _search(ordered: jax.Array, rows: jax.Array, wanted: jax.Array) -> jax.Array:
    """First slot of ``ordered[row]`` that is not below ``wanted``, by binary search."""
    width = ordered.shape[1]
    low, high = jnp.zeros_like(rows), jnp.full_like(rows, width)
    for _ in range(width.bit_length()):
        middle = jnp.minimum((low + high) // 2, width - 1)
        smaller = (ordered[rows, middle] < wanted) & (low < high)
        low, high = jnp.where(smaller, middle + 1, low), jnp.where(smaller, high, middle)
    return jnp.minimum(low, width - 1)
