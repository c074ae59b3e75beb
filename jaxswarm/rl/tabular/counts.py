"""Counts of transitions: what tables and squared losses need of their data.

Shapes: ``H`` steps, ``S`` states, ``A`` actions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.rl.tabular.mdp import EpisodicMDP, require_mdp
from jaxswarm.rl.tabular.sampling import Transitions, check_transitions


class Counts(NamedTuple):
    """Sufficient statistics of all squared losses of tables.

    Attributes:
        visits: ``[H, S, A, S]``, number of transitions.
        rewards: ``[H, S, A]``, sums of rewards.
    """

    visits: jax.Array
    rewards: jax.Array


def counts_of(mdp: EpisodicMDP, rows: Transitions | None = None) -> Counts:
    """Count transitions, such as offline data; zero without rows.

    Raises:
        ValueError: see :func:`jaxswarm.rl.tabular.check_transitions`.
    """
    require_mdp(mdp)
    blank = Counts(jnp.zeros(mdp.transition.shape), jnp.zeros(mdp.reward.shape))
    if rows is None:
        return blank
    check_transitions(mdp, rows)
    step, state, action, reward, following = (jnp.asarray(x) for x in rows)
    return add(blank, Transitions(step, state, action, reward, following))


def add(data: Counts, rows: Transitions) -> Counts:
    """Counts with further rows."""
    return Counts(
        data.visits.at[rows.step, rows.state, rows.action, rows.next_state].add(1.0),
        data.rewards.at[rows.step, rows.state, rows.action].add(rows.reward),
    )
