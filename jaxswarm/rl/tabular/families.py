"""Episodic MDPs that are hard to explore, and random linear ones.

References:
    A. Strehl, M. Littman, An analysis of model-based interval estimation for Markov decision
    processes, 2008 (RiverSwim).
    I. Osband, B. Van Roy, D. Russo, Z. Wen, Deep exploration via randomized value functions, 2019
    (DeepSea).
    C. Jin, Z. Yang, Z. Wang, M. Jordan, Provably efficient reinforcement learning with linear
    function approximation, 2020 (linear MDPs).
"""

import numpy as np

from jaxswarm import checks
from jaxswarm.rl.tabular.mdp import EpisodicMDP, episodic_mdp


def combination_lock(
    horizon: int = 8,
    num_actions: int = 4,
    *,
    slip: float = 0.05,
    distractor: float = 0.0,
    code: np.ndarray | None = None,
    seed: int = 0,
) -> EpisodicMDP:
    """Combination lock: one sequence of actions earns a reward of 1, any wrong action loses it.

    State 0 is on the path, state 1 off it. On the path, the code's action of a step keeps the path
    with probability ``1 − slip``; every other action leaves it for good. The code's last action, on
    the path, earns 1. In the first step, wrong actions earn ``distractor``, which is what a policy
    without exploration learns. A uniform policy opens the lock with probability of about
    ``num_actions^−horizon``; the optimal value is ``(1 − slip)^(horizon − 1)``.

    Args:
        horizon: ``H``, at least 1.
        num_actions: ``A``, at least 2.
        slip: probability of leaving the path by the right action, in ``[0, 1]``.
        distractor: reward of the wrong actions in the first step, in ``[0, 1]``.
        code: ``int[H]``, the right action of each step; drawn from ``seed`` by default.
        seed: of the code.

    Example:
        >>> from jaxswarm.rl import tabular
        >>> mdp = tabular.combination_lock(horizon=3, slip=0.1)
        >>> round(float(tabular.value_iteration(mdp).value[0, 0]), 2)  # 0.9²
        0.81

    Raises:
        ValueError: for sizes or probabilities out of range, or a code of another length.
    """
    H = checks.whole("horizon", horizon, 1)
    A = checks.whole("num_actions", num_actions, 2)
    checks.probability("slip", slip)
    checks.probability("distractor", distractor)
    seed = checks.whole("seed", seed)
    if code is None:
        code = np.random.default_rng(seed).integers(0, A, size=H)
    right = np.arange(A) == checks.wholes("code", code, 0, A - 1, shape=(H,))[:, None]  # [H, A]
    transition = np.zeros((H, 2, A, 2))
    transition[:, 0, :, 0] = np.where(right, 1.0 - slip, 0.0)
    transition[:, 0, :, 1] = 1.0 - transition[:, 0, :, 0]
    transition[:, 1, :, 1] = 1.0
    reward = np.zeros((H, 2, A))
    reward[0, 0] = np.where(right[0], 0.0, distractor)
    reward[-1, 0] = np.where(right[-1], 1.0, reward[-1, 0])
    return episodic_mdp(transition, reward)


def river_swim(num_states: int = 6, horizon: int = 20) -> EpisodicMDP:
    """RiverSwim: a chain whose far end earns 1 but is reached only against the current.

    Action 0 moves left and earns 0.005 at the left end; action 1 moves right with probability 0.35
    (0.6 from the ends' banks), stays or is carried left, and earns 1 at the right end. Episodes
    start at the left end.

    Args:
        num_states: ``S``, at least 2.
        horizon: ``H``, at least 1; below ``num_states`` the far end is out of reach.

    Raises:
        ValueError: for sizes out of range.
    """
    S = checks.whole("num_states", num_states, 2)
    H = checks.whole("horizon", horizon, 1)
    transition, reward = np.zeros((S, 2, S)), np.zeros((S, 2))
    for state in range(S):
        transition[state, 0, max(state - 1, 0)] = 1.0
        left, stay, right = 0.05, 0.6, 0.35
        if state == 0:
            left, stay, right = 0.0, 0.4, 0.6
        elif state == S - 1:
            left, stay, right = 0.4, 0.6, 0.0
        for target, share in ((state - 1, left), (state, stay), (state + 1, right)):
            if share:
                transition[state, 1, target] = share
    reward[0, 0], reward[-1, 1] = 0.005, 1.0
    tile = lambda x: np.broadcast_to(x, (H, *x.shape))  # noqa: E731
    return episodic_mdp(tile(transition), tile(reward))


