"""STAC: an actor–critic whose one critic says how far its target scatters, and is minded for it.

The critic is a Gaussian over the one-step target: its deviation is the spread of reward, transition
and policy, not of what is unknown. Target and actor both take ``β`` deviations off, which replaces
the smaller of two critics. A little dropout stays on while learning, in the target critic too.

Shapes: ``N`` agents, ``B`` items of a batch.

References:
    U. Özalp, STAC: stochastic actor-critic, 2026.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm.algorithm import Algorithm
from jaxswarm.rl._off_policy import Learner, check_numbers, off_policy
from jaxswarm.rl._sac import check_temperature, sampled, stepped, usual_entropy
from jaxswarm.rl.q_networks import QNetwork, q_network_for
from jaxswarm.rl.replay import Experience, uniform
from jaxswarm.rl.returns import masked_mean

PyTree = Any
LOWEST = -5.0  # of the number whose softplus is the critic's deviation


class STACHyperparameters(NamedTuple):
    """Numbers of the learner; all may be traced, and ``[N]`` each for agents of their own.

    Attributes:
        actor_lr: step size of the actor.
        critic_lr: of the critic.
        temperature_lr: of the temperature, which moves by a factor ``exp(lr α (H̄ - H))``; 0 keeps
            it as it was given to ``init``.
        discount: ``γ``.
        tau: share of the critic that moves into its target, in ``(0, 1]``.
        beta: deviations taken off; below 0 seeks risk.
        target_entropy: ``H̄``; ``None`` for ``-A``, measured in units of half the actions' range.
    """

    actor_lr: Any = 3e-4
    critic_lr: Any = 3e-4
    temperature_lr: Any = 3e-4
    discount: Any = 0.99
    tau: Any = 0.005
    beta: Any = 0.25
    target_entropy: Any = None


class STACLearner(NamedTuple):
    """Of one agent.

    Attributes:
        params: ``{"actor", "critic"}``.
        target: of the critic.
        temperature: ``α``, ``[]``.
        optimiser: states for actor and critic.
    """

    params: PyTree
    target: PyTree
    temperature: jax.Array
    optimizer: PyTree


def stac_network_for(env: Any, *, dropout: float = 0.01, **options: Any) -> QNetwork:
    """:func:`jaxswarm.rl.q_network_for` as STAC has it: one critic of mean and deviation.

    Args:
        env: with bounded actions.
        dropout: of the critic's hidden units; ``actor_dropout`` is an option of its own.
        options: of :func:`jaxswarm.rl.q_network_for`.
    """
    usual: dict[str, Any] = {"layer_norm": True, "std": "softplus", "critic_dropout": dropout}
    return q_network_for(env, num_critics=1, critic_outputs=2, **(usual | options))


def stac(
    env: Any,
    network: QNetwork,
    *,
    num_envs: int = 1,
    num_steps: int = 1,
    updates: int = 1,
    batch_size: int = 256,
    capacity: int = 100_000,
    warm_up: int = 1000,
    shared: bool = True,
    risk_seeking: bool = False,
    optimizer: optax.GradientTransformation | None = None,
    parameters: STACHyperparameters = STACHyperparameters(),  # noqa: B008
) -> Algorithm:
    """Make the learner.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment` with bounded actions, not wrapped.
        network: from :func:`stac_network_for`.
        num_envs: ``E``.
        num_steps: environment steps between updates.
        updates: gradient steps after them.
        batch_size: ``B``.
        capacity: items a buffer holds.
        warm_up: random steps of each environment before learning.
        shared: one learner for all agents, else one each with its own buffer.
        risk_seeking: allow ``β < 0``.
        optimizer: gives the direction, which is then scaled by a rate; Adam if omitted.
        parameters: used where ``step`` gets ``None`` as inputs.

    Returns:
        ``init(params, key, physics=None, temperature=0.2) -> OffPolicyState`` (the temperature may
        be traced) and ``step(key, state, inputs) -> (state, OffPolicyInfo)``, where ``inputs`` is
        :class:`STACHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, a batch larger than buffer or warm-up, numbers out of range, a
            network with other than one critic of two outputs, a temperature that is not positive.
    """
    lowest = -np.inf if risk_seeking else 0.0
    ranges = {"actor_lr": (0.0, np.inf), "critic_lr": (0.0, np.inf)}
    ranges |= {"temperature_lr": (0.0, np.inf), "discount": (0.0, 1.0), "beta": (lowest, np.inf)}
    ranges |= {"tau": (1e-12, 1.0), "target_entropy": (-np.inf, np.inf)}
    check_numbers(parameters, ranges)
    return off_policy(
        env,
        network,
        stac_learner(env, network, optimizer=optimizer),
        uniform(capacity, batch_size),
        num_envs=num_envs,
        num_steps=num_steps,
        updates=updates,
        warm_up=warm_up,
        shared=shared,
        parameters=parameters,
    )


def stac_learner(
    env: Any, network: QNetwork, *, optimizer: optax.GradientTransformation | None = None
) -> Learner:
    """STAC's :class:`jaxswarm.rl.Learner`, for a loop or a replay of one's own."""
    _check_critic(network)
    direction = optax.scale_by_adam() if optimizer is None else optimizer
    usual = usual_entropy(env.action_spec)

    def init(params: PyTree, temperature: Any = 0.2) -> STACLearner:
        check_temperature(temperature)
        optimizer = {name: direction.init(part) for name, part in params.items()}
        start = jnp.asarray(temperature, jnp.float32)
        return STACLearner(params, params["critic"], start, optimizer)

    def act(key: jax.Array, state: STACLearner, features: jax.Array) -> jax.Array:
        return sampled(network, key, state.params["actor"], features)[0]

    def update(
        key: jax.Array, state: STACLearner, batch: Experience, p: STACHyperparameters
    ) -> tuple[STACLearner, dict[str, jax.Array]]:
        keys = jax.random.split(key, 7)
        actor, critic, alpha = state.params["actor"], state.params["critic"], state.temperature
        raw, log_prob = sampled(network, keys[0], actor, batch.next_features, keys[1])
        mean, std = critic_law(network, state.target, batch.next_features, raw, keys[2])
        soft = mean - p.beta * std - alpha * log_prob
        target = batch.reward + p.discount * batch.discount * soft

        def critic_loss(critic: PyTree) -> tuple[jax.Array, jax.Array]:
            mean, std = critic_law(network, critic, batch.features, batch.raw, keys[3])
            miss = 0.5 * jnp.square((target - mean) / std) + jnp.log(std)
            seen = masked_mean(mean, batch.mask), masked_mean(std, batch.mask)
            return masked_mean(miss, batch.mask) + 0.5 * np.log(2.0 * np.pi), jnp.stack(seen)

        (wrong, seen), slope = jax.value_and_grad(critic_loss, has_aux=True)(critic)
        critic, judging = stepped(direction, slope, state.optimizer["critic"], critic, p.critic_lr)

        def actor_loss(actor: PyTree) -> tuple[jax.Array, jax.Array]:
            raw, log_prob = sampled(network, keys[4], actor, batch.features, keys[5])
            mean, std = critic_law(network, critic, batch.features, raw, keys[6])
            regret = alpha * log_prob - (mean - p.beta * std)
            return masked_mean(regret, batch.mask), -masked_mean(log_prob, batch.mask)

        (regret, entropy), slope = jax.value_and_grad(actor_loss, has_aux=True)(actor)
        actor, acting = stepped(direction, slope, state.optimizer["actor"], actor, p.actor_lr)
        wanted = usual if p.target_entropy is None else p.target_entropy
        after = STACLearner(
            {"actor": actor, "critic": critic},
            optax.incremental_update(critic, state.target, p.tau),
            alpha * jnp.exp(p.temperature_lr * alpha * (wanted - entropy)),
            {"actor": acting, "critic": judging},
        )
        info = {
            "critic_loss": wrong,
            "actor_loss": regret,
            "value": seen[0],
            "deviation": seen[1],
            "entropy": entropy,
            "temperature": after.temperature,
        }
        return after, info

    return Learner(init, act, update)


def critic_law(
    network: QNetwork,
    params: PyTree,
    features: jax.Array,
    raw: jax.Array,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Mean and deviation ``[B]`` that the critic gives; ``key`` draws its dropout."""
    said = network.values(params, features, network.unit(raw), key)[0]
    return said[:, 0], jax.nn.softplus(jnp.maximum(said[:, 1], LOWEST))


