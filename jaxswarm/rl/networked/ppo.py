"""PPO among networked agents: private rewards, own actors, critics and reward models that gossip.

One iteration of an agent: collect; fit its reward model to its own rewards and exchange it; take
what the exchanged model says of every step as the *team's* reward; PPO's updates with it; exchange
the critic. Nobody is told another's reward, and actors stay at home unless asked for.

Averaging critics alone would not do: their values would be the team's, but an advantage with the
agent's own reward in it still is its own. The reward model is the λ of the published algorithm.
The second moments of its Adam are exchanged as well, or steps would be as large for agents that are
paid little.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents, ``G`` of what critics see.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018 (critic and reward consensus).
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, errors, models
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.rl._ppo import PPOHyperparameters, PPOInfo, PPOState, check_parameters
from jaxswarm.rl.collect import Transition, Worlds
from jaxswarm.rl.networks import Network
from jaxswarm.rl.returns import masked_mean
from jaxswarm.rl.updates import updates

PyTree = Any
JOINT = ("all", "mean")


class NetworkedPPOState(NamedTuple):
    """Of all agents; leaves lead with ``N``.

    Attributes:
        learner: networks, optimisers and environments.
        rewards: parameters of the reward models.
        reward_optimiser: their optimiser's state.
        critic_gossip: the rule's memory for what is exchanged after PPO's updates.
        reward_gossip: the rule's memory for reward models.
        round: ``int32[]``, iterations so far.
        ledger: messages and bytes so far.
    """

    learner: PPOState
    rewards: PyTree
    reward_optimizer: PyTree
    critic_gossip: PyTree
    reward_gossip: PyTree
    round: jax.Array
    ledger: Ledger


class NetworkedPPOInfo(NamedTuple):
    """``ppo``: a :class:`PPOInfo`; ``reward_error [N]``: squared, of own rewards; ``traffic``."""

    ppo: PPOInfo
    reward_error: jax.Array
    traffic: Traffic


def networked_ppo(
    env: Any,
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
    reward_lr: float = 3e-3,
    optimizer: optax.GradientTransformation | None = None,
    parameters: PPOHyperparameters = PPOHyperparameters(),  # noqa: B008
    normalize: bool = True,
) -> Algorithm:
    """Make the learner.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment` with private rewards, not wrapped.
        network: from :func:`jaxswarm.rl.network_for`; for the team's value its critic should see
            the ``"global"`` state.
        gossip: how critics and reward models are exchanged: any rule, also compressed, delayed,
            robust or attacked.
        num_envs: ``E``.
        num_steps: ``T`` per iteration.
        epochs: passes over what was collected.
        minibatches: see :func:`jaxswarm.rl`.
        team_reward: false leaves every agent with its own reward, and only critics gossip; may be
            traced.
        average_actors: exchange actors too, which only makes sense where agents are alike.
        joint: what reward models see of the others' actions: ``"all"`` of them, or their
            ``"mean"``, whose size does not grow with ``N``, as ``√N`` times its deviation from what
            was usual in the iteration: that of a crowd hardly varies otherwise. What alike agents
            earn given the mean action is the team's reward already, so with ``"mean"`` they need no
            neighbours.
        reward_widths: hidden layers of the reward models.
        reward_steps: full-batch Adam steps on the own rewards in an iteration.
        reward_lr: of these.
        optimizer: see :func:`jaxswarm.rl`.
        parameters: used where ``step`` gets ``None`` as inputs.
        normalise: see :func:`jaxswarm.rl`.

    Returns:
        ``init(params, key, physics=None) -> NetworkedPPOState`` with ``params`` from
        :func:`networked_parameters`, and ``step(key, state, inputs)`` whose inputs are
        :class:`PPOHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, minibatches that do not divide, an unknown ``joint``, numbers out
            of range; while mixing, what the rule refuses.
    """
    sizes = {"num_steps": num_steps, "epochs": epochs, "minibatches": minibatches}
    for name, size in (sizes | {"reward_steps": reward_steps}).items():
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
    if joint not in JOINT:
        raise errors.unknown("joint", joint, JOINT)
    if not 0.0 < reward_lr < np.inf:
        raise ValueError(f"reward_lr: expected a positive number, got {reward_lr}")
    items = num_envs if network.recurrent else num_envs * num_steps
    if items % minibatches:
        raise ValueError(f"minibatches: expected a divisor of {items}, got {minibatches}")
    check_parameters(parameters)
    n = env.num_agents
    worlds = Worlds(env, network, num_envs, shared=False)
    if optimizer is None:
        optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.scale_by_adam(eps=1e-5))
    learn = updates(
        network, optimizer, items=items, epochs=epochs, minibatches=minibatches, normalize=normalize
    )
    width = _width(env, network, joint)
    model = models.functional(models.mlp(*reward_widths, 1), jnp.zeros((1, width)))
    fitting = optax.adam(reward_lr)

    def told(params: PyTree) -> PyTree:
        return params if average_actors else {"critic": params["critic"]}

    def modeled(rewards: PyTree, optimizer: PyTree) -> PyTree:
        return {"rewards": rewards, "squares": optimizer[0].nu}

    def init(params: PyTree, key: jax.Array, physics: PyTree = None) -> NetworkedPPOState:
        agents.check_leading_axis(params, n, "params")
        acting_key, model_key = jax.random.split(key)
        rewards = agents.initialize(model_key, model.init, n, shared=True)
        reward_optimizer = jax.vmap(fitting.init)(rewards)
        return NetworkedPPOState(
            PPOState(params, jax.vmap(optimizer.init)(params), worlds.begin(acting_key, physics)),
            rewards,
            reward_optimizer,
            gossip.init(told(params)),
            gossip.init(modeled(rewards, reward_optimizer)),
            jnp.int32(0),
            Ledger.empty(),
        )

    def fit(params: PyTree, state: PyTree, x: jax.Array, r: jax.Array, mask: jax.Array) -> Any:
        """``reward_steps`` steps of one agent's model on its own rewards ``[B]``."""

        def error(params: PyTree) -> jax.Array:
            return masked_mean(jnp.square(model.apply(params, x)[:, 0] - r), mask)

        def one(held: tuple[PyTree, PyTree], _: None) -> Any:
            params, state = held
            value, slope = jax.value_and_grad(error)(params)
            change, state = fitting.update(slope, state, params)
            return (optax.apply_updates(params, change), state), value

        (params, state), errors = jax.lax.scan(one, (params, state), length=reward_steps)
        return params, state, errors[0]

    def step(
        key: jax.Array, state: NetworkedPPOState, inputs: PPOHyperparameters | None = None
    ) -> tuple[NetworkedPPOState, NetworkedPPOInfo]:
        p = parameters if inputs is None else inputs
        acting_key, learning_key, reward_key, critic_key = jax.random.split(key, 4)
        held, round = state.learner, Exchange(state.round)
        acting, done, finished = worlds.collect(acting_key, held.params, held.acting, num_steps)
        reward = masked_mean(done.reward, done.mask)

        x = _reward_inputs(network, done, joint)  # [N, T E, …]
        r, mask = (jnp.moveaxis(y, 2, 0).reshape(n, -1) for y in (done.reward, done.mask))
        rewards, reward_optimizer, wrong = jax.vmap(fit)(
            state.rewards, state.reward_optimizer, x, r, mask
        )
        common, reward_gossip, sent = gossip.mix(
            reward_key, modeled(rewards, reward_optimizer), state.reward_gossip, round
        )
        rewards = common["rewards"]
        squares = jax.tree.map(lambda x: jnp.maximum(x, 0.0), common["squares"])  # despite liars
        moments = reward_optimizer[0]._replace(nu=squares)
        reward_optimizer = (moments, *reward_optimizer[1:])
        team = jax.vmap(lambda params, x: model.apply(params, x)[:, 0])(rewards, x)
        team = jnp.moveaxis(team.reshape(n, num_steps, num_envs), 0, 2)
        earned = jnp.where(jnp.asarray(team_reward), team, done.reward)
        done = done._replace(reward=jnp.where(done.mask, earned, 0.0))

        apart = jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), done)
        carry = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), held.acting.carry)
        numbers = jax.tree.map(lambda x: jnp.broadcast_to(x, (n,)), p)
        params, optimizer, seen = jax.vmap(learn)(
            agents.keys(learning_key, n), held.params, held.optimizer, apart, carry, numbers
        )
        mixed, critic_gossip, also = gossip.mix(
            critic_key, told(params), state.critic_gossip, round
        )
        traffic = jax.tree.map(jnp.add, sent, also)
        new = NetworkedPPOState(
            PPOState(params | mixed, optimizer, acting),
            rewards,
            reward_optimizer,
            critic_gossip,
            reward_gossip,
            state.round + 1,
            state.ledger.add(traffic),
        )
        info = PPOInfo(**seen, reward=reward, finished=finished)
        return new, NetworkedPPOInfo(info, wrong, traffic)

    return Algorithm(init, step)  # type: ignore[arg-type]


