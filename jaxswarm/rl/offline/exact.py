"""Exact analysis of chunk critics on small Markov decision processes, in float64 on the host.

Data are a mixture of Markov policies: one of them is drawn for a whole chunk and acts in closed
loop. A **nominal** chunk value is what a chunk critic learns from such data without limit: returns
of a chunk's actions *where the data contain them*. Data are **open-loop consistent** if replaying a
chunk's actions blindly leads to the same states; otherwise nominal values count the luck that made
the data choose these actions.

All ``A^h`` chunks are enumerated.

Shapes: ``S`` states, ``A`` actions, ``h`` steps of a chunk, ``C = A^h`` chunks, ``M`` policies of
the mixture.

References:
    Q. Li, S. Park, S. Levine, Decoupled Q-chunking, 2025 (open-loop consistency, Theorems 1 and 3).
"""

from typing import NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

_LARGEST = 2**16
_TOLERANCE = 1e-12


class TabularMDP(NamedTuple):
    """A Markov decision process with rewards in ``[0, 1]``.

    Attributes:
        transition: ``float64[S, A, S]``, rows sum to one.
        reward: ``float64[S, A]`` in ``[0, 1]``.
        discount: ``γ`` in ``(0, 1)``.
    """

    transition: np.ndarray
    reward: np.ndarray
    discount: float


class ChunkData(NamedTuple):
    """What data say, and what is true, about every chunk.

    Attributes:
        chunks: ``int[C, h]``, the actions of every chunk.
        probability: ``[S, C]``, probability of the data that a chunk of actions follows a state.
        nominal_reward: ``[S, C]``, expected discounted reward within the chunk, in the data that
            contain it; 0 for chunks that no data contain.
        nominal_end: ``[S, C, S]``, law of the state after the chunk, in the data that contain it.
        nominal_states: ``[h, S, C, S]``, law of the state before each action, likewise.
        true_reward: ``[S, C]``, expected discounted reward of executing the chunk open-loop.
        true_end: ``[S, C, S]``, law of the state after it.
        true_states: ``[h, S, C, S]``, law of the state before each action.
    """

    chunks: np.ndarray
    probability: np.ndarray
    nominal_reward: np.ndarray
    nominal_end: np.ndarray
    nominal_states: np.ndarray
    true_reward: np.ndarray
    true_end: np.ndarray
    true_states: np.ndarray


def tabular_mdp(transition: ArrayLike, reward: ArrayLike, discount: float) -> TabularMDP:
    """Check the arrays of a Markov decision process.

    Args:
        transition: ``[S, A, S]``, probabilities.
        reward: ``[S, A]`` in ``[0, 1]``.
        discount: ``γ`` in ``(0, 1)``.

    Raises:
        ValueError: for other shapes, probabilities that do not sum to one, rewards or a discount
            out of range.
    """
    checks.concrete("transition, reward", (transition, reward))
    law = np.asarray(checks.probability("transition", transition, shape=(None,) * 3), np.float64)
    if law.shape[0] != law.shape[2] or 0 in law.shape:
        raise ValueError(f"transition: expected shape [S, A, S], got {law.shape}")
    if np.abs(law.sum(-1) - 1.0).max() > 1e-6:
        raise ValueError("transition: expected rows that sum to 1")
    law = law / law.sum(-1, keepdims=True)
    checks.probability("reward", reward, shape=law.shape[:2])
    checks.real("discount", discount, above=0.0, below=1.0)
    return TabularMDP(law, np.asarray(reward, np.float64), float(discount))


def random_mdp(
    num_states: int = 6,
    num_actions: int = 3,
    *,
    slip: float = 0.0,
    discount: float = 0.95,
    seed: int = 0,
) -> TabularMDP:
    """Draw a process with one random successor for every action, and random slips.

    Args:
        num_states: ``S``.
        num_actions: ``A``.
        slip: probability in ``[0, 1]`` that a step leads to a uniformly random state instead.
        discount: ``γ``.
        seed: of the process. Rewards are the fourth powers of uniform numbers: few are large.

    Raises:
        ValueError: for sizes below 1 or numbers out of range.
    """
    num_states = checks.whole("num_states", num_states, 1)
    num_actions = checks.whole("num_actions", num_actions, 1)
    checks.probability("slip", slip)
    rng = np.random.default_rng(checks.whole("seed", seed))
    successor = rng.integers(num_states, size=(num_states, num_actions))
    law = (1.0 - slip) * np.eye(num_states)[successor] + slip / num_states
    return tabular_mdp(law, rng.uniform(size=(num_states, num_actions)) ** 4, discount)


