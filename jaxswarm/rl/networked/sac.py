"""SAC of networked agents: own buffers and actors; critics and reward models that gossip.

One iteration of an agent: act and store; fit its reward model to its own rewards, take the model's
predictions as the *team's* reward, update; exchange critics, target critics and reward models. No
reward is sent. Actors and temperatures are sent only on request, the optimizers' states of the
networks never.

Each agent acts in a world of its own and observes nothing of the others'. Critics and reward models
are functions of the own observation, and their averages those of an average agent: federated
rewards, not the published setting, in which all agents share one state.

Averaged critics alone are the team's in the limit of small steps; with Adam's, which are as large
for an agent without rewards as for the others, they are not (experiment ``sac``). Hence the reward
model, the λ of the published algorithm.

Shapes: ``N`` agents, ``B`` items of a batch.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018 (critic and reward consensus).
    T. Haarnoja et al., Soft actor-critic algorithms and applications, 2018.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation, require_support
from jaxswarm.rl._off_policy import (
    Learner,
    OffPolicyInfo,
    OffPolicyState,
    make_loop,
    valid_only,
)
from jaxswarm.rl._sac import SACHyperparameters, SACState, check_hyperparameters, sac_learner
from jaxswarm.rl.hyperparameters import flag
from jaxswarm.rl.networked.reward_model import (
    RewardModelState,
    messages,
    reward_model,
    with_received,
)
from jaxswarm.rl.q_networks import QNetwork
from jaxswarm.rl.replay import Experience
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class NetworkedLearnerState(NamedTuple):
    """State of one agent's learner.

    Attributes:
        sac: actor, critics, temperature.
        reward_model: weights and optimizer of the reward model.
    """

    sac: SACState
    reward_model: RewardModelState


class NetworkedSACState(NamedTuple):
    """State of all agents; leaves lead with ``N``.

    Attributes:
        agents: learners, buffers and environments.
        gossip: state of the gossip rule.
        round: ``int32[]``, iterations so far.
        ledger: messages and bytes so far.
    """

    agents: OffPolicyState
    gossip: PyTree
    round: jax.Array
    ledger: Ledger


class NetworkedSACInfo(NamedTuple):
    """``sac``: an :class:`jaxswarm.rl.OffPolicyInfo`; ``traffic`` of the iteration."""

    sac: OffPolicyInfo
    traffic: Traffic


def networked_sac(
    env: SwarmEnvironment,
    network: QNetwork,
    gossip: GossipTransformation,
    *,
    team_reward: bool | jax.Array = True,
    average_actors: bool = False,
    average_temperatures: bool = False,
    reward_widths: Sequence[int] = (32,),
    reward_lr: float = 3e-3,
    optimizer: optax.GradientTransformation | None = None,
    hyperparameters: SACHyperparameters | None = None,
    **options: Any,
) -> Algorithm:
    """Make the learner.

    Args:
        env: environment with bounded continuous actions, not wrapped; rewards or physics may differ
            between agents.
        network: from :func:`jaxswarm.rl.q_network_for`.
        gossip: rule by which critics and reward models are exchanged after each iteration: any,
            also compressed, delayed, robust or attacked.
        team_reward: false leaves every agent with its own reward, and only critics gossip; may be
            traced.
        average_actors: exchange actors too, which only makes sense for agents with the same task.
        average_temperatures: exchange ``log α`` too.
        reward_widths: hidden layers of the reward models, whose inputs are the own observation and
            action.
        reward_lr: step size of their Adam, one step per update.
        optimizer: see :func:`jaxswarm.rl.sac`.
        hyperparameters: used where ``step`` gets ``None`` as inputs; the defaults if omitted.
        options: of :func:`jaxswarm.rl.off_policy`, such as ``num_envs``, ``batch_size`` (of each
            agent), ``capacity`` (of each agent's buffer) and ``warm_up``.

    Returns:
        ``init(params, key, env_params=None, temperature=1.0) -> NetworkedSACState`` with ``params``
        from :func:`jaxswarm.rl.networked.initial_params`, and ``step(key, state, inputs)``.

    Raises:
        ValueError: as :func:`jaxswarm.rl.sac`; a reward step size that is not positive; while
            mixing, what the rule refuses.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, gossip, rl, topology
        >>> from jaxswarm.rl import networked
        >>> env = envs.Pendulum(4)
        >>> network = rl.q_network_for(env, widths=(8,))
        >>> ring = gossip.averaging(gossip.mixing(topology.ring(4)))
        >>> learner = networked.networked_sac(env, network, ring, batch_size=8, warm_up=8)
        >>> params = networked.initial_params(jax.random.key(0), network, 4)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> _, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.sac.learning["reward_error"].shape
        (4,)
    """
    hp = SACHyperparameters() if hyperparameters is None else hyperparameters
    check_hyperparameters(hp, require_environment(env).num_agents)
    flag("team_reward", team_reward)
    checks.instance("average_actors", average_actors, bool)
    checks.instance("average_temperatures", average_temperatures, bool)
    require_support(gossip, purpose="networked_sac")
    sac = sac_learner(env, network, optimizer=optimizer)
    num_inputs = network.num_features + network.num_actions
    model = reward_model(num_inputs, widths=reward_widths, lr=reward_lr)
    # Averages of networks with different initial weights perform badly: all start from the same.
    initial_model = model.init(jax.random.key(0))

    def init_learner(params: Params, temperature: ArrayLike = 1.0) -> NetworkedLearnerState:
        return NetworkedLearnerState(sac.init(params, temperature=temperature), initial_model)

    def act(key: Key, state: NetworkedLearnerState, features: jax.Array) -> jax.Array:
        return sac.act(key, state.sac, features)

    def update(
        key: Key, state: NetworkedLearnerState, batch: Experience, hp: SACHyperparameters
    ) -> tuple[NetworkedLearnerState, dict[str, jax.Array]]:
        inputs = jnp.concatenate([batch.features, network.unit_action(batch.raw)], axis=1)
        model_state, error, predicted = model.step(
            state.reward_model, inputs, batch.reward, batch.mask
        )
        reward = jnp.where(jnp.asarray(team_reward), predicted, batch.reward)
        sac_state, metrics = sac.update(key, state.sac, batch._replace(reward=reward), hp)
        return NetworkedLearnerState(sac_state, model_state), {**metrics, "reward_error": error}

    loop = make_loop(
        env,
        network,
        Learner(init_learner, act, valid_only(update)),
        shared=False,
        hyperparameters=hp,
        **options,
    )

    def exchanged(learner: NetworkedLearnerState) -> dict[str, PyTree]:
        state = learner.sac
        parts = {"critic": state.params["critic"], "target_critic": state.target_critic}
        parts |= messages(learner.reward_model)
        if average_actors:
            parts["actor"] = state.params["actor"]
        if average_temperatures:
            parts["temperature"] = state.log_alpha
        return parts

    def with_exchanged(
        learner: NetworkedLearnerState, received: dict[str, PyTree]
    ) -> NetworkedLearnerState:
        state = learner.sac
        state = state._replace(
            params=state.params | {k: received[k] for k in state.params if k in received},
            target_critic=received["target_critic"],
            log_alpha=received.get("temperature", state.log_alpha),
        )
        return NetworkedLearnerState(state, with_received(learner.reward_model, received))

    def init(
        params: Params, key: Key, env_params: PyTree = None, temperature: ArrayLike = 1.0
    ) -> NetworkedSACState:
        state = loop.init(params, key, env_params, temperature=temperature)
        gossip_state = gossip.init(exchanged(state.learner))
        return NetworkedSACState(state, gossip_state, jnp.int32(0), Ledger.empty())

    def step(
        key: Key, state: NetworkedSACState, inputs: SACHyperparameters | None = None
    ) -> tuple[NetworkedSACState, NetworkedSACInfo]:
        checks.instance("state", state, NetworkedSACState, "what init returns")
        learn_key, gossip_key = jax.random.split(checks.key(key))
        agents, info, present = loop.advance(learn_key, state.agents, inputs)
        exchange = Exchange(state.round, participates=present)
        received, gossip_state, traffic = gossip.mix(
            gossip_key, exchanged(agents.learner), state.gossip, exchange
        )
        agents = agents._replace(learner=with_exchanged(agents.learner, received))
        ledger = state.ledger.add(traffic)
        new_state = NetworkedSACState(agents, gossip_state, state.round + 1, ledger)
        return new_state, NetworkedSACInfo(info, traffic)

    return Algorithm(init, step)  # type: ignore[arg-type]