def deep_sea(size: int = 8, *, seed: int = 0) -> EpisodicMDP:
    """DeepSea: a diver who has to move right in every step, at a small cost, to find a treasure.

    The step is the row and the state the column, so that ``H = S = size``. One of two actions,
    drawn for each cell, moves right, the other left. Moving right in every step earns 1 at the end.
    The original's cost of ``0.01 / size`` for each move to the right is a reward of the same size
    for each move to the left here, which changes all returns by one constant and keeps rewards in
    ``[0, 1]``.

    Args:
        size: ``H`` and ``S``, at least 2.
        seed: of the actions' meaning.

    Raises:
        ValueError: for a size below 2 or a seed that is none.
    """
    n = checks.whole("size", size, 2)
    right = np.random.default_rng(checks.whole("seed", seed)).integers(0, 2, size=(n, n))
    transition, reward = np.zeros((n, n, 2, n)), np.zeros((n, n, 2))
    for row in range(n):
        for column in range(n):
            action = right[row, column]
            transition[row, column, action, min(column + 1, n - 1)] = 1.0
            transition[row, column, 1 - action, max(column - 1, 0)] = 1.0
            reward[row, column, 1 - action] = 0.01 / n
    reward[-1, -1, right[-1, -1]] = 1.0
    return episodic_mdp(transition, reward)


def random_linear_mdp(
    num_states: int = 12,
    num_actions: int = 3,
    horizon: int = 5,
    num_features: int = 4,
    *,
    seed: int = 0,
) -> EpisodicMDP:
    """Random linear MDP: transitions and rewards are linear in ``d`` known features.

    Features are convex weights, of which the first ``d`` pairs of state and action are the
    corners, so that ``P_h(s' | s, a) = φ(s, a)ᵀ μ_h(s')`` and ``r_h(s, a) = φ(s, a)ᵀ θ_h`` are
    probabilities and rewards in ``[0, 1]`` for any ``d`` distributions ``μ_h`` (drawn with few
    likely states) and any ``θ_h`` in ``[0, 1]``.

    Args:
        num_states: ``S``.
        num_actions: ``A``.
        horizon: ``H``.
        num_features: ``d``, at most ``S · A``.
        seed: of the process.

    Raises:
        ValueError: for sizes below 1 or more features than pairs of state and action.
    """
    S = checks.whole("num_states", num_states, 1)
    A = checks.whole("num_actions", num_actions, 1)
    H = checks.whole("horizon", horizon, 1)
    d = checks.whole("num_features", num_features, 1)
    if d > S * A:
        raise ValueError(f"num_features: expected at most {S * A} (S · A), got {d}")
    rng = np.random.default_rng(checks.whole("seed", seed))
    features = rng.dirichlet(np.full(d, 0.3), size=S * A)
    features[rng.permutation(S * A)[:d]] = np.eye(d)
    features = features.reshape(S, A, d)
    measures = rng.dirichlet(np.full(S, 0.1), size=(H, d))
    weights = rng.uniform(size=(H, d))
    transition = np.einsum("sad,hdt->hsat", features, measures)
    reward = np.einsum("sad,hd->hsa", features, weights)
    start = np.full(S, 1.0 / S)
    return episodic_mdp(transition, np.clip(reward, 0.0, 1.0), start, features)
