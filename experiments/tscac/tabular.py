"""Exact part: the closed form against an optimizer and random policies, and trade-offs along λ.

Shapes: ``W`` random Markov decision processes, ``S`` states, ``A`` actions, ``n`` auxiliary
responses, ``L`` weights.
"""

import numpy as np
from scipy.optimize import minimize

from experiments.harness.protocol import Results
from experiments.tscac.config import WEIGHTS, Config
from jaxswarm.rl import constrained

STATES, ACTIONS, AUXILIARIES = 20, 8, 3
DISCOUNT = 0.9
SPARSE = 0.1  # share of states and actions that an auxiliary response rewards
TEMPERATURE = 0.1  # of the auxiliary policies, a softmax of their optimal advantages
UNIFORM = 0.01  # share of a uniform policy that they contain
ROUNDS = 40  # evaluations and closed forms, after which policies no longer change


def exact_part(config: Config) -> Results:
    """Run it.

    Returns:
        ``gap [W]``, least lead of the closed form's objective over the random policies;
        ``error [W]``, largest difference from the optimizer's probabilities; ``watch [W, L]`` and
        ``auxiliary [W, L]``, values as ratios to the uniform policy's, the auxiliary ones' mean;
        ``watch_only`` and ``auxiliary_watch_only``, ``[W]``, of the optimal policy of the main
        response.
    """
    rng = np.random.default_rng(config.seed)
    gap, error = closed_form_checks(rng, config.processes, config.draws)
    transition, rewards = random_processes(rng, config.processes)
    start = np.full((config.processes, STATES, ACTIONS), 1.0 / ACTIONS)
    uniform = values(transition, rewards, start).mean(-1)
    auxiliary = np.stack([soft_policy(transition, rewards[:, i]) for i in range(1, 4)])
    found: Results = {"gap": gap, "error": error}
    ratios = []
    for weight in WEIGHTS:
        policy = start
        for _ in range(ROUNDS):
            gain = action_values(transition, rewards[:, :1], policy)[:, 0]
            gain = gain - (policy * gain).sum(-1, keepdims=True)
            policy = np.asarray(constrained.regularized_policy(gain, auxiliary, weight), float)
            policy /= policy.sum(-1, keepdims=True)
        ratios.append(values(transition, rewards, policy).mean(-1) / uniform)
    best = values(transition, rewards, greedy(optimal(transition, rewards[:, 0]))).mean(-1)
    best = best / uniform
    along = np.stack(ratios, axis=1)  # [W, L, n + 1]
    found |= {"watch": along[..., 0], "auxiliary": along[..., 1:].mean(-1)}
    return found | {"watch_only": best[:, 0], "auxiliary_watch_only": best[:, 1:].mean(-1)}


def closed_form_checks(
    rng: np.random.Generator, count: int, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """Lead over random policies, and distance from a numerical optimum, of random states."""
    gain = rng.normal(size=(count, ACTIONS))
    policies = rng.dirichlet(np.ones(ACTIONS), (AUXILIARIES, count))
    policies = 0.95 * policies + 0.05 / ACTIONS
    weights = rng.uniform(0.05, 0.5, AUXILIARIES)
    closed = np.asarray(constrained.regularized_policy(gain, policies, weights), float)

    def objective(policy: np.ndarray, row: int) -> np.ndarray:
        logs = np.log(np.maximum(policy, 1e-300))
        apart = [(policy * (logs - np.log(p))).sum(-1) for p in policies[:, row]]
        return (policy * gain[row]).sum(-1) - weights @ np.stack(apart)

    gaps, errors = np.zeros(count), np.zeros(count)
    for row in range(count):
        others = rng.dirichlet(np.ones(ACTIONS), draws)
        gaps[row] = (objective(closed[row], row) - objective(others, row)).min()

        def cost(logits: np.ndarray, row: int = row) -> tuple[float, np.ndarray]:
            policy = np.exp(logits - logits.max())
            policy /= policy.sum()
            slope = gain[row] - weights.sum() * np.log(policy) + weights @ np.log(policies[:, row])
            return -float(objective(policy, row)), -policy * (slope - policy @ slope)

        found = minimize(cost, np.zeros(ACTIONS), jac=True, options={"gtol": 1e-10}).x
        fitted = np.exp(found - found.max())
        errors[row] = np.abs(fitted / fitted.sum() - closed[row]).max()
    return gaps, errors


def random_processes(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Transitions ``[W, S, A, S]`` to a few states each, and rewards ``[W, n + 1, S, A]``.

    The main reward is uniform in ``[0, 1]``; an auxiliary one is 1 in a few places and 0 elsewhere.
    """
    transition = rng.dirichlet(np.full(STATES, 0.1), (count, STATES, ACTIONS))
    main = rng.uniform(size=(count, 1, STATES, ACTIONS))
    sparse = rng.uniform(size=(count, AUXILIARIES, STATES, ACTIONS)) < SPARSE
    return transition, np.concatenate([main, sparse], axis=1)


def values(transition: np.ndarray, rewards: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Discounted values of all responses, ``[W, n + 1, S]``."""
    moves = np.einsum("wsa,wsat->wst", policy, transition)
    earned = np.einsum("wsa,wnsa->wsn", policy, rewards)
    solved = np.linalg.solve(np.eye(STATES)[None] - DISCOUNT * moves, earned)
    return solved.transpose(0, 2, 1)


def action_values(transition: np.ndarray, rewards: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Discounted action values, ``[W, n, S, A]``."""
    ahead = values(transition, rewards, policy)
    return rewards + DISCOUNT * np.einsum("wsat,wnt->wnsa", transition, ahead)


def optimal(transition: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """Optimal action values of one response ``[W, S, A]``, by policy iteration."""
    policy = np.full(reward.shape, 1.0 / ACTIONS)
    q = reward
    for _ in range(ROUNDS):
        q = action_values(transition, reward[:, None], policy)[:, 0]
        policy = greedy(q)
    return q


def greedy(q: np.ndarray) -> np.ndarray:
    """Deterministic policies as probabilities."""
    return np.eye(ACTIONS)[q.argmax(-1)]


def soft_policy(transition: np.ndarray, reward: np.ndarray) -> np.ndarray:
    """Softmax of optimal advantages, with a share of a uniform policy, ``[W, S, A]``."""
    q = optimal(transition, reward)
    soft = np.exp((q - q.max(-1, keepdims=True)) / TEMPERATURE)
    return (1.0 - UNIFORM) * soft / soft.sum(-1, keepdims=True) + UNIFORM / ACTIONS
