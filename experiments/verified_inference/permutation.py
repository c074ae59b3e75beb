"""Permuted vocabularies and their break by frequencies: a labelled negative result.

The texts come with Python and scikit-learn: pages of Python's language reference, one half of which
the attacker knows, and descriptions of data sets as text of another kind.

Shapes: ``S`` seeds, ``T`` lengths of texts, ``V`` tokens.
"""

import functools
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.verified_inference.config import Config
from jaxswarm.trust import obfuscation
from jaxswarm.types import Key

LETTERS = " abcdefghijklmnopqrstuvwxyz.,'\"()-_0"  # digits become 0, other characters spaces
SAME, OTHER = "characters, same kind of text", "characters, other text"
WORDS = "words, same kind of text"
TIERS = (SAME, OTHER, WORDS)
SMOOTHING = 0.1  # added to the counts of the known text
CLIMB, RANKS = "hill climbing", "ranks of frequencies"


def texts() -> tuple[str, str, str]:
    """Known pages, other pages of the same reference, and descriptions of data sets."""
    from pydoc_data import topics

    import sklearn

    pages = [topics.topics[name] for name in sorted(topics.topics)]
    folder = Path(sklearn.__file__).parent / "datasets" / "descr"
    other = "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("*.rst")))
    return "\n".join(pages[::2]), "\n".join(pages[1::2]), other


def characters(text: str) -> np.ndarray:
    """Positions in :data:`LETTERS`, with runs of spaces as one."""
    plain = re.sub(r"[0-9]", "0", text.lower())
    plain = re.sub(f"[^{re.escape(LETTERS)}]", " ", plain)
    place = {letter: i for i, letter in enumerate(LETTERS)}
    return np.array([place[letter] for letter in re.sub(r" +", " ", plain)], np.int32)


def words(text: str, vocabulary: list[str]) -> np.ndarray:
    """Positions in a vocabulary, whose size stands for any other word."""
    place = {word: i for i, word in enumerate(vocabulary)}
    found = re.findall(r"[a-z]+|[.,()]", text.lower())
    return np.array([place.get(word, len(vocabulary)) for word in found], np.int32)


def frequent_words(text: str, count: int) -> list[str]:
    """The most frequent words and marks of a text."""
    found, counts = np.unique(re.findall(r"[a-z]+|[.,()]", text.lower()), return_counts=True)
    return [str(word) for word in found[np.argsort(-counts, kind="stable")[:count]]]


def run(config: Config) -> dict[str, Any]:
    """Break random permutations of excerpts.

    Returns:
        ``recovered {tier: {attack: [T, S]}}``, share of an excerpt's tokens that are restored;
        ``shortfall {tier: [T, S]}``, log-likelihood of a pair under the secret, less that under the
        estimate: positive where the search failed and not the frequencies;
        ``sample``: code points of an excerpt as restored, for the report.
    """
    known, same, other = texts()
    vocabulary = frequent_words(known, config.words - 1)
    tiers = {
        SAME: (len(LETTERS), characters(known), characters(same)),
        OTHER: (len(LETTERS), characters(known), characters(other)),
        WORDS: (config.words, words(known, vocabulary), words(same, vocabulary)),
    }
    results: dict[str, Any] = {"recovered": {}, "shortfall": {}}
    base = jax.random.fold_in(jax.random.key(config.seed), 5)
    programs: dict[int, Any] = {}
    for tier, (size, reference, target) in tiers.items():
        plain = obfuscation.bigram_counts(reference, size)
        rows, secrets = [], []
        rng = np.random.default_rng([config.seed, TIERS.index(tier)])
        for length in config.lengths:
            length = min(length, len(target))
            for _ in range(config.seeds):
                start = rng.integers(0, len(target) - length + 1)
                rows.append(target[start : start + length])
                secrets.append(rng.permutation(size))
        counts = np.stack(
            [
                np.asarray(obfuscation.bigram_counts(secret[row], size))
                for row, secret in zip(rows, secrets, strict=True)
            ]
        )
        if size not in programs:
            programs[size] = _program(config, size)
        keys = jax.random.split(jax.random.fold_in(base, TIERS.index(tier)), len(rows))
        climbed, ranked, scores = map(np.asarray, programs[size](keys, jnp.asarray(counts), plain))
        smooth = np.asarray(plain) + SMOOTHING
        log = np.log(smooth / smooth.sum(axis=1, keepdims=True))
        true = np.array([log[row[:-1], row[1:]].mean() for row in rows])
        results["shortfall"][tier] = (true - scores).reshape(len(config.lengths), config.seeds)
        results["recovered"][tier] = {
            name: np.array(
                [
                    np.mean(np.argsort(guess)[secret[row]] == row)
                    for row, secret, guess in zip(rows, secrets, guesses, strict=True)
                ]
            ).reshape(len(config.lengths), config.seeds)
            for name, guesses in ((CLIMB, climbed), (RANKS, ranked))
        }
        if tier == OTHER:
            restored = np.argsort(climbed[-1])[secrets[-1][rows[-1][:160]]]
            results["sample"] = np.array([ord(LETTERS[i]) for i in restored])
    return results


def _program(config: Config, size: int) -> Any:
    steps = config.swaps * size // len(LETTERS)

    @functools.partial(jit_fast_compile, level=1, plain=True)
    def program(keys: Key, counts: jax.Array, plain: jax.Array) -> tuple[jax.Array, ...]:
        def one(key: Key, sent: jax.Array) -> tuple[jax.Array, ...]:
            found = obfuscation.break_permutation(
                key, sent, plain, restarts=config.restarts, steps=steps, heat=config.heat,
                smoothing=SMOOTHING,
            )  # fmt: skip
            return found.permutation, obfuscation.frequency_match(sent, plain), found.score

        return jax.vmap(one)(keys, counts)

    return program
