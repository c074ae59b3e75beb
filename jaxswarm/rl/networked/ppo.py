"""PPO of networked agents: private rewards, own actors, critics and reward models that gossip.

One iteration of an agent: collect; fit its reward model to its own rewards and exchange it; take
the exchanged model's predictions as the *team's* reward; PPO's updates with it; exchange the
critic. No reward is sent, and actors are sent only on request.

Averaging critics alone is not enough: their values would be the team's, but an advantage that
contains the agent's own reward still is its own. The reward model is the λ of the published
algorithm.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018 (critic and reward consensus).
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm._optimizers import init_per_agent
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation, require_support
from jaxswarm.rl._ppo import PPOInfo, PPOState
from jaxswarm.rl.hyperparameters import check_weights, choice, flag, positive_sizes
from jaxswarm.rl.networked.reward_model import (
    JOINT_ACTIONS,
    RewardModel,
    RewardModelState,
    messages,
    num_reward_inputs,
    reward_inputs,
    reward_model,
    with_received,
)
from jaxswarm.rl.networks import Network, distribution_of
from jaxswarm.rl.on_policy import OnPolicyRunner, Transition
from jaxswarm.rl.ppo_loss import PPOHyperparameters, check_hyperparameters
from jaxswarm.rl.ppo_update import default_optimizer, ppo_update, update_each
from jaxswarm.rl.q_networks import QNetwork
from jaxswarm.rl.returns import masked_mean
from jaxswarm.types import Key, Params, PyTree


class NetworkedPPOState(NamedTuple):
    """State of all agents; leaves lead with ``N``.

    Attributes:
        learner: networks, optimizers and environments.
        reward_model: of every agent.
        critic_gossip: state of the gossip rule for what is exchanged after PPO's updates.
        reward_gossip: state of the gossip rule for reward models.
        round: ``int32[]``, iterations so far.
        ledger: messages and bytes so far.
    """

    learner: PPOState
    reward_model: RewardModelState
    critic_gossip: PyTree
    reward_gossip: PyTree
    round: jax.Array
    ledger: Ledger


class NetworkedPPOInfo(NamedTuple):
    """Metrics of one iteration.

    Attributes:
        ppo: PPO's, of the own learner; ``ppo.reward`` is the mean of the private rewards.
        reward_error: ``float32[N]``, squared error of the reward models on the own rewards.
        traffic: messages and bytes of the iteration.
    """

    ppo: PPOInfo
    reward_error: jax.Array
    traffic: Traffic


def networked_ppo(
    env: SwarmEnvironment,
    network: Network,
    gossip: GossipTransformation,
    *,
    num_envs: int = 16,
    num_steps: int = 64,
    epochs: int = 4,
    minibatches: int = 4,
    team_reward: bool | jax.Array = True,
    average_actors: bool = False,
    joint: str = "all",
    reward_widths: Sequence[int] = (32,),
    reward_steps: int = 16,
    reward_lr: float | jax.Array = 3e-3,
    optimizer: optax.GradientTransformation | None = None,
    hyperparameters: PPOHyperparameters | None = None,
    normalize: bool = True,
) -> Algorithm:
    """Make the learner.

    Args:
        env: environment with private rewards, not wrapped.
        network: from :func:`jaxswarm.rl.network_for`; for the team's value its critic should see
            the ``"global"`` state.
        gossip: rule by which critics and reward models are exchanged: any, also compressed,
            delayed, robust or attacked. On sparse graphs several exchanges an iteration pay:
            ``gossip.averaging(W, steps=16)``.
        num_envs: ``E``.
        num_steps: ``T`` per iteration.
        epochs: passes over the collected transitions.
        minibatches: see :func:`jaxswarm.rl.ppo`.
        team_reward: false leaves every agent with its own reward, and only critics gossip; may be
            traced.
        average_actors: exchange actors too, which only makes sense for agents with the same task.
        joint: how reward models see the joint action: ``"all"`` actions, or their ``"mean"``, whose
            size does not grow with ``N``, as ``√N`` times its deviation from the mean over the
            iteration, because the mean of many actions hardly varies. Given the mean action,
            identical agents have the team's reward in expectation, so with ``"mean"`` they gain
            nothing from gossip.
        reward_widths: hidden layers of the reward models.
        reward_steps: full-batch Adam steps on the own rewards in an iteration.
        reward_lr: step size of these; may be traced. The mean of ``n`` noisy steps of Adam is
            ``√n`` shorter than each, so multiply it by ``√n`` where ``n`` agents come to agree.
        optimizer: see :func:`jaxswarm.rl.ppo`.
        hyperparameters: used where ``step`` gets ``None`` as inputs; the defaults if omitted.
        normalize: see :func:`jaxswarm.rl.ppo`.

    Returns:
        ``init(params, key, env_params=None) -> NetworkedPPOState`` with ``params`` from
        :func:`initial_params`, and ``step(key, state, inputs)`` whose inputs are
        :class:`jaxswarm.rl.PPOHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, minibatches that do not divide, an unknown ``joint``,
            hyper-parameters out of range, a network for another environment, no gossip rule; while
            mixing, what the rule refuses.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, gossip, rl, topology
        >>> from jaxswarm.rl import networked
        >>> env = envs.Donations(4)
        >>> network = rl.network_for(env, critic="global", widths=(8,))
        >>> ring = gossip.averaging(gossip.mixing(topology.ring(4)))
        >>> learner = networked.networked_ppo(env, network, ring, num_envs=2, num_steps=8)
        >>> params = networked.initial_params(jax.random.key(0), network, 4)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> _, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.reward_error.shape
        (4,)
    """
    (reward_steps,) = positive_sizes(reward_steps=reward_steps)
    choice("joint", joint, JOINT_ACTIONS)
    flag("team_reward", team_reward)
    checks.instance("average_actors", average_actors, bool)
    require_support(gossip, purpose="networked_ppo")
    hp = PPOHyperparameters() if hyperparameters is None else hyperparameters
    runner = OnPolicyRunner(env, network, num_envs, shared=False)
    n = env.num_agents
    check_hyperparameters(hp, n)
    optimizer = default_optimizer() if optimizer is None else optimizer
    update = ppo_update(
        network,
        optimizer,
        num_sequences=num_envs,
        num_steps=num_steps,
        epochs=epochs,
        minibatches=minibatches,
        normalize=normalize,
    )
    update = update_each(update, n)
    num_inputs = num_reward_inputs(env, network, joint)
    model = reward_model(num_inputs, widths=reward_widths, lr=reward_lr)

    def exchanged(params: Params) -> Params:
        return params if average_actors else {"critic": params["critic"]}

    def init(params: Params, key: Key, env_params: PyTree = None) -> NetworkedPPOState:
        check_weights(params, network.init, n)
        reset_key, model_key = jax.random.split(checks.key(key))
        reward_models = agents.initialize(model_key, model.init, n, shared=True)
        opt_state = init_per_agent(optimizer, params)
        return NetworkedPPOState(
            PPOState(params, opt_state, runner.reset(reset_key, env_params)),
            reward_models,
            gossip.init(exchanged(params)),
            gossip.init(messages(reward_models)),
            jnp.int32(0),
            Ledger.empty(),
        )

    def step(
        key: Key, state: NetworkedPPOState, inputs: PPOHyperparameters | None = None
    ) -> tuple[NetworkedPPOState, NetworkedPPOInfo]:
        checks.instance("state", state, NetworkedPPOState, "what init returns")
        now = hp if inputs is None else check_hyperparameters(inputs, n, "inputs")
        collect_key, update_key, reward_key, critic_key = jax.random.split(checks.key(key), 4)
        learner = state.learner
        carry = learner.runner.carry.recurrent
        runner_state, transitions, episodes = runner.collect(
            collect_key, learner.params, learner.runner, num_steps
        )
        mean_reward = masked_mean(transitions.reward, transitions.mask)
        exchange = Exchange(state.round, participates=present_agents(env, transitions.mask))

        model_inputs = reward_inputs(network, transitions, joint)
        rewards, mask = (
            jnp.moveaxis(x, 2, 0).reshape(n, -1) for x in (transitions.reward, transitions.mask)
        )
        fit = jax.vmap(lambda *data: model.fit(*data, num_steps=reward_steps))
        reward_models, reward_error = fit(state.reward_model, model_inputs, rewards, mask)
        received, reward_gossip, reward_traffic = gossip.mix(
            reward_key, messages(reward_models), state.reward_gossip, exchange
        )
        reward_models = with_received(reward_models, received)

        params, opt_state, metrics = update(
            update_key,
            learner.params,
            learner.opt_state,
            with_team_reward(model, reward_models, model_inputs, transitions, team_reward),
            carry,
            now,
        )
        mixed, critic_gossip, critic_traffic = gossip.mix(
            critic_key, exchanged(params), state.critic_gossip, exchange
        )
        traffic = jax.tree.map(jnp.add, reward_traffic, critic_traffic)
        new_state = NetworkedPPOState(
            PPOState(params | mixed, opt_state, runner_state),
            reward_models,
            critic_gossip,
            reward_gossip,
            state.round + 1,
            state.ledger.add(traffic),
        )
        info = PPOInfo(**metrics, reward=mean_reward, episodes=episodes)
        return new_state, NetworkedPPOInfo(info, reward_error, traffic)

    return Algorithm(init, step)  # type: ignore[arg-type]


def present_agents(env: SwarmEnvironment, mask: jax.Array) -> jax.Array | None:
    """Agents that were present in any step, ``bool[N]``; ``None`` where none ever leaves.

    The others take no part in the exchange, so that nothing of theirs changes.

    Args:
        env: the environment.
        mask: ``bool[T, E, N]``.
    """
    if type(env).agent_mask is SwarmEnvironment.agent_mask:
        return None
    return jnp.any(mask, axis=(0, 1))


def with_team_reward(
    model: RewardModel,
    state: RewardModelState,
    inputs: jax.Array,
    transitions: Transition,
    team_reward: bool | jax.Array,
) -> Transition:
    """Replace rewards by the agents' predictions of the team's reward.

    Args:
        model: of every agent.
        state: after the exchange, leaves ``[N, …]``.
        inputs: of the models, ``[N, T E, F]``.
        transitions: ``[T, E, N, …]``.
        team_reward: false keeps the own rewards; may be traced.
    """
    steps, count, n = transitions.reward.shape
    predicted = jax.vmap(model.predict)(state.params, inputs)
    predicted = jnp.moveaxis(predicted.reshape(n, steps, count), 0, 2)
    reward = jnp.where(jnp.asarray(team_reward), predicted, transitions.reward)
    return transitions._replace(reward=jnp.where(transitions.mask, reward, 0.0))


def initial_params(key: Key, network: Network | QNetwork, num_agents: int) -> Params:
    """Initial weights of networked agents: own actors and identical critics, leaves ``[N, …]``.

    Averages of networks with different initial weights perform badly, hence the identical critics.

    Args:
        key: consumed.
        network: a :class:`jaxswarm.rl.Network` or a :class:`jaxswarm.rl.QNetwork`.
        num_agents: ``N``.

    Raises:
        ValueError: for a legacy key, no network, or fewer than one agent.
    """
    checks.key(key)
    distribution_of(network)
    num_agents = checks.whole("num_agents", num_agents, 1)
    actor_key, critic_key = jax.random.split(key)
    own = agents.initialize(actor_key, network.init, num_agents)
    common = agents.initialize(critic_key, network.init, num_agents, shared=True)
    return own | {"critic": common["critic"]}
