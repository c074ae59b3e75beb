"""BN-MAPPO: PPO of a team with a Bayesian-network policy, and annealing of the graph's density.

:func:`jaxswarm.rl.ppo` does the learning; a team is its one agent. Here are the graph's settings,
passed in as numbers, and a schedule for them: towards the end of training the density of sampled
graphs is driven to 0, so that members can act without knowing any other action.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
    C. Yu et al., The surprising effectiveness of PPO in cooperative multi-agent games, 2022
    (MAPPO, which is the independent graph).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.rl import Network, PPOHyperparameters, PPOInfo, PPOState, ppo
from jaxswarm.rl.ppo_loss import check_hyperparameters
from jaxswarm.systems.bn_actor_critic._graph_settings import (
    GraphSettings,
    graph_settings,
    with_graph,
)
from jaxswarm.systems.bn_actor_critic.policy import graph_of
from jaxswarm.systems.bn_actor_critic.sampling import density
from jaxswarm.systems.bn_actor_critic.team import Team
from jaxswarm.types import Key, Params, PyTree

Schedule: TypeAlias = Callable[[jax.Array], tuple[jax.Array, jax.Array]]
"""``schedule(iteration int32[]) -> (factor of the density's weight, density threshold)``."""

PAPER = PPOHyperparameters(
    lr=7e-4, discount=0.99, gae_lambda=0.95, clip=0.2, entropy=0.01, value_clip=0.2, huber=10.0
)
"""The paper's numbers; the norm of gradients is 10 and values are normalized, see :func:`bn_mappo`.
Its recurrent networks are left out."""


class TeamHyperparameters(NamedTuple):
    """``graph``: settings of the graph; ``ppo``: PPO's hyper-parameters. All traced."""

    graph: GraphSettings
    ppo: PPOHyperparameters = PAPER


class TeamState(NamedTuple):
    """``learner``: of PPO; ``iteration``: ``int32[]``, iterations so far."""

    learner: PPOState
    iteration: jax.Array


class TeamInfo(NamedTuple):
    """``ppo``: a :class:`jaxswarm.rl.PPOInfo`; ``density []``: mean over the next step's graphs."""

    ppo: PPOInfo
    density: jax.Array


def bn_mappo(
    team: Team,
    network: Network,
    *,
    schedule: Schedule | None = None,
    hyperparameters: TeamHyperparameters | None = None,
    **options: Any,
) -> Algorithm:
    """Make the learner.

    Args:
        team: the environment as one agent.
        network: from :func:`team_network`.
        schedule: of the density's penalty, such as :func:`annealing`; it multiplies the settings'
            ``density_weight`` and replaces their ``density_threshold``. Constant if omitted.
        hyperparameters: used where ``step`` gets ``None``; a learned graph and the paper's PPO
            hyper-parameters if omitted.
        options: of :func:`jaxswarm.rl.ppo`, such as ``num_envs``; members always share networks.
            As in the paper, ``max_grad_norm`` is 10 and ``normalize_values`` true if omitted.

    Returns:
        ``init(params, key, env_params=None) -> TeamState`` and ``step(key, state, inputs) ->
        (state, TeamInfo)`` whose inputs are :class:`TeamHyperparameters` or ``None``.

    Raises:
        ValueError: see :func:`jaxswarm.rl.ppo`.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> from jaxswarm.systems import bn_actor_critic
        >>> team = bn_actor_critic.Team(envs.CoordinationGame(3))
        >>> network = bn_actor_critic.team_network(team, widths=(8,), graph_width=4)
        >>> learner = bn_actor_critic.bn_mappo(team, network, num_envs=2, num_steps=4)
        >>> params = jax.eval_shape(network.init, jax.random.key(0))
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> state.learner.params["actor"]["graph"].edges.shape
        (3, 3)
    """
    checks.instance("team", team, Team, "bn_actor_critic.Team(env)")
    if hyperparameters is None:
        hyperparameters = TeamHyperparameters(graph_settings("learnt", team.num_members))
    check_team_hyperparameters(hyperparameters, team, "hyperparameters")
    if schedule is not None:
        checks.function("schedule", schedule)
    options = {"max_grad_norm": 10.0, "normalize_values": True} | options
    base: Any = ppo(team, network, shared=True, hyperparameters=hyperparameters.ppo, **options)

    def init(params: Params, key: Key, env_params: PyTree = None) -> TeamState:
        params = with_graph(params, hyperparameters.graph)
        return TeamState(base.init(params, key, env_params), jnp.int32(0))

    def step(
        key: Key, state: TeamState, inputs: TeamHyperparameters | None = None
    ) -> tuple[TeamState, TeamInfo]:
        checks.instance("state", state, TeamState, "what init returns")
        hp = hyperparameters
        if inputs is not None:
            hp = check_team_hyperparameters(inputs, team, "inputs")
        settings = hp.graph
        if schedule is not None:
            factor, threshold = schedule(state.iteration)
            weight = settings.density_weight * factor
            settings = settings._replace(density_weight=weight, density_threshold=threshold)
        learner = state.learner._replace(params=with_graph(state.learner.params, settings))
        learner, info = base.step(key, learner, hp.ppo)
        graphs = jax.vmap(lambda observation: graph_of(network, learner.params, observation).graph)(
            learner.runner.observation
        )
        new_state = TeamState(learner, state.iteration + 1)
        return new_state, TeamInfo(info, jnp.mean(density(graphs)))

    return Algorithm(init, step)  # type: ignore[arg-type]


def check_team_hyperparameters(
    hp: TeamHyperparameters, team: Team, name: str
) -> TeamHyperparameters:
    """Check the known values and return all; traced ones pass.

    Raises:
        ValueError: for another type, or a graph of another number of members.
    """
    checks.instance(name, hp, TeamHyperparameters)
    checks.instance(f"{name}.graph", hp.graph, GraphSettings, 'graph_settings("learnt", 3)')
    shape = (team.num_members, team.num_members)
    if jnp.shape(hp.graph.edges) != shape:
        raise ValueError(
            f"{name}.graph: expected one of {team.num_members} members, got edges of shape "
            f"{jnp.shape(hp.graph.edges)}"
        )
    check_hyperparameters(hp.ppo, name=f"{name}.ppo")
    return hp


def annealing(
    iterations: int,
    *,
    begin: float = 0.4,
    late: float = 0.7,
    steps: int = 6,
    rise: float = 10.0,
) -> Schedule:
    """Make a schedule from dense graphs to none: the threshold falls, then the weight rises.

    Args:
        iterations: of the training.
        begin: share of the training after which the threshold leaves 1.
        late: share after which it is 0, and the weight begins to rise linearly.
        steps: number of equal steps in which the threshold falls.
        rise: the weight's factor at the end.

    Raises:
        ValueError: for sizes below 1, shares that are not ``0 ≤ begin < late < 1``, or a rise below
            1.

    Example:
        >>> import jax.numpy as jnp
        >>> factor, threshold = annealing(100)(jnp.int32(70))
        >>> float(factor), float(threshold)
        (1.0, 0.0)
    """
    iterations, steps = checks.whole("iterations", iterations, 1), checks.whole("steps", steps, 1)
    checks.real("begin", begin)
    checks.real("late", late)
    if not 0.0 <= begin < late < 1.0:
        raise ValueError(f"begin, late: expected 0 ≤ begin < late < 1, got {begin} and {late}")
    checks.real("rise", rise, 1.0)

    def schedule(iteration: jax.Array) -> tuple[jax.Array, jax.Array]:
        elapsed = iteration / iterations
        fallen = jnp.clip((elapsed - begin) / (late - begin), 0.0, 1.0)
        threshold = 1.0 - jnp.ceil(fallen * steps) / steps
        risen = jnp.clip((elapsed - late) / (1.0 - late), 0.0, 1.0)
        return 1.0 + (rise - 1.0) * risen, threshold

    return schedule