def chunk_data(mdp: TabularMDP, policies: ArrayLike, weights: ArrayLike, horizon: int) -> ChunkData:
    """Enumerate what data of a mixture of policies say about every chunk.

    Args:
        mdp: of :func:`tabular_mdp`.
        policies: ``[M, S, A]``, action probabilities of each policy.
        weights: ``[M]``, probability that a chunk is of each policy.
        horizon: ``h``.

    Raises:
        ValueError: for shapes that do not fit, probabilities that do not sum to one, or more than
            65,536 chunks.
    """
    checks.instance("mdp", mdp, TabularMDP, "exact.random_mdp()")
    horizon = checks.whole("horizon", horizon, 1)
    states, actions = mdp.reward.shape
    if actions**horizon > _LARGEST:
        raise ValueError(f"horizon: expected at most {_LARGEST} chunks, got {actions**horizon}")
    checks.probability("policies", policies, shape=(None, states, actions))
    acts = np.asarray(policies, np.float64)
    mixture = np.asarray(checks.probability("weights", weights, shape=(len(acts),)), np.float64)
    if np.abs(acts.sum(-1) - 1.0).max() > 1e-6 or abs(mixture.sum() - 1.0) > 1e-6:
        raise ValueError("policies, weights: expected probabilities that sum to 1")
    table = np.indices((actions,) * horizon).reshape(horizon, -1).T
    probability, reward, states_in_data, end = _forward(mdp, table, acts, mixture)
    known = np.maximum(probability, 1e-300)
    replay = _forward(mdp, table, np.ones((1, states, actions)), np.ones(1))
    return ChunkData(
        chunks=table,
        probability=probability,
        nominal_reward=reward / known,
        nominal_end=end / known[..., None],
        nominal_states=states_in_data / known[..., None],
        true_reward=replay[1],
        true_end=replay[3],
        true_states=replay[2],
    )