def networked_parameters(key: jax.Array, network: Any, num_agents: int) -> PyTree:
    """Own actors and a common start for the critics, leaves ``[N, …]``.

    Averages of networks that start apart are worth little (see ``single_merging``). ``network`` is
    a :class:`jaxswarm.rl.Network` or a :class:`jaxswarm.rl.QNetwork`.
    """
    one, two = jax.random.split(key)
    own = agents.initialize(one, network.init, num_agents)
    common = agents.initialize(two, network.init, num_agents, shared=True)
    return own | {"critic": common["critic"]}


def _encoded(network: Network, raw: jax.Array) -> jax.Array:
    """Actions ``[T, E, N, …]`` as numbers, ``[T, E, N, A]``: every choice one-hot, or as done."""
    head = network.head
    if not head.counts:
        return jax.vmap(jax.vmap(jax.vmap(head.action)))(raw)
    choices = raw.reshape(*raw.shape[:3], len(head.counts))
    each = [jax.nn.one_hot(choices[..., i], count) for i, count in enumerate(head.counts)]
    return jnp.concatenate(each, axis=-1)


def _reward_inputs(network: Network, done: Transition, joint: str) -> jax.Array:
    """``[N, T E, F]``: what the critic saw, and what all did."""
    did = _encoded(network, done.raw)  # [T, E, N, A]
    steps, count, n, _ = did.shape
    if joint == "all":
        all_did = did.reshape(steps, count, 1, -1)
    else:
        all_did = jnp.mean(did, axis=2, keepdims=True)
        usual = jnp.mean(all_did, axis=(0, 1), keepdims=True)
        all_did = jnp.sqrt(n) * (all_did - usual)
    x = jnp.concatenate(
        [done.seen, jnp.broadcast_to(all_did, (steps, count, n, all_did.shape[-1]))], axis=3
    )
    return jnp.moveaxis(x, 2, 0).reshape(n, steps * count, -1)


def _width(env: Any, network: Network, joint: str) -> int:
    """``F``, found by tracing a single step."""
    worlds = Worlds(env, network, 1, shared=False)

    def inputs(key: jax.Array) -> jax.Array:
        params = agents.initialize(key, network.init, env.num_agents)
        _, done, _ = worlds.collect(key, params, worlds.begin(key), 1)
        return _reward_inputs(network, done, joint)

    return jax.eval_shape(inputs, jax.random.key(0)).shape[-1]