def averaged(network: QNetwork, samples: int = 10) -> QNetwork:
    """The network that does the mean of some sampled actions, as STAC is evaluated.

    For :func:`jaxswarm.rl.policy`; its ``raw`` actions are ``[samples, A]``, and it knows the
    densities of the samples, ``[samples]``, not of their mean.

    Raises:
        ValueError: if ``samples < 1``.
    """
    if samples < 1:
        raise ValueError(f"samples: expected at least 1, got {samples}")
    head = network.head
    action: Callable[[jax.Array], jax.Array] = jax.vmap(head.action)

    def sample(key: jax.Array, outputs: jax.Array) -> jax.Array:
        return jax.vmap(lambda k: head.sample(k, outputs))(jax.random.split(key, samples))

    mean = head._replace(
        sample=sample,
        log_prob=jax.vmap(head.log_prob, (None, 0)),
        action=lambda raw: jnp.mean(action(raw), axis=0),
    )
    return network._replace(head=mean)


def _check_critic(network: QNetwork) -> None:
    def values(key: jax.Array) -> jax.Array:
        params = network.init(key)["critic"]
        return network.values(
            params, jnp.zeros((1, network.num_features)), jnp.zeros((1, network.num_actions))
        )

    key = jax.random.key(0)
    shape = jax.eval_shape(values, key).shape
    if shape != (1, 1, 2):
        raise ValueError(
            f"network: expected one critic with two outputs, got {shape[0]} with {shape[2]}"
        )