def _forward(
    mdp: TabularMDP, table: np.ndarray, policies: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Probability, reward, intermediate and last states of all chunks, joint with the chunk.

    ``mass[s, c, x]`` is the probability of the first actions and of being in ``x`` after them.
    """
    states = len(mdp.reward)
    horizon = table.shape[1]
    count = len(table)
    probability = np.zeros((states, count))
    reward, end = np.zeros((states, count)), np.zeros((states, count, states))
    before = np.zeros((horizon, states, count, states))
    for policy, weight in zip(policies, weights, strict=True):
        step = policy[:, :, None] * mdp.transition  # act, then move
        mass = np.broadcast_to(np.eye(states)[:, None], (states, count, states)) * weight
        earned = np.zeros_like(mass)
        masses = []
        for k in range(horizon):
            action = table[:, k]
            masses.append(mass)
            law = step[:, action]  # [x, c, y]
            here = earned + mdp.discount**k * mdp.reward[:, action].T[None] * mass
            mass = np.einsum("scx,xcy->scy", mass, law)
            earned = np.einsum("scx,xcy->scy", here, law)
        probability += mass.sum(-1)
        reward += earned.sum(-1)
        end += mass
        # Probability of the rest of the chunk, backwards, completes the law of earlier states.
        rest = np.ones((states, count))
        for k in range(horizon - 1, -1, -1):
            rest = np.einsum("xcy,yc->xc", step[:, table[:, k]], rest)
            before[k] += masses[k] * rest.T[None]
    return probability, reward, before, end


def open_loop_gap(data: ChunkData, *, strong: bool = False) -> float:
    """Total variation ``ε`` between replaying chunks of the data blindly and the data.

    Args:
        data: of :func:`chunk_data`.
        strong: for every chunk by itself, instead of on average over the chunks of a state (weak).

    Returns:
        The largest over start states of the distance of the law of (state, action) at any step, and
        of the last state. 0: the data are open-loop consistent.
    """
    checks.instance("data", data, ChunkData, "exact.chunk_data(…)")
    horizon = data.chunks.shape[1]
    seen = data.probability > _TOLERANCE
    pairs = [(data.nominal_end, data.true_end, None)]
    pairs += [
        (data.nominal_states[k], data.true_states[k], data.chunks[:, k]) for k in range(horizon)
    ]
    largest = 0.0
    for nominal, true, action in pairs:
        difference = nominal - true
        if strong:
            apart = 0.5 * np.abs(difference).sum(-1)
            largest = max(largest, float(apart[seen].max(initial=0.0)))
            continue
        weighted = data.probability[..., None] * np.where(seen[..., None], difference, 0.0)
        groups = np.zeros(len(data.chunks), int) if action is None else action
        parts = [weighted[:, groups == a].sum(1) for a in np.unique(groups)]
        largest = max(largest, float(0.5 * np.abs(np.stack(parts, 1)).sum((1, 2)).max()))
    return largest


def optimal_values(mdp: TabularMDP) -> tuple[np.ndarray, np.ndarray]:
    """Optimal values ``[S]`` and an optimal policy ``int[S]``, by policy iteration."""
    checks.instance("mdp", mdp, TabularMDP, "exact.random_mdp()")
    policy = mdp.reward.argmax(1)
    for _ in range(1000):
        value = policy_values(mdp, policy)
        q = mdp.reward + mdp.discount * mdp.transition @ value
        better = q.max(1) > q[np.arange(len(q)), policy] + 1e-10
        if not better.any():
            break
        policy = np.where(better, q.argmax(1), policy)
    return value, policy


def policy_values(mdp: TabularMDP, policy: np.ndarray) -> np.ndarray:
    """Values ``[S]`` of a deterministic policy ``int[S]``, by a linear solve."""
    rows = np.arange(len(policy))
    law, reward = mdp.transition[rows, policy], mdp.reward[rows, policy]
    return np.linalg.solve(np.eye(len(policy)) - mdp.discount * law, reward)


def chunk_policy_values(
    mdp: TabularMDP, reward: np.ndarray, end: np.ndarray, choice: np.ndarray, horizon: int
) -> np.ndarray:
    """Values ``[S]`` of a law of chunks ``[S, C]``, or of one chunk ``int[S]`` for each state.

    Args:
        mdp: the process.
        reward: ``[S, C]``, nominal or true, of :class:`ChunkData`.
        end: ``[S, C, S]``, likewise.
        choice: probabilities ``[S, C]`` or chunks ``int[S]``.
        horizon: ``h``.
    """
    law = choice if choice.ndim == 2 else np.eye(reward.shape[1])[choice]
    matrix = np.einsum("sc,scx->sx", law, end)
    earned = (law * reward).sum(1)
    return np.linalg.solve(np.eye(len(earned)) - mdp.discount**horizon * matrix, earned)


def nominal_critic(mdp: TabularMDP, data: ChunkData) -> tuple[np.ndarray, np.ndarray]:
    """Fixed point of the optimistic chunk critic of the data.

    Returns:
        ``Q [S, C]``, minus infinity for chunks that no data contain, and ``V [S]``, its maximum.
    """
    seen = data.probability > _TOLERANCE
    far = mdp.discount ** data.chunks.shape[1]
    value = np.zeros(len(seen))
    for _ in range(100_000):
        q = np.where(seen, data.nominal_reward + far * data.nominal_end @ value, -np.inf)
        new = q.max(1)
        change = np.abs(new - value).max()
        value = new
        if change < 1e-11:
            break
    return q, value


def distilled(data: ChunkData, q: np.ndarray, length: int) -> np.ndarray:
    """Largest critic over the completions of every first part of a chunk, ``[S, A^length]``.

    Args:
        data: of :func:`chunk_data`.
        q: ``[S, C]``, of :func:`nominal_critic`.
        length: ``h_a``, actions of the first part, in ``[1, h]``.
    """
    horizon = data.chunks.shape[1]
    length = checks.whole("length", length, 1, horizon)
    actions = round(len(data.chunks) ** (1.0 / horizon))
    return q.reshape(len(q), actions**length, -1).max(-1)


def n_step_policy(mdp: TabularMDP, data: ChunkData) -> np.ndarray:
    """Greedy policy ``int[S]`` of the critic of single actions with n-step returns of the data."""
    horizon = data.chunks.shape[1]
    states, actions = mdp.reward.shape
    first = data.chunks[:, 0]
    weight = np.stack([data.probability * (first == a) for a in range(actions)], 1)  # [S, A, C]
    total = weight.sum(-1)
    law = weight / np.maximum(total, 1e-300)[..., None]
    reward = np.einsum("sac,sc->sa", law, data.nominal_reward)
    end = np.einsum("sac,scx->sax", law, data.nominal_end)
    value = np.zeros(states)
    for _ in range(100_000):
        q = np.where(total > _TOLERANCE, reward + mdp.discount**horizon * end @ value, -np.inf)
        change = np.abs(q.max(1) - value).max()
        value = q.max(1)
        if change < 1e-11:
            break
    return q.argmax(1)


def value_bias_bound(gap: float, discount: float, horizon: int) -> float:
    """Theorem 1: ``γ ε / ((1 − γ)(1 − (1 − ε) γ^h))``, for weakly consistent data.

    It bounds the difference between nominal and true values of the data's chunks.
    """
    return discount * gap / ((1 - discount) * (1 - (1 - gap) * discount**horizon))


def suboptimality_bound(gap: float, discount: float, horizon: int) -> float:
    """Theorem 3: loss of executing the best nominal chunks open-loop, for strongly consistent data.

    ``ε γ / (1 − γ) · [2 / (1 − (1 − 2ε) γ^h) + 1 / (1 − (1 − ε) γ^h)]``.
    """
    far = discount**horizon
    brackets = 2 / (1 - (1 - 2 * gap) * far) + 1 / (1 - (1 - gap) * far)
    return gap * discount / (1 - discount) * brackets
