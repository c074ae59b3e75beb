"""Permuted vocabularies as obfuscation of text for language models, and how they are broken.

A model whose vocabulary is permuted by a secret runs on permuted tokens and gives permuted outputs,
exactly and at no cost. It has been published as encryption. It is none: a fixed permutation of
tokens is a substitution cipher, which frequencies of tokens and of pairs of tokens give away.
:func:`break_permutation` measures how much of a text they give away.

Shapes: ``V`` tokens of the vocabulary, ``T`` tokens of a text, ``R`` restarts.

References:
    Nesa, Equivariant encryption for AI (software), 2024.
    S. Peleg, A. Rosenfeld, Breaking substitution ciphers using a relaxation algorithm, 1979.
    T. Jakobsen, A fast method for cryptanalysis of substitution ciphers, 1995.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike, Key

__all__ = [
    "Break",
    "bigram_counts",
    "break_permutation",
    "draw_permutation",
    "frequency_match",
    "obfuscate",
    "permute_rows",
    "recovered_share",
    "restore",
]


class Break(NamedTuple):
    """What an attack on a permuted text found.

    Attributes:
        permutation: ``int32[V]``, estimate of the secret: token ``v`` was sent as
            ``permutation[v]``.
        score: mean log-likelihood of a pair of the restored text under the reference.
        scores: ``float32[R]``, of every restart.
    """

    permutation: jax.Array
    score: jax.Array
    scores: jax.Array


def draw_permutation(key: Key, vocabulary: int) -> jax.Array:
    """Draw the secret: token ``v`` is sent as ``permutation[v]``, ``int32[V]``.

    For simulations; keys of ``jax.random`` are no cryptographic source.

    Raises:
        ValueError: for what is no typed key or fewer than two tokens.
    """
    checks.key(key)
    vocabulary = checks.whole("vocabulary", vocabulary, 2)
    return jax.random.permutation(key, vocabulary).astype(jnp.int32)


def obfuscate(tokens: ArrayLike, permutation: ArrayLike) -> jax.Array:
    """Replace tokens by their permuted ones; not encryption.

    Args:
        tokens: ``int[...]`` below ``V``.
        permutation: ``int[V]``, a permutation of ``0 … V - 1``.

    Returns:
        ``int32`` of the same shape.

    Raises:
        ValueError: for tokens outside the vocabulary or what is no permutation.

    Example:
        >>> sent = obfuscate([0, 1, 1, 2], [2, 0, 1])
        >>> sent.tolist(), restore(sent, [2, 0, 1]).tolist()
        ([2, 0, 0, 1], [0, 1, 1, 2])
    """
    secret = _permutation(permutation)
    return secret[_tokens("tokens", tokens, len(secret))]


def restore(tokens: ArrayLike, permutation: ArrayLike) -> jax.Array:
    """Undo :func:`obfuscate`, with the secret or with an estimate of it.

    Raises:
        ValueError: as :func:`obfuscate`.
    """
    secret = _permutation(permutation)
    return jnp.argsort(secret).astype(jnp.int32)[_tokens("tokens", tokens, len(secret))]


def permute_rows(table: ArrayLike, permutation: ArrayLike) -> jax.Array:
    """Embedding table (or output weights ``[V, ...]``) of the model that runs on permuted tokens.

    Row ``permutation[v]`` of the result is row ``v`` of ``table``, so that looking a permuted token
    up gives what the token gave, and logits come out permuted.

    Args:
        table: ``float[V, ...]``.
        permutation: ``int[V]``.

    Raises:
        ValueError: for another number of rows or what is no permutation.
    """
    secret = _permutation(permutation)
    rows = checks.numbers("table", table)
    if rows.ndim < 1 or len(rows) != len(secret):
        raise ValueError(f"table: expected {len(secret)} rows, got shape {rows.shape}")
    return jnp.zeros_like(rows).at[secret].set(rows)


def bigram_counts(tokens: ArrayLike, vocabulary: int) -> jax.Array:
    """Number of times that each token follows each: ``float32[V, V]``.

    Args:
        tokens: ``int[T]`` with ``T >= 2``.
        vocabulary: ``V``.

    Raises:
        ValueError: for tokens outside the vocabulary or a shorter text.
    """
    vocabulary = checks.whole("vocabulary", vocabulary, 2)
    text = _tokens("tokens", tokens, vocabulary)
    if text.ndim != 1 or text.size < 2:
        raise ValueError(f"tokens: expected at least 2 in a row, got shape {text.shape}")
    flat = text[:-1] * vocabulary + text[1:]
    counts = jnp.zeros((vocabulary * vocabulary,)).at[flat].add(1.0)
    return counts.reshape(vocabulary, vocabulary)


def frequency_match(sent: ArrayLike, reference: ArrayLike) -> jax.Array:
    """Estimate the secret by ranks: the most frequent token was sent as the most frequent, ….

    Args:
        sent: ``float[V, V]``, :func:`bigram_counts` of the permuted text.
        reference: those of other text in the same language.

    Returns:
        ``int32[V]``.

    Raises:
        ValueError: for shapes that differ.
    """
    cipher, plain = _counts(sent, reference)
    by_rank = jnp.argsort(-jnp.sum(cipher, axis=0))
    ranks = jnp.argsort(jnp.argsort(-jnp.sum(plain, axis=0)))
    return by_rank[ranks].astype(jnp.int32)


def break_permutation(
    key: Key,
    sent: ArrayLike,
    reference: ArrayLike,
    *,
    restarts: int = 16,
    steps: int = 10_000,
    heat: float = 2e-3,
    smoothing: float = 0.1,
) -> Break:
    """Estimate the secret permutation by frequencies and hill climbing on pairs of tokens.

    Each restart begins at the ranks of noisy frequencies and swaps two entries at a time, mostly of
    tokens with similar frequencies; a swap stays if it raises the likelihood of the restored text,
    or by chance while the search is hot.
    Runs inside ``jit``, restarts in parallel.

    Args:
        key: of restarts and swaps.
        sent: ``float[V, V]``, :func:`bigram_counts` of the permuted text.
        reference: those of other text in the same language, which the attacker has.
        restarts: ``R``.
        steps: swaps that each restart tries.
        heat: temperature at the start, in nats per pair of the text; it falls linearly to 0.
        smoothing: added to the reference's counts.

    Returns:
        The estimate of the best restart.

    Raises:
        ValueError: for shapes that differ or numbers out of range.

    Example:
        >>> text = np.array([0, 1, 0, 1, 0, 2, 0, 1] * 9)
        >>> plain = bigram_counts(text, 3)
        >>> sent = bigram_counts(obfuscate(text, [2, 0, 1]), 3)
        >>> break_permutation(jax.random.key(0), sent, plain, steps=50).permutation.tolist()
        [2, 0, 1]
    """
    checks.key(key)
    cipher, plain = _counts(sent, reference)
    restarts = checks.whole("restarts", restarts, 1)
    steps = checks.whole("steps", steps, 1)
    checks.real("heat", heat, 0.0)
    checks.real("smoothing", smoothing, above=0.0)
    vocabulary = len(cipher)
    smooth = plain + smoothing
    log = jnp.log(smooth / jnp.sum(smooth, axis=1, keepdims=True))
    weight = cipher / jnp.maximum(jnp.sum(cipher), 1.0)
    order = jnp.argsort(-jnp.sum(cipher, axis=0)).astype(jnp.int32)

    def swap(carry: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, ...]):
        guess, score = carry
        i, j, luck, temperature = inputs
        # `guess[c]` is the token that sent token c stands for.
        a, b = guess[i], guess[j]
        new = guess.at[i].set(b).at[j].set(a)
        gain = jnp.zeros(())
        for position, old, own in ((i, a, b), (j, b, a)):
            row, column = weight[position], weight[:, position]
            gain += jnp.sum(row * (log[own, new] - log[old, guess]))
            gain += jnp.sum(column * (log[new, own] - log[guess, old]))
        for p, q in ((i, i), (i, j), (j, i), (j, j)):  # counted in a row and a column
            gain -= weight[p, q] * (log[new[p], new[q]] - log[guess[p], guess[q]])
        takes = (i != j) & (gain > temperature * jnp.log(luck))
        return (jnp.where(takes, new, guess), score + jnp.where(takes, gain, 0.0)), None

    def climb(own: jax.Array) -> tuple[jax.Array, jax.Array]:
        start, first, second, lucks = jax.random.split(own, 4)
        noise = jnp.exp(0.3 * jax.random.normal(start, (2, vocabulary)))
        by_rank = jnp.argsort(-jnp.sum(cipher, axis=0) * noise[0])
        plain_rank = jnp.argsort(-jnp.sum(plain, axis=0) * noise[1])
        guess = jnp.zeros((vocabulary,), jnp.int32).at[by_rank].set(plain_rank.astype(jnp.int32))
        score = jnp.sum(weight * log[guess][:, guess])
        # Tokens of like frequency are exchanged most often: distances of ranks are log-uniform.
        rank = jax.random.randint(first, (steps,), 0, vocabulary)
        apart = vocabulary ** jax.random.uniform(second, (steps,))
        other = (rank + jnp.ceil(apart).astype(jnp.int32)) % vocabulary
        inputs = (
            order[rank],
            order[other],
            jax.random.uniform(lucks, (steps,), minval=1e-9),
            heat * jnp.linspace(1.0, 0.0, steps),
        )
        return jax.lax.scan(swap, (guess, score), inputs)[0]

    guesses, scores = jax.vmap(climb)(jax.random.split(key, restarts))
    best = jnp.argmax(scores)
    secret = jnp.argsort(guesses[best]).astype(jnp.int32)
    return Break(secret, scores[best], scores)


def recovered_share(tokens: ArrayLike, permutation: ArrayLike, estimate: ArrayLike) -> jax.Array:
    """Share of a text's tokens that an estimate of the secret restores.

    Args:
        tokens: ``int[T]``, the text before it was permuted.
        permutation: ``int[V]``, the secret.
        estimate: ``int[V]``.

    Returns:
        ``float32`` in ``[0, 1]``.

    Raises:
        ValueError: as :func:`obfuscate`.
    """
    text = jnp.asarray(tokens)
    return jnp.mean(restore(obfuscate(text, permutation), estimate) == text)


def _permutation(value: ArrayLike) -> jax.Array:
    found = checks.wholes("permutation", value, shape=(None,))
    if not checks.is_traced(found) and not np.array_equal(np.sort(found), np.arange(len(found))):
        raise ValueError(f"permutation: expected each of 0 … {len(found) - 1} once")
    return jnp.asarray(found)


def _tokens(name: str, value: ArrayLike, vocabulary: int) -> jax.Array:
    return jnp.asarray(checks.wholes(name, value, 0, vocabulary - 1))


def _counts(sent: ArrayLike, reference: ArrayLike) -> tuple[jax.Array, jax.Array]:
    checks.real("sent", sent, 0.0, shape=(None, None))
    cipher = checks.numbers("sent", sent)
    if cipher.shape[0] != cipher.shape[1] or cipher.shape[0] < 2:
        raise ValueError(f"sent: expected counts [V, V] with V >= 2, got {cipher.shape}")
    checks.real("reference", reference, 0.0, shape=cipher.shape)
    return cipher, checks.numbers("reference", reference)
