"""Count violations of individual–global maximization (IGM) by brute force.

IGM holds in a state if the joint action of the agents' own best actions maximizes the joint value.
It does for sums and, with one objective, for monotonic mixers. With several objectives an agent
maximizes ``wᵀQ_i``, which need not maximize ``wᵀQ_tot`` where the tracks are nonlinear.

Shapes: ``W`` preferences, ``T`` steps, ``N`` agents, ``A`` actions, ``J = A^N`` joint actions.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl.value_decomposition.episodes import (
    check_team,
    check_team_params,
    play,
    team_preferences,
    team_reward,
    vector_reward,
)
from jaxswarm.rl.value_decomposition.networks import ValueNetwork, team_sequence
from jaxswarm.types import ArrayLike, Key, Params, PyTree

MOST_JOINT_ACTIONS = 4096
TOLERANCE = 1e-5  # of the joint values' scale, for rounding


class IGMReport(NamedTuple):
    """Violations of IGM over the steps of greedy episodes.

    Attributes:
        rate: share of the steps whose greedy joint action does not maximize the joint value.
        regret: mean loss of joint value, as a share of its range over joint actions.
        steps: number of steps counted.
    """

    rate: jax.Array
    regret: jax.Array
    steps: jax.Array


def igm_violations(
    key: Key,
    env: SwarmEnvironment,
    network: ValueNetwork,
    params: Params,
    preferences: ArrayLike | None = None,
    *,
    shared: bool = True,
    env_params: PyTree = None,
) -> IGMReport:
    """Compare the agents' own best actions with the best joint action, in all steps of episodes.

    Args:
        key: consumed.
        env: of the team.
        network: with a mixer; at most 4096 joint actions.
        params: ``{"agent", "mixer"}``.
        preferences: ``[W, m]``; ``None`` for networks of one objective.
        shared: agents share weights.
        env_params: physics.

    Raises:
        ValueError: for wrong kinds of things, too many joint actions, an independent mixer, or
            preferences off the simplex or of single agents.
    """
    checks.key(key)
    check_team(env, network)
    checks.instance("shared", shared, bool)
    check_team_params(network, params, shared)
    if network.mixer.kind == "independent":
        raise ValueError("network: expected a mixer with a joint value, got 'independent'")
    n, num_actions = network.num_agents, network.num_actions
    if num_actions**n > MOST_JOINT_ACTIONS:
        raise ValueError(
            f"network: expected at most {MOST_JOINT_ACTIONS} joint actions, got {num_actions}^{n}"
        )
    w = team_preferences(network, preferences)
    if preferences is not None and np.ndim(preferences) == 3:
        raise ValueError(
            f"preferences: expected [W, {network.num_objectives}], one for the team, got shape "
            f"{np.shape(preferences)}"
        )
    reward = vector_reward if network.num_objectives > 1 else team_reward
    no_exploration = jnp.zeros(len(w))
    episodes = play(
        key,
        env,
        network,
        params["agent"],
        w,
        no_exploration,
        reward,
        shared=shared,
        env_params=env_params,
    )
    features = jnp.moveaxis(episodes.features, 1, 0)
    q = team_sequence(network, params["agent"], features, w, shared=shared)[:-1]
    q = jnp.moveaxis(q, 1, 0)  # [W, T, N, A, m]
    joint = np.stack(np.unravel_index(np.arange(num_actions**n), (num_actions,) * n), axis=1)

    def values(
        q: jax.Array, state: jax.Array, present: jax.Array, action: jax.Array, w: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Weighted joint values of all joint actions, and of the one that was taken."""
        count = len(joint)
        chosen = q[jnp.arange(n)[None], jnp.asarray(joint)]  # [J, N, m]
        states = jnp.broadcast_to(state, (count, *state.shape))
        here = jnp.broadcast_to(present, (count, n))
        mixed: Any = network.mixer.mix(params["mixer"], chosen, states, here)[0]
        score = jnp.sum(mixed[:, 0] * w[None], axis=-1)
        place = jnp.sum(action * num_actions ** jnp.arange(n)[::-1])
        return score, score[place]

    over_steps = jax.vmap(values, (0, 0, 0, 0, None))
    score, taken = jax.vmap(over_steps)(
        q, episodes.state[:, :-1], episodes.present[:, :-1], episodes.action, w[:, 0]
    )
    best, worst = jnp.max(score, axis=-1), jnp.min(score, axis=-1)
    scale = jnp.maximum(jnp.abs(best), jnp.abs(worst)) + (best - worst)
    violated = (best - taken > TOLERANCE * scale) & episodes.valid
    lost = jnp.where(violated, (best - taken) / jnp.maximum(best - worst, 1e-12), 0.0)
    steps = jnp.sum(episodes.valid)
    return IGMReport(jnp.sum(violated) / steps, jnp.sum(lost) / steps, steps)
