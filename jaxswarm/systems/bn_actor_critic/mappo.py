"""PPO for a team whose members hear each other's actions: BN-MAPPO, and density that is annealed.

:func:`jaxswarm.rl` does the learning; a team is its one agent. Here are the graph's settings,
handed in as numbers, and a schedule for them: towards the end of training graphs are driven to have
no edges, so that members can act without hearing anybody.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
    C. Yu et al., The surprising effectiveness of PPO in cooperative multi-agent games, 2022
    (MAPPO, which is the independent graph).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.algorithm import Algorithm
from jaxswarm.rl._ppo import PPOHyperparameters, PPOInfo, PPOState, check_parameters, ppo
from jaxswarm.rl.networks import Network
from jaxswarm.systems.bn_actor_critic._wiring import Wiring, wiring, with_wiring
from jaxswarm.systems.bn_actor_critic.policy import graph_of
from jaxswarm.systems.bn_actor_critic.sampling import density
from jaxswarm.systems.bn_actor_critic.team import Team

PyTree = Any
Schedule = Callable[[jax.Array], tuple[jax.Array, jax.Array]]
"""``schedule(iteration int32[]) -> (factor, threshold)``: alpha's factor and the density asked."""

PAPER = PPOHyperparameters(lr=7e-4, discount=0.99, gae_lambda=0.95, clip=0.2, entropy=0.01)


class TeamHyperparameters(NamedTuple):
    """``wiring``: the graph; ``ppo``: the learner's numbers. All traced."""

    wiring: Wiring
    ppo: PPOHyperparameters = PAPER


class TeamState(NamedTuple):
    """``learner``: of PPO; ``iteration``: ``int32[]``, how many are done."""

    learner: PPOState
    iteration: jax.Array


class TeamInfo(NamedTuple):
    """``ppo``: a :class:`PPOInfo`; ``density``: mean over the graphs to be used next, ``[]``."""

    ppo: PPOInfo
    density: jax.Array


def bn_mappo(
    team: Team,
    network: Network,
    *,
    schedule: Schedule | None = None,
    parameters: TeamHyperparameters | None = None,
    **options: Any,
) -> Algorithm:
    """Make the learner.

    Args:
        team: the environment as one agent.
        network: from :func:`team_network`.
        schedule: of the density's penalty, such as :func:`annealing`; it multiplies the wiring's
            ``alpha`` and replaces its ``threshold``. The wiring's own numbers throughout if
            omitted.
        parameters: used where ``step`` gets ``None``; a learnt graph and the paper's numbers if
            omitted.
        options: of :func:`jaxswarm.rl`, such as ``num_envs``; members always share networks.

    Returns:
        ``init(params, key, physics=None) -> TeamState`` and ``step(key, state, inputs) -> (state,
        TeamInfo)`` whose inputs are :class:`TeamHyperparameters` or ``None``.

    Raises:
        ValueError: see :func:`jaxswarm.rl`.
    """
    if parameters is None:
        parameters = TeamHyperparameters(wiring("learnt", team.num_members))
    check_parameters(parameters.ppo)
    base: Any = ppo(team, network, shared=True, parameters=parameters.ppo, **options)

    def init(params: PyTree, key: jax.Array, physics: PyTree = None) -> TeamState:
        held = with_wiring(params, parameters.wiring)
        return TeamState(base.init(held, key, physics), jnp.int32(0))

    def step(key: jax.Array, state: TeamState, inputs: Any = None) -> tuple[TeamState, TeamInfo]:
        given = parameters if inputs is None else inputs
        held = given.wiring
        if schedule is not None:
            factor, threshold = schedule(state.iteration)
            held = held._replace(alpha=held.alpha * factor, threshold=threshold)
        learner = state.learner._replace(params=with_wiring(state.learner.params, held))
        learner, info = base.step(key, learner, given.ppo)
        graphs = jax.vmap(lambda seen: graph_of(network, learner.params, seen).graph)(
            learner.acting.observation
        )
        seen = TeamInfo(info, jnp.mean(density(graphs)))
        return TeamState(learner, state.iteration + 1), seen

    return Algorithm(init, step)  # type: ignore[arg-type]


def annealing(
    iterations: int,
    *,
    begin: float = 0.4,
    late: float = 0.7,
    steps: int = 6,
    rise: float = 10.0,
) -> Schedule:
    """From dense graphs to none: the threshold falls in steps, then the penalty's weight rises.

    Args:
        iterations: of the training.
        begin: share of the training at which the threshold leaves 1.
        late: share at which it is 0, and the weight begins to rise linearly.
        steps: in how many equal steps the threshold falls.
        rise: the weight's factor at the end.

    Raises:
        ValueError: for sizes below 1, shares that are not ``0 ≤ begin < late < 1``, or a rise below
            1.
    """
    if min(iterations, steps) < 1:
        raise ValueError(f"iterations, steps: expected at least 1, got {iterations} and {steps}")
    if not 0.0 <= begin < late < 1.0:
        raise ValueError(f"begin, late: expected 0 ≤ begin < late < 1, got {begin} and {late}")
    if not rise >= 1.0:
        raise ValueError(f"rise: expected at least 1, got {rise}")

    def schedule(iteration: jax.Array) -> tuple[jax.Array, jax.Array]:
        at = iteration / iterations
        gone = jnp.clip((at - begin) / (late - begin), 0.0, 1.0)
        threshold = 1.0 - jnp.ceil(gone * steps) / steps
        raised = jnp.clip((at - late) / (1.0 - late), 0.0, 1.0)
        return 1.0 + (rise - 1.0) * raised, threshold

    return schedule
