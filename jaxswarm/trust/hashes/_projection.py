"""Locality-sensitive hashes of feature vectors by signs of random projections.

Shapes: ``N`` vectors of ``D`` features, hashes of ``bits`` bits.

References:
    M. Charikar, Similarity estimation techniques from rounding algorithms, 2002 (SimHash).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.trust.hashes._words import Hashes, pack
from jaxswarm.types import ArrayLike, Key


def random_projection(key: Key, dimension: int, bits: int = 64) -> Callable[[ArrayLike], Hashes]:
    """Draw a locality-sensitive hash of vectors: signs of random projections (SimHash).

    Two vectors at an angle ``θ`` differ in ``bits θ / π`` bits on average.

    Args:
        key: of the projections; nodes that compare hashes use the same.
        dimension: ``D``, features of a vector, at least 1.
        bits: length of a hash, at least 2.

    Returns:
        ``of(features)`` for ``[N, D]``, which runs inside ``jit``. A zero vector is not valid; nor
        is one with NaN or infinity inside ``jit``, outside it raises ``ValueError``.

    Raises:
        ValueError: for a legacy key or sizes out of range.

    Example:
        >>> from jaxswarm.trust import hashes
        >>> of = hashes.random_projection(jax.random.key(0), dimension=3)
        >>> found = of(jnp.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [-1.0, -2.0, -3.0]]))
        >>> hashes.hamming(found[0], found).tolist()
        [0, 0, 64]
    """
    dimension = checks.whole("dimension", dimension, 1)
    bits = checks.whole("bits", bits, 2)
    directions = jax.random.normal(checks.key(key), (dimension, bits))

    def of(features: ArrayLike) -> Hashes:
        """Hashes of vectors ``[N, D]``."""
        checks.real("features", features, shape=(None, dimension))
        return _signs(jnp.asarray(features), directions)

    return of


@jax.jit
def _signs(features: jax.Array, directions: jax.Array) -> Hashes:
    vectors = features.astype(jnp.float32)
    finite = jnp.all(jnp.isfinite(vectors), axis=1)
    vectors = jnp.where(finite[:, None], vectors, 0.0)
    signs = jnp.matmul(vectors, directions, precision="highest") > 0.0
    valid = finite & jnp.any(vectors != 0.0, axis=1)
    return Hashes(pack(signs), valid, directions.shape[1])
