"""LSVI-UCB: act greedily on optimistic least-squares values, fitted anew in every episode.

References:
    C. Jin, Z. Yang, Z. Wang, M. Jordan, Provably efficient reinforcement learning with linear
    function approximation, 2020.
"""

from typing import NamedTuple

import jax

from jaxswarm import checks
from jaxswarm.rl.tabular.critics import Critic, EpisodicLearner, require_critic
from jaxswarm.rl.tabular.least_squares import least_squares_critic
from jaxswarm.rl.tabular.mdp import EpisodicMDP, greedy_policy, require_mdp, uniform_policy
from jaxswarm.rl.tabular.planning import expected_return, value_iteration
from jaxswarm.rl.tabular.sampling import Transitions, sample_episode
from jaxswarm.types import Key, PyTree


class LSVIInfo(NamedTuple):
    """What one episode of :func:`lsvi_ucb` showed.

    Attributes:
        regret: ``[]``, exact loss in expected return of this episode's policy.
        optimism: ``[]``, fitted value of the start minus the optimal one.
    """

    regret: jax.Array
    optimism: jax.Array


def lsvi_ucb(
    mdp: EpisodicMDP,
    critic: Critic | None = None,
    *,
    bonus: float = 0.3,
    ridge: float = 0.01,
    bernoulli: bool = False,
) -> EpisodicLearner:
    """Least-squares value iteration with upper confidence bounds (LSVI-UCB).

    Args:
        mdp: the process that is played; the learner sees its features and samples only.
        critic: :func:`least_squares_critic` with ``bonus`` by default.
        bonus: ``β`` of the default critic.
        ridge: ``λ`` of the default critic.
        bernoulli: whether rewards are drawn as 0 or 1.

    Returns:
        ``init(rows=None) -> data`` with optional offline :class:`Transitions`, and ``step(key,
        data, inputs) -> (data, LSVIInfo)`` of one episode; inputs are not used.

    Example:
        >>> import jax
        >>> from jaxswarm import rollout
        >>> from jaxswarm.rl import tabular
        >>> learner = tabular.lsvi_ucb(tabular.combination_lock(4, 3))
        >>> _, records = rollout(learner.step, learner.init(), 300, key=jax.random.key(0))
        >>> float(records.info.regret[-50:].mean()) < 0.01
        True

    Raises:
        ValueError: for arguments of another kind.
    """
    require_mdp(mdp)
    bernoulli = checks.flag("bernoulli", bernoulli)
    checks.real("bonus", bonus, 0.0)
    checks.real("ridge", ridge, above=0.0)
    used = (
        least_squares_critic(mdp, bonus=bonus, ridge=ridge)
        if critic is None
        else require_critic(critic)
    )
    best = mdp.start @ value_iteration(mdp).value[0]
    blank = uniform_policy(mdp)

    def init(rows: Transitions | None = None) -> PyTree:
        return used.init(rows)

    def step(key: Key, data: PyTree, inputs: PyTree) -> tuple[PyTree, LSVIInfo]:
        del inputs
        values = used.fit(data, blank)
        policy = greedy_policy(values)
        episode = sample_episode(key, mdp, policy, bernoulli=bernoulli)
        optimism = mdp.start @ values[0].max(axis=1) - best
        info = LSVIInfo(best - expected_return(mdp, policy), optimism)
        return used.observe(data, episode), info

    return EpisodicLearner(init, step)
