"""Aggregators on the same replies and verdicts, and what is measured of them.

Shapes: ``S`` pools, ``Q`` questions, ``N`` nodes, ``p`` pairs of each judge.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.fortytwo.config import Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm.systems import fortytwo
from jaxswarm.trust import ranking
from jaxswarm.types import Key

CHUNK = 96  # questions of a call of the compiled programs

AGGREGATORS = {
    "best": "best node on calibration questions",
    "majority": "majority vote",
    "plain": "unweighted Bradley–Terry",
    "trueskill": "TrueSkill",
    "reputation": "reputation-weighted Bradley–Terry",
}
"""The five aggregators of the figure; results hold a few more."""


@functools.cache
def _programs() -> dict[str, Any]:
    """The jitted programs, vectorized over pools."""
    over_questions = jax.vmap(jax.vmap(ranking.majority_vote))

    def skills(
        first: jax.Array, second: jax.Array, verdicts: jax.Array, counts: jax.Array
    ) -> jax.Array:
        a, b = (jnp.broadcast_to(x[..., None], verdicts.shape).ravel() for x in (first, second))
        compared = ranking.Comparisons(jnp.zeros_like(a), a, b, verdicts.ravel())
        winners, losers, judged = ranking.wins_and_losses(compared)
        weights = judged & jnp.broadcast_to(counts[:, None, None], verdicts.shape).ravel()
        found = ranking.trueskill(
            winners, losers, weights.astype(jnp.float32), num_items=first.shape[0]
        )
        return found.mean

    def rate_all(
        classes: jax.Array,
        first: jax.Array,
        second: jax.Array,
        verdicts: jax.Array,
        counts: jax.Array,
    ) -> jax.Array:
        means = skills(first, second, verdicts, counts)
        return jnp.argmax(jnp.where(classes >= 0, means, -jnp.inf))

    by_question = jax.vmap(rate_all, (0, 0, 0, 0, None))
    return {
        "votes": jit_fast_compile(over_questions),
        "trueskill": jit_fast_compile(jax.vmap(by_question)),
        "rounds": jit_fast_compile(
            jax.vmap(
                lambda rounds, start, admitted, rate, mix, ridge: fortytwo.consensus_rounds(
                    rounds, start, admitted=admitted, rate=rate, mix=mix, ridge=ridge
                ),
                (0, 0, 0, None, None, None),
            )
        ),
        "corrupt": jit_fast_compile(
            jax.vmap(jax.vmap(_corrupt, (0, None, 0, 0, 0, 0, None)), (0, 0, 0, 0, 0, 0, None))
        ),
    }


@functools.cache
def _draw(num_nodes: int, num_items: int, pairs: int) -> Callable[..., Any]:
    """The jitted program that draws comparison graphs of one size."""

    def draw(key: Key) -> tuple[jax.Array, jax.Array]:
        return ranking.draw_comparisons(key, num_nodes, num_items, pairs)

    return jit_fast_compile(jax.vmap(jax.vmap(draw)), level=0)


def _corrupt(
    key: Key,
    kinds: jax.Array,
    first: jax.Array,
    second: jax.Array,
    verdicts: jax.Array,
    awake: jax.Array,
    paid: jax.Array,
) -> jax.Array:
    awake, paid = (jnp.broadcast_to(x, kinds.shape) for x in (awake, paid))
    return fortytwo.corrupt_verdicts(key, kinds, first, second, verdicts, awake=awake, paid=paid)


def _in_chunks(function: Callable[..., Any], *arrays: Any) -> Any:
    """Call a function of ``[S, CHUNK, ...]`` arrays on all questions, so that it compiles once.

    The last chunk repeats the last question.
    """
    count = arrays[0].shape[1]
    found = []
    for start in range(0, count, CHUNK):
        rows = np.minimum(np.arange(start, start + CHUNK), count - 1)
        found.append(function(*(x[:, rows] for x in arrays)))
    return jax.tree.map(lambda *xs: np.concatenate(xs, axis=1)[:, :count], *found)


def classes_of(replies: np.ndarray) -> np.ndarray:
    """Answer classes ``int32[S, Q, N]`` of replies ``[S, N, Q, T]``, -1 if a reply did not end."""
    by_question = np.swapaxes(replies, 1, 2)
    return np.where(by_question[..., 0] >= 0, texts_of(replies), ranking.UNPARSEABLE)


def texts_of(replies: np.ndarray) -> np.ndarray:
    """First node whose reply has the same text, ``int32[S, Q, N]``, of replies ``[S, N, Q, T]``."""
    by_question = np.swapaxes(replies, 1, 2)
    same = (by_question[:, :, :, None] == by_question[:, :, None]).all(-1)
    return same.argmax(-1).astype(np.int32)


def draw_pairs(keys: Any, num_nodes: int, num_items: int, pairs: int) -> tuple[Any, Any]:
    """Comparison graphs ``(first, second)``, ``int32[S, Q, N, p]``, of keys ``[S, Q]``."""
    return _in_chunks(_draw(num_nodes, num_items, pairs), keys)


def without_equal(rounds: fortytwo.Round) -> fortytwo.Round:
    """Let judges abstain from pairs of equal answers: no model is needed to see that.

    One win for each would pull popular answers to the middle of the ranking, so that the strongest
    reply were more often one that no other node gave.
    """
    a, b = (
        np.take_along_axis(rounds.classes[:, :, None], np.asarray(x), 3)
        for x in (rounds.first, rounds.second)
    )
    verdicts = np.where((a == b)[..., None], ranking.ABSTAIN, np.asarray(rounds.verdicts))
    return rounds._replace(verdicts=verdicts)


def decide(
    config: Config, rounds: fortytwo.Round, start: Any, admitted: Any, rate: float | None = None
) -> fortytwo.RoundInfo:
    """Run the reputation-weighted consensus on all pools."""
    rate = config.rate if rate is None else rate
    carried = [jnp.asarray(start, jnp.float32)]

    def decide_chunk(*parts: Any) -> fortytwo.RoundInfo:
        found = _programs()["rounds"](
            fortytwo.Round(*parts), carried[-1], admitted, rate, config.mix, config.ridge
        )
        carried.append(found.reputation[:, -1])
        return found

    return _in_chunks(decide_chunk, *rounds)


def corrupted(
    rounds: fortytwo.Round, kinds: np.ndarray, seed: int, wakes: int = 0, paid: float = 0.0
) -> fortytwo.Round:
    """Replace verdicts by those of adversaries ``kinds [S, N]``.

    Args:
        rounds: honest verdicts.
        kinds: positions in ``fortytwo.KINDS``.
        seed: of random verdicts.
        wakes: question at which sleepers wake.
        paid: share of its pairs that a Sybil identity can afford to judge.
    """
    shape = rounds.classes.shape[:2]
    keys = jax.random.split(jax.random.key(seed), shape)
    awake = np.broadcast_to(np.arange(shape[1]) >= wakes, shape)
    corrupt = _programs()["corrupt"]
    sent = _in_chunks(
        lambda keys, *parts: corrupt(keys, kinds, *parts, paid),
        *(keys, rounds.first, rounds.second, rounds.verdicts, awake),
    )
    return without_equal(rounds._replace(verdicts=sent))


def accuracy(winners: Any, right: np.ndarray) -> np.ndarray:
    """Share of questions whose winner is right, ``[S]``; ``right`` is ``bool[S, Q, N]``."""
    return np.take_along_axis(right, np.asarray(winners)[..., None], 2)[..., 0].mean(1)


def vote(classes: np.ndarray) -> np.ndarray:
    """Winners of majority votes, ``int[S, Q]``, of classes ``[S, Q, replies]``."""
    return _in_chunks(_programs()["votes"], classes)


def compare_all(
    config: Config,
    rounds: fortytwo.Round,
    right: np.ndarray,
    start: np.ndarray,
    admitted: np.ndarray,
    best: np.ndarray,
    present: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], fortytwo.RoundInfo]:
    """Accuracy of each aggregator on the same replies and verdicts.

    Args:
        config: constants of the consensus.
        rounds: replies and verdicts.
        right: ``bool[S, Q, N]``, right replies.
        start: ``float[S, N]``, reputations at the start.
        admitted: ``bool[S, N]``, admitted judges.
        best: ``int[S]``, node that was best on calibration questions.
        present: ``bool[S, N]``, nodes of a smaller swarm; all if ``None``.

    Returns:
        ``({aggregator: accuracy [S]}, what the reputation-weighted consensus did)``.
    """
    if present is not None:
        rounds = rounds._replace(
            classes=np.where(present[:, None], rounds.classes, ranking.UNPARSEABLE),
            verdicts=np.where(present[:, None, :, None, None], rounds.verdicts, ranking.ABSTAIN),
        )
        admitted = admitted & present
        right = right & present[:, None]
    ones = np.ones(start.shape, np.float32)
    info = decide(config, rounds, start, admitted)
    plain = decide(config, rounds, ones, admitted, rate=1.0)
    every = decide(config, rounds, ones, np.ones_like(admitted), rate=1.0)
    columns = np.broadcast_to(best[:, None], right.shape[:2])
    found = {
        "best": accuracy(columns, right),
        "majority": accuracy(vote(rounds.classes), right),
        "plain": accuracy(plain.winners, right),
        "plain_unscreened": accuracy(every.winners, right),
        "plain_merged": accuracy(plain.merged, right),
        "trueskill": accuracy(
            _in_chunks(lambda *parts: _programs()["trueskill"](*parts, admitted), *rounds),
            right,
        ),
        "reputation": accuracy(info.winners, right),
        "merged": accuracy(info.merged, right),
        "oracle": right.any(2).mean(1),
        "mean": right.sum((1, 2))
        / (right.shape[1] * (right.shape[2] if present is None else present.sum(1))),
    }
    return found, info


def judge_accuracy(rounds: fortytwo.Round, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Verdicts that are right, and which count, ``bool[S, N, Q p 2]``.

    Pairs with one right and one wrong reply count; an abstention is wrong.
    """
    a, b = (
        np.take_along_axis(right[:, :, None], np.asarray(x), 3)
        for x in (rounds.first, rounds.second)
    )
    wanted = np.where(a, ranking.FIRST, ranking.SECOND)[..., None]
    shape = (right.shape[0], right.shape[2], -1)
    good = (np.asarray(rounds.verdicts) == wanted).swapaxes(1, 2).reshape(shape)
    counts = np.broadcast_to((a != b)[..., None], rounds.verdicts.shape)
    return good, counts.swapaxes(1, 2).reshape(shape)


def mean_judge_accuracy(rounds: fortytwo.Round, right: np.ndarray) -> np.ndarray:
    """Share of right verdicts of all judges of a pool, ``[S]``."""
    good, counts = judge_accuracy(rounds, right)
    return (good & counts).sum((1, 2)) / np.maximum(counts.sum((1, 2)), 1)


def area_under_curve(score: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive node scores higher than a negative one; ties count one half.

    One half if one of the two kinds is missing: nothing separates them.
    """
    a, b = score[positive][:, None], score[~positive][None]
    return float(np.mean((a > b) + 0.5 * (a == b))) if a.size and b.size else 0.5
