"""Reputation of judges without ground truth: agreement, moving averages, admission, collusion.

Shapes: ``N`` nodes, ``K`` items, ``M`` comparisons, ``C`` calibration questions, ``E`` events that
several nodes judged.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.ranking._comparisons import Comparisons, wins_and_losses
from jaxswarm.types import ArrayLike

LEAST = 1e-3
"""Smallest reputation, so that weights stay positive."""


def agreement(
    comparisons: Comparisons, strengths: ArrayLike, num_nodes: int
) -> tuple[jax.Array, jax.Array]:
    """Share of each node's verdicts that agree with the consensus ranking; runs inside ``jit``.

    Pairs of equal strength count one half. Abstentions do not count.

    Args:
        comparisons: leaves ``int[M]``.
        strengths: ``float[K]``, log-strengths of the items.
        num_nodes: ``N >= 1``.

    Returns:
        ``(share float32[N], counts float32[N])``; the share is 0.5 for a node without verdicts.

    Raises:
        ValueError: for arguments of another kind.
    """
    num_nodes = checks.whole("num_nodes", num_nodes, 1)
    strengths = checks.numbers("strengths", strengths, (None,))
    winners, losers, counts = wins_and_losses(comparisons)
    gap = strengths[winners] - strengths[losers]
    score = jnp.where(gap > 0, 1.0, jnp.where(gap < 0, 0.0, 0.5))
    judges = jnp.asarray(comparisons.judges)

    def total(values: ArrayLike) -> jax.Array:
        return jax.ops.segment_sum(jnp.where(counts, values, 0.0), judges, num_nodes)

    number = total(jnp.ones(judges.shape))
    return jnp.where(number > 0, total(score) / jnp.maximum(number, 1.0), 0.5), number


def update_reputation(
    reputation: ArrayLike,
    ranking_accuracy: ArrayLike,
    generation_quality: ArrayLike | None = None,
    *,
    rate: ArrayLike = 0.9,
    mix: ArrayLike = 0.5,
    counts: ArrayLike | None = None,
) -> jax.Array:
    """Exponential moving average of how well nodes judge and answer.

    ``R ← rate · R + (1 - rate) · (mix · ranking_accuracy + (1 - mix) · generation_quality)``, at
    least ``1e-3``.

    Args:
        reputation: ``float[N]`` in ``(0, 1]``.
        ranking_accuracy: ``float[N]`` in ``[0, 1]``, see :func:`agreement`.
        generation_quality: ``float[N]`` in ``[0, 1]``, such as whether a node's answer won; without
            it only the ranking accuracy counts.
        rate: in ``[0, 1]``, weight of the past.
        mix: in ``[0, 1]``, weight of the ranking accuracy.
        counts: ``bool[N]``, nodes that took part; the others keep their reputation. All if
            ``None``.

    Returns:
        ``float32[N]``.

    Raises:
        ValueError: for numbers out of range or shapes that differ.

    Example:
        >>> [round(float(r), 3) for r in update_reputation([0.5, 0.5], [1.0, 0.0], rate=0.9)]
        [0.55, 0.45]
    """
    checks.real("reputation", reputation, above=0.0, shape=(None,))
    past = checks.numbers("reputation", reputation)
    checks.probability("rate", rate)
    checks.probability("mix", mix)
    # What does not count may be NaN.
    taken = jnp.ones(past.shape, bool)
    if counts is not None:
        taken = jnp.asarray(checks.mask("counts", counts, past.shape))
    score = checks.numbers("ranking_accuracy", ranking_accuracy, past.shape)
    if counts is None:
        checks.probability("ranking_accuracy", ranking_accuracy, shape=past.shape)
    if generation_quality is not None:
        quality = checks.numbers("generation_quality", generation_quality, past.shape)
        if counts is None:
            checks.probability("generation_quality", generation_quality, shape=past.shape)
        score = mix * score + (1.0 - mix) * quality
    new = jnp.maximum(rate * past + (1.0 - rate) * score, LEAST)
    return jnp.where(taken, new, past)


def admitted(
    correct: ArrayLike, threshold: float = 0.6, counts: ArrayLike | None = None
) -> jax.Array:
    """Nodes that pass the calibration tests: share of right verdicts at least a threshold.

    Args:
        correct: ``bool[N, C]``, whether each node's verdict (or answer) on each test was right.
        threshold: in ``[0, 1]``.
        counts: ``bool[N, C]``, tests that each node took; all if ``None``. A node without tests is
            not admitted.

    Returns:
        ``bool[N]``.

    Raises:
        ValueError: for another shape or dtype, no tests, or a threshold out of range.

    Example:
        >>> import numpy as np
        >>> admitted(np.array([[True, True], [True, False]]), threshold=0.6).tolist()
        [True, False]
    """
    right = jnp.asarray(checks.mask("correct", correct, (None, None)))
    checks.whole("number of tests", right.shape[1], 1)
    checks.probability("threshold", threshold)
    taken = np.ones(right.shape, bool) if counts is None else counts
    taken = jnp.asarray(checks.mask("counts", taken, right.shape))
    number = jnp.sum(taken, axis=1)
    passed = jnp.sum(taken & right, axis=1)
    return (number > 0) & (passed >= threshold * number)


def collusion_scores(verdicts: ArrayLike, consensus: ArrayLike) -> jax.Array:
    """How far two nodes agree beyond what their agreement with the consensus explains.

    Two nodes that agree with the consensus with probabilities ``a`` and ``b``, independently, give
    equal verdicts with probability ``e = a b + (1 - a)(1 - b)``. The score is the number of
    standard deviations ``√(e (1 - e) / events)`` by which their share of equal verdicts exceeds
    ``e``. Scores far above 3 flag collusion (or errors that two honest nodes share).

    Args:
        verdicts: ``int[N, E]``, 1, -1, or 0 where a node did not judge an event.
        consensus: ``int[E]``, 1 or -1.

    Returns:
        ``float32[N, N]``, symmetric with zero diagonal; 0 for pairs without common events.

    Raises:
        ValueError: for other numbers or shapes.

    Example:
        >>> verdicts = [[1, -1, 1, -1] * 8, [1, -1, 1, -1] * 8, [1, 1, -1, 1] * 8]
        >>> scores = collusion_scores(verdicts, [1, 1, 1, 1] * 8)
        >>> bool(scores[0, 1] > 3), bool(scores[0, 2] > 3)
        (True, False)
    """
    checked = checks.wholes("verdicts", verdicts, -1, 1, shape=(None, None))
    agreed = checks.wholes("consensus", consensus, -1, 1, shape=checked.shape[1:])
    votes = jnp.asarray(checked).astype(jnp.float32)
    judged = jnp.abs(votes)
    right = judged * (votes == jnp.asarray(agreed)[None])
    rate = jnp.sum(right, axis=1) / jnp.maximum(jnp.sum(judged, axis=1), 1.0)
    common = judged @ judged.T
    equal = 0.5 * (common + votes @ votes.T) / jnp.maximum(common, 1.0)
    expected = rate[:, None] * rate[None] + (1.0 - rate[:, None]) * (1.0 - rate[None])
    spread = jnp.sqrt(jnp.maximum(expected * (1.0 - expected), 1e-4) / jnp.maximum(common, 1.0))
    scores = jnp.where(common > 0, (equal - expected) / spread, 0.0)
    return jnp.where(np.eye(checked.shape[0], dtype=bool), 0.0, scores)
