"""Finite Markov games with private rewards, small enough to solve exactly.

Shapes: ``N`` agents with ``A`` actions each, ``S`` states, ``J = A^N`` joint actions.

References:
    K. Zhang et al., Fully decentralized multi-agent reinforcement learning with networked agents,
    2018 (the setting; games as in its first experiment).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks


class MarkovGame(NamedTuple):
    """A game with one state that all agents observe, and private rewards.

    Attributes:
        transition: ``float32[S, J, S]``, rows sum to one.
        reward: ``float32[N, S, J]``, the mean private rewards.
        num_actions: ``A``.
    """

    transition: jax.Array
    reward: jax.Array
    num_actions: int

    @property
    def num_agents(self) -> int:
        """``N``."""
        return self.reward.shape[0]

    @property
    def num_states(self) -> int:
        """``S``."""
        return self.reward.shape[1]

    def joint(self, actions: jax.Array) -> jax.Array:
        """``int32[]``: index of the joint action ``int32[N]``."""
        strides = self.num_actions ** np.arange(self.num_agents)[::-1]
        return jnp.sum(actions * jnp.asarray(strides, jnp.int32))

    def actions(self) -> np.ndarray:
        """``int[J, N]``: every joint action, in order."""
        grid = np.indices((self.num_actions,) * self.num_agents)
        return grid.reshape(self.num_agents, -1).T


def random_game(
    num_agents: int = 4, num_states: int = 5, num_actions: int = 2, *, seed: int = 0
) -> MarkovGame:
    """Draw transitions and rewards at random, as in the paper.

    Every agent's reward is uniform in ``[0, 4]`` for each state and joint action; transition
    probabilities are uniform, then normalized, and bounded away from zero.

    Args:
        num_agents: ``N``.
        num_states: ``S``.
        num_actions: ``A``.
        seed: of the game.

    Raises:
        ValueError: sizes below 1, or more than 4,096 joint actions.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    num_states = checks.whole("num_states", num_states, 1)
    num_actions = checks.whole("num_actions", num_actions, 1)
    seed = checks.whole("seed", seed)
    joint = num_actions**num_agents
    if joint > 4096:
        raise ValueError(f"num_agents: expected at most 4,096 joint actions, got {joint}")
    rng = np.random.default_rng(seed)
    transition = rng.uniform(size=(num_states, joint, num_states)) + 1e-3
    transition /= transition.sum(axis=-1, keepdims=True)
    reward = rng.uniform(0.0, 4.0, size=(num_agents, num_states, joint))
    return MarkovGame(
        jnp.asarray(transition, jnp.float32), jnp.asarray(reward, jnp.float32), num_actions
    )


def dilemma(num_agents: int = 5, *, benefit: float = 3.0, cost: float = 1.0) -> MarkovGame:
    """Donation dilemma on a circle: giving costs the giver and benefits the next agent only.

    ``r_i = benefit · a_{i−1} − cost · a_i``, and giving makes the better of two states likelier, in
    which gifts have twice the benefit. An agent that maximizes its own reward never gives; the mean
    reward is largest if all give.

    Args:
        num_agents: ``N``, at least 2.
        benefit: of a gift in the worse state; above ``cost``.
        cost: of giving, positive.

    Raises:
        ValueError: fewer than 2 or more than 12 agents (4,096 joint actions), or a cost that is not
            between 0 and the benefit.
    """
    num_agents = checks.whole("num_agents", num_agents, 2, 12)
    checks.real("benefit", benefit)
    checks.real("cost", cost)
    if not 0.0 < cost < benefit:
        raise ValueError(f"benefit, cost: expected 0 < cost < benefit, got {benefit}, {cost}")
    actions = np.indices((2,) * num_agents).reshape(num_agents, -1)  # [N, J]
    gifts = benefit * np.roll(actions, 1, axis=0)
    factor = np.array([1.0, 2.0])[None, :, None]
    reward = factor * gifts[:, None, :] - cost * actions[:, None, :]
    good = 0.2 + 0.6 * actions.mean(axis=0)
    transition = np.stack([np.stack([1.0 - good, good], axis=-1)] * 2)
    return MarkovGame(jnp.asarray(transition, jnp.float32), jnp.asarray(reward, jnp.float32), 2)


