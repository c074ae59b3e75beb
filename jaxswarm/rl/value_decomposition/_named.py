"""Values of teams under their usual names: independent Q-learning, VDN, QMIX and MO-MIX.

References:
    M. Tan, Multi-agent reinforcement learning: independent vs. cooperative agents, 1993.
    P. Sunehag et al., Value-decomposition networks for cooperative multi-agent learning, 2018.
    T. Rashid et al., QMIX: monotonic value function factorisation for deep multi-agent
    reinforcement learning, 2018. T. Hu, B. Luo, C. Yang, T. Huang, MO-MIX: multi-objective
    multi-agent cooperative decision-making with deep reinforcement learning, 2023.
"""

from typing import Any

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl.hyperparameters import check_kind, choice
from jaxswarm.rl.value_decomposition._learner import ValueHyperparameters, value_learner
from jaxswarm.rl.value_decomposition.networks import ValueNetwork
from jaxswarm.rl.value_decomposition.preferences import GUIDES

GUIDE_SHARE = 0.5  # of the preferences that are drawn at gaps


def independent_q(env: SwarmEnvironment, network: ValueNetwork, **options: Any) -> Algorithm:
    """Independent Q-learning (IQL): each agent regresses its own value on the team's return.

    Args:
        env: discrete actions, not wrapped.
        network: from ``rl.value_network_for(env, "independent")``.
        options: of :func:`jaxswarm.rl.value_decomposition.value_learner`; with ``shared=False`` and
            a ``gossip`` rule agents exchange networks with their neighbors.

    Raises:
        ValueError: for another mixer or several objectives.

    Example:
        >>> from jaxswarm import envs, rl
        >>> env = envs.TwoObjectiveGrid()
        >>> learner = rl.independent_q(env, rl.value_network_for(env, "independent"))
        >>> callable(learner.init), callable(learner.step)
        (True, True)
    """
    _check_mixer(network, "independent", several=False)
    return value_learner(env, network, **options)


def vdn(env: SwarmEnvironment, network: ValueNetwork, **options: Any) -> Algorithm:
    """Value-decomposition networks (VDN): the joint value is the sum of the agents' values.

    Args:
        env: discrete actions, not wrapped.
        network: from ``rl.value_network_for(env, "additive")``.
        options: of :func:`jaxswarm.rl.value_decomposition.value_learner`.

    Raises:
        ValueError: for another mixer or several objectives.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> env = envs.TwoObjectiveGrid(size=3, time_limit=3, treasures=(((0, 2), (1.0, 1.0)),))
        >>> network = rl.value_network_for(env, "additive", hidden_size=8)
        >>> learner = rl.vdn(env, network, num_envs=4, batch_size=4, capacity=8)
        >>> params = rl.value_decomposition.initial_params(jax.random.key(0), network)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> _, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.returns.shape
        (1,)
    """
    _check_mixer(network, "additive", several=False)
    return value_learner(env, network, **options)


def qmix(env: SwarmEnvironment, network: ValueNetwork, **options: Any) -> Algorithm:
    """QMIX: the joint value is a monotonic function of the agents' values, given the state.

    Args:
        env: discrete actions, not wrapped.
        network: from ``rl.value_network_for(env, "monotonic")``.
        options: of :func:`jaxswarm.rl.value_decomposition.value_learner`.

    Raises:
        ValueError: for another mixer or several objectives.

    Example:
        >>> from jaxswarm import envs, rl
        >>> env = envs.TwoObjectiveGrid()
        >>> learner = rl.qmix(env, rl.value_network_for(env, "monotonic"), updates=4)
        >>> callable(learner.init), callable(learner.step)
        (True, True)
    """
    _check_mixer(network, "monotonic", several=False)
    return value_learner(env, network, **options)


def mo_mix(
    env: SwarmEnvironment, network: ValueNetwork, *, guide: str = "gaps", **options: Any
) -> Algorithm:
    """MO-MIX: one team for all preferences between objectives, with parallel monotonic mixers.

    Agents are conditioned on a preference and have one value per objective and action; they
    maximize the preference-weighted sum of their values. Each objective has a monotonic mixer of
    its own. The guide draws half of the training's preferences at gaps of the front that the team
    attains so far; its formula is a choice of this package.

    What is optimal for some preference lies on the convex hull of the front: points in concave
    parts are out of reach.

    Args:
        env: discrete actions and a vector reward ``extras["objectives"]``, not wrapped.
        network: from ``rl.value_network_for(env, "monotonic", objectives=m)``.
        guide: ``"gaps"`` (two objectives), or ``"uniform"`` preferences.
        options: of :func:`jaxswarm.rl.value_decomposition.value_learner`; a ``guide_share`` in
            ``hyperparameters`` that is not 0 stands.

    Raises:
        ValueError: for another mixer, a single objective, an unknown guide, or a guide of gaps for
            more than two objectives.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> from jaxswarm.rl import value_decomposition as vd
        >>> env = envs.TwoObjectiveGrid(num_agents=2)
        >>> network = rl.value_network_for(env, "monotonic", objectives=2, hidden_size=8)
        >>> learner = rl.mo_mix(env, network, guide="gaps", bootstrap=False)
        >>> params = vd.initial_params(jax.random.key(0), network)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> _, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.grid_returns.shape  # the front that the team attains, one row per preference
        (11, 2)
    """
    _check_mixer(network, "monotonic", several=True)
    choice("guide", guide, GUIDES)
    hp = options.pop("hyperparameters", None)
    hp = check_kind(ValueHyperparameters() if hp is None else hp, ValueHyperparameters)
    if guide == "gaps":
        if network.num_objectives != 2:
            raise ValueError(
                "guide: expected 'uniform' for more than two objectives, got 'gaps' for "
                f"{network.num_objectives}"
            )
        if not checks.is_traced(hp.guide_share) and hp.guide_share == 0.0:
            hp = hp._replace(guide_share=GUIDE_SHARE)
    return value_learner(env, network, hyperparameters=hp, **options)


def _check_mixer(network: Any, kind: str, *, several: bool) -> None:
    """Check a network's mixer and its number of objectives.

    Raises:
        ValueError: naming what differs.
    """
    hint = f'rl.value_network_for(env, "{kind}"{", objectives=2" if several else ""})'
    checks.instance("network", network, ValueNetwork, hint)
    if network.mixer.kind != kind or (network.num_objectives > 1) != several:
        raise ValueError(
            f"network: expected one such as {hint}, got mixer {network.mixer.kind!r} and "
            f"{network.num_objectives} objective{'s' * (network.num_objectives > 1)}"
        )
