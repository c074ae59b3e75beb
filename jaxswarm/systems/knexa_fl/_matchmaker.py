"""A matchmaker that learns which teacher to pair with which student: LinUCB with disjoint pairs.

Each round it scores all directed pairs by their features, dispatches the pairs of a greedy
matching, and learns from the rewards that students report. Rewards are normalized by a running
mean and deviation.

Shapes: ``N`` agents, ``K`` pairs of a round, ``D`` features.

References:
    I. Singh, E. Vissol-Gaudin, A. Otung, M. Sekiya, Learning to collaborate: an
    orchestrated-decentralized framework for peer-to-peer LLM federation, 2026. L. Li et al., A
    contextual-bandit approach to personalized news article recommendation, 2010 (LinUCB). B.
    Welford, Note on a method for calculating corrected sums of squares and products, 1962.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination import bandits
from jaxswarm.systems.knexa_fl._features import History, empty_history
from jaxswarm.systems.knexa_fl._matching import Pairs, check_num_pairs, greedy_matching
from jaxswarm.types import ArrayLike

EPSILON = 1e-6
"""Added to the deviation of rewards."""


class Moments(NamedTuple):
    """Running moments of rewards, scalars.

    Attributes:
        count: number of rewards.
        mean: their mean.
        squares: sum of squared deviations from the mean.
    """

    count: jax.Array
    mean: jax.Array
    squares: jax.Array


class MatchmakerState(NamedTuple):
    """State of a :class:`Matchmaker`.

    Attributes:
        sums: ridge statistics of the bandit.
        pending: dispatches of the last round whose reward has not come.
        history: normalized rewards of each directed pair.
        moments: of the rewards.
        round: ``int32[]``, number of matchings made.
        skipped: ``int32[]``, rewards that were not finite, which changed nothing.
    """

    sums: bandits.Ridge
    pending: bandits.Pending
    history: History
    moments: Moments
    round: jax.Array
    skipped: jax.Array


class Matchmaker(NamedTuple):
    """Functions of a matchmaker.

    Attributes:
        init: ``init(sums=None) -> MatchmakerState``; ``sums`` are earlier ridge statistics.
        choose: ``choose(key, state, features [N, N, D], active=None) -> (state, Pairs)``.
            Dispatches of an earlier round that have no reward yet are dropped.
        feedback: ``feedback(state, pairs, rewards [K]) -> state``. A reward that is not finite is
            skipped and counted; one for a pair without open dispatch is refused.
    """

    init: Callable[..., MatchmakerState]
    choose: Callable[..., tuple[MatchmakerState, Pairs]]
    feedback: Callable[..., MatchmakerState]


def transfer_reward(
    before: ArrayLike,
    after: ArrayLike,
    kilobytes: ArrayLike = 0.0,
    *,
    gamma: float = 1.0,
    delta: float = 0.0,
) -> jax.Array:
    """Reward of an exchange: scaled drop of the student's loss minus the price of its messages.

    Args:
        before: loss before, any shape; NaN passes and is skipped by the matchmaker.
        after: loss after.
        kilobytes: sent.
        gamma: weight of the drop, at least 0.
        delta: price of a kilobyte, at least 0.

    Raises:
        ValueError: for weights out of range or what are no numbers.

    Example:
        >>> round(float(transfer_reward(1.5, 1.2, 2.0, delta=0.05)), 3)
        0.2
    """
    checks.real("gamma", gamma, 0.0)
    checks.real("delta", delta, 0.0)
    before, after = checks.numbers("before", before), checks.numbers("after", after)
    return gamma * (before - after) - delta * checks.numbers("kilobytes", kilobytes)


def check_sums(sums: bandits.Ridge, num_features: int, regularization: float) -> bandits.Ridge:
    """Check ridge statistics that come from outside: ``A = λ I + gram`` must be a precision matrix.

    Args:
        sums: unbatched.
        num_features: ``D``.
        regularization: ``λ > 0``.

    Raises:
        ValueError: for other shapes, numbers that are not finite, or a matrix that is not symmetric
            or not positive definite.
    """
    d = checks.whole("num_features", num_features, 1)
    checks.real("regularization", regularization, above=0.0)
    checks.instance("sums", sums, bandits.Ridge, "bandits.empty_sums(64)")
    checks.real("sums: gram", sums.gram, shape=(d, d))
    checks.real("sums: moment", sums.moment, shape=(d,))
    checks.real("sums: count", sums.count, 0.0)
    if checks.is_traced(sums.gram):
        return sums
    gram = np.asarray(sums.gram, np.float64)
    scale = max(float(np.abs(gram).max()), 1.0)
    if np.abs(gram - gram.T).max() > 1e-5 * scale:
        raise ValueError("sums: expected a symmetric gram matrix, got an asymmetric one")
    smallest = float(np.linalg.eigvalsh(gram).min())
    if smallest + regularization <= 0.0:
        raise ValueError(
            "sums: expected regularization * I + gram to be positive definite, got smallest "
            f"eigenvalue {smallest + regularization:.6g}"
        )
    return sums


def matchmaker(
    num_agents: int,
    num_features: int,
    *,
    num_pairs: int,
    bandit: bandits.Bandit | None = None,
    beta0: float = 1.0,
    regularization: float = 1.0,
    normalize: bool = True,
) -> Matchmaker:
    """Make a matchmaker by LinUCB with confidence radius ``β0 / √t`` in round ``t``.

    Args:
        num_agents: ``N >= 2``.
        num_features: ``D``, as ``NUM_FEATURES["pairwise"]``.
        num_pairs: ``K`` of a round, from 1 to ``N / 2``.
        bandit: another rule of shared arms, such as ``bandits.thompson(D)``; LinUCB if ``None``.
        beta0: ``β0``, at least 0; of LinUCB.
        regularization: ``λ > 0`` of LinUCB and of :func:`check_sums`.
        normalize: learn from z-scores of the rewards instead of the rewards. The features must
            then span a constant (families of profiles do): without, the rewards of good pairs,
            which become the mean, would teach nothing.

    Raises:
        ValueError: for arguments out of range. ``feedback`` raises for a pair of an agent with
            itself, one that was not dispatched or has its reward, when it is not traced; traced
            ones change nothing and are counted in ``pending.refused``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.systems import knexa_fl
        >>> maker = knexa_fl.matchmaker(4, 3, num_pairs=2)
        >>> features = jax.random.normal(jax.random.key(0), (4, 4, 3))
        >>> state, pairs = maker.choose(jax.random.key(1), maker.init(), features)
        >>> sorted([*pairs.teachers.tolist(), *pairs.students.tolist()])
        [0, 1, 2, 3]
        >>> state = maker.feedback(state, pairs, jnp.array([0.3, float("nan")]))
        >>> int(state.sums.count), int(state.skipped)
        (1, 1)
    """
    n = checks.whole("num_agents", num_agents, 2)
    d = checks.whole("num_features", num_features, 1)
    num_pairs = check_num_pairs(num_pairs, n)
    checks.real("beta0", beta0, 0.0)
    checks.real("regularization", regularization, above=0.0)
    normalize = checks.flag("normalize", normalize)
    if bandit is not None:
        checks.instance("bandit", bandit, bandits.Bandit, "bandits.linucb(72)")
        if bandit.init().moment.shape != (d,):
            raise ValueError(
                f"bandit: expected shared arms of {d} features, got moment "
                f"{bandit.init().moment.shape}"
            )
    learner = bandit or bandits.linucb(d, regularization=regularization)

    def init(sums: bandits.Ridge | None = None) -> MatchmakerState:
        if sums is not None:
            sums = check_sums(sums, d, regularization)
        zero = jnp.zeros((), jnp.int32)
        return MatchmakerState(
            learner.init() if sums is None else sums,
            bandits.empty_pending(num_pairs, d),
            empty_history(n),
            Moments(jnp.zeros(()), jnp.zeros(()), jnp.zeros(())),
            zero,
            zero,
        )

    def choose(
        key: jax.Array,
        state: MatchmakerState,
        features: ArrayLike,
        active: ArrayLike | None = None,
    ) -> tuple[MatchmakerState, Pairs]:
        _check_state(state)
        features = checks.numbers("features", features, (n, n, d))
        rule = learner
        if bandit is None:
            radius = beta0 / jnp.sqrt(state.round + 1.0)
            rule = bandits.linucb(d, regularization=regularization, radius=radius)
        rows = features.reshape(n * n, d)
        arms = jnp.zeros(n * n, jnp.int32)
        scores = rule.score(checks.key(key), state.sums, rows, arms).reshape(n, n)
        pairs = greedy_matching(scores, num_pairs, active)
        x = features[pairs.teachers, pairs.students]
        number = state.round * num_pairs + jnp.arange(num_pairs)
        fresh = bandits.empty_pending(num_pairs, d)._replace(refused=state.pending.refused)
        pending = fresh._replace(
            dispatch=jnp.where(pairs.valid, number, -1).astype(jnp.int32),
            x=jnp.where(pairs.valid[:, None], x, 0.0).astype(fresh.x.dtype),
            arm=jnp.where(pairs.valid, pairs.teachers * n + pairs.students, -1),
        )
        return state._replace(pending=pending, round=state.round + 1), pairs

    def feedback(state: MatchmakerState, pairs: Pairs, rewards: ArrayLike) -> MatchmakerState:
        _check_state(state)
        _check_pairs(pairs, n)
        rewards = checks.numbers("rewards", rewards, pairs.valid.shape).astype(jnp.float32)
        arms = pairs.teachers * n + pairs.students
        _check_dispatched(state, pairs, arms)

        def one(state: MatchmakerState, entry: tuple) -> tuple[MatchmakerState, None]:
            arm, valid, reward = entry
            pending = state.pending
            waits = (pending.dispatch >= 0) & (pending.arm == arm) & valid
            hit, finite = jnp.any(waits), jnp.isfinite(reward)
            x = jnp.sum(jnp.where(waits[:, None], pending.x, 0.0), axis=0)
            counts = (hit & finite).astype(jnp.float32)
            moments = _updated(state.moments, jnp.where(finite, reward, 0.0), counts)
            learnt = jnp.where(finite, reward, 0.0)
            if normalize:
                deviation = jnp.sqrt(moments.squares / jnp.maximum(moments.count, 1.0))
                learnt = (learnt - moments.mean) / (deviation + EPSILON)
            place = jnp.where(hit & finite, arm, n * n)
            history = jax.tree.map(
                lambda table, value: table.ravel().at[place].add(value, mode="drop").reshape(n, n),
                state.history,
                History(learnt, jnp.ones(())),
            )
            state = MatchmakerState(
                learner.learn(state.sums, x, learnt, 0, counts),
                pending._replace(
                    dispatch=jnp.where(waits, -1, pending.dispatch),
                    refused=pending.refused + (valid & ~hit),
                ),
                history,
                moments,
                state.round,
                state.skipped + (hit & ~finite),
            )
            return state, None

        return jax.lax.scan(one, state, (arms, pairs.valid, rewards))[0]

    return Matchmaker(init, choose, feedback)


def _updated(moments: Moments, reward: jax.Array, weight: jax.Array) -> Moments:
    """Moments with one more reward; weight 0 leaves them as they are."""
    count = moments.count + weight
    step = reward - moments.mean
    mean = moments.mean + weight * step / jnp.maximum(count, 1.0)
    return Moments(count, mean, moments.squares + weight * step * (reward - mean))


def _check_state(state: MatchmakerState) -> None:
    checks.instance("state", state, MatchmakerState, "knexa_fl.matchmaker(…).init()")


def _check_pairs(pairs: Pairs, n: int) -> None:
    checks.instance("pairs", pairs, Pairs, "the pairs of choose")
    valid = checks.mask("pairs: valid", pairs.valid, (None,))
    for name, ids in (("teachers", pairs.teachers), ("students", pairs.students)):
        checks.wholes(f"pairs: {name}", ids, -1, n - 1, shape=valid.shape)
    if any(checks.is_traced(leaf) for leaf in pairs):
        return
    same = np.asarray(valid) & (np.asarray(pairs.teachers) == np.asarray(pairs.students))
    if same.any():
        agent = int(np.asarray(pairs.teachers)[same][0])
        raise ValueError(f"pairs: expected two different agents, got agent {agent} with itself")


def _check_dispatched(state: MatchmakerState, pairs: Pairs, arms: jax.Array) -> None:
    """Refuse rewards for pairs without an open dispatch, or twice in one call, unless traced."""
    known = (*pairs, state.pending.arm, state.pending.dispatch)
    if any(checks.is_traced(leaf) for leaf in known):
        return
    waiting = np.asarray(state.pending.arm)[np.asarray(state.pending.dispatch) >= 0].tolist()
    for k in np.flatnonzero(np.asarray(pairs.valid)):
        if int(arms[k]) not in waiting:
            raise ValueError(
                "pairs: expected dispatched pairs that have no reward yet, got teacher "
                f"{int(pairs.teachers[k])} and student {int(pairs.students[k])}"
            )
        waiting.remove(int(arms[k]))