class Solution(NamedTuple):
    """Exact evaluation of a fixed joint policy.

    Attributes:
        stationary: ``[S]``, stationary distribution of the states.
        average: ``[]``, the long-run mean of the agents' mean reward.
        values: ``[S]``, differential values of the mean reward, up to a constant.
    """

    stationary: np.ndarray
    average: float
    values: np.ndarray


def solve(game: MarkovGame, policy: np.ndarray) -> Solution:
    """Compute stationary distribution, average reward and differential values by linear solves.

    Args:
        game: with few states and joint actions.
        policy: probabilities, ``[N, S, A]`` of agents that act independently, or ``[S, J]`` of
            joint actions.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.rl import networked
        >>> game = networked.dilemma(3, benefit=3.0, cost=1.0)
        >>> all_give = np.broadcast_to([0.0, 1.0], (3, 2, 2))
        >>> round(networked.solve(game, all_give).average, 2)
        4.4

    Raises:
        ValueError: for a policy of another shape, or whose rows are no probabilities.
    """
    require_game(game)
    check_policy(game, policy)
    P, r = induced(game, policy)
    S = game.num_states
    rows = np.vstack([P.T - np.eye(S), np.ones(S)])
    stationary = np.linalg.lstsq(rows, np.append(np.zeros(S), 1.0), rcond=None)[0]
    average = float(stationary @ r)
    values = np.linalg.lstsq(np.eye(S) - P, r - average, rcond=None)[0]
    return Solution(stationary, average, values - stationary @ values)


def induced(game: MarkovGame, policy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(transition [S, S], mean reward [S])`` under a policy ``[N, S, A]`` or ``[S, J]``."""
    joint = np.ndim(policy) == 2
    pi = np.asarray(policy, np.float64) if joint else joint_probabilities(game, policy)
    P = np.einsum("sj,sjt->st", pi, np.asarray(game.transition, np.float64))
    r = np.einsum("sj,sj->s", pi, np.asarray(game.reward, np.float64).mean(axis=0))
    return P, r


def joint_probabilities(game: MarkovGame, policy: np.ndarray) -> np.ndarray:
    """``[S, J]`` of agents that act independently, ``policy [N, S, A]``."""
    pi = np.ones((game.num_states, len(game.actions())))
    for agent, column in enumerate(game.actions().T):
        pi *= np.asarray(policy[agent], np.float64)[:, column]
    return pi


def require_game(value: Any, name: str = "game") -> MarkovGame:
    """Check that a value is a game with tables of matching shapes, and return it.

    Raises:
        ValueError: naming what came.
    """
    checks.instance(name, value, MarkovGame, "networked.random_game(4)")
    size = checks.whole(f"{name}.num_actions", value.num_actions, 1)
    for field in ("transition", "reward"):
        checks.instance(f"{name}.{field}", getattr(value, field), (jax.Array, np.ndarray))
    checks.real(f"{name}.reward", value.reward, shape=(None, None, None))
    joint = size**value.num_agents
    shape = (value.num_agents, value.num_states, joint)
    checks.real(f"{name}.reward", value.reward, shape=shape)
    states = value.num_states
    checks.probability(f"{name}.transition", value.transition, shape=(states, joint, states))
    return value


def check_policy(game: MarkovGame, policy: Any) -> None:
    """Check probabilities ``[N, S, A]`` or ``[S, J]`` of a game's actions.

    Raises:
        ValueError: for another shape, or rows that do not sum to one.
    """
    joint = np.ndim(policy) == 2
    shape = (game.num_states, game.num_actions**game.num_agents)
    if not joint:
        shape = (game.num_agents, game.num_states, game.num_actions)
    array = np.asarray(checks.probability("policy", policy, shape=shape), np.float64)
    if not np.allclose(array.sum(axis=-1), 1.0, atol=1e-3):
        raise ValueError(f"policy: expected rows that sum to 1, got {array.sum(axis=-1).min():.6g}")
