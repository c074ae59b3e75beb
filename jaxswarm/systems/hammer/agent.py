"""HAMMER's first variant: the messenger is a PPO agent, and its messages are its actions.

The messenger sees everything, draws one Gaussian number for every number it sends, and is paid the
mean of the agents' rewards. What was sent is data to the agents: no gradient of theirs reaches the
messenger. Both sides learn from the same steps, each with its own critic, optimiser and advantages,
by as many updates; both ratios are 1 before the first of them.

The noise of a message is part of the observation (see :class:`WithMessenger`), so a message can be
found again from what was seen: ``mean + std · noise``.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents, messages ``L``.

References:
    N. Gupta, G. Srinivasaraghavan, S. Mohalik, N. Kumar, M. Taylor, HAMMER: multi-level
    coordination of reinforcement learning agents via learned messaging, 2021.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm.algorithm import Algorithm
from jaxswarm.rl._ppo import PPOHyperparameters, PPOInfo, check_parameters
from jaxswarm.rl.collect import Acting, Transition, Worlds
from jaxswarm.rl.heads import gaussian, head_of
from jaxswarm.rl.networks import Network
from jaxswarm.rl.returns import masked_mean
from jaxswarm.rl.updates import updates
from jaxswarm.systems.hammer.network import Dense, check_scale, ends, parts
from jaxswarm.systems.hammer.world import WithMessenger

PyTree = Any
SIDES = ("local", "messenger")


class Sides(NamedTuple):
    """Both sides of the policy, as networks that share parameters with the whole.

    Attributes:
        whole: what acts; parameters are ``{"actor": {"local", "messenger"}, "critic": {…}}``, and
            its critic gives both sides' values, ``[2]``.
        local: of an agent, from its own view, identity and the message.
        messenger: from everything to ``N L`` Gaussian numbers.
        std: of a message around its mean.
        scale: observations are divided by it.
    """

    whole: Network
    local: Network
    messenger: Network
    std: float
    scale: float


class MessengerState(NamedTuple):
    """``params``: of :class:`Sides`; ``optimisers``: one a side; ``acting``: the environments."""

    params: PyTree
    optimizers: dict[str, PyTree]
    acting: Acting


class MessengerInfo(NamedTuple):
    """``local`` and ``messenger``: a :class:`jaxswarm.rl.PPOInfo` each."""

    local: PPOInfo
    messenger: PPOInfo


def agent_sides(
    env: WithMessenger,
    *,
    widths: Sequence[int] = (64, 64),
    std: float = 0.5,
    executing: bool = False,
    scale: float = 1.0,
    **options: Any,
) -> Sides:
    """The networks, as large as those of :func:`hammer_network`.

    Args:
        env: whose sizes and actions are meant.
        widths: of the messenger, the local network and both critics.
        std: standard deviation of a message around its mean, fixed.
        executing: messages are their means; same parameters.
        scale: observations are divided by it.
        options: of :func:`jaxswarm.rl.head_of`.

    Raises:
        ValueError: for a deviation or a scale that is not positive.
    """
    check_scale(scale)
    if not 0.0 < std < math.inf:
        raise ValueError(f"std: expected a positive number, got {std}")
    n, length, visible = env.num_agents, env.message_length, env.visible
    head = head_of(env.action_spec, **options)
    talk, listen, judge = parts(env, head.num_outputs, widths)
    overseer = Dense(tuple(widths), 1)
    cut, size = ends(env), n * env.size
    blank = {"actor": (), "critic": ()}

    def local_init(key: jax.Array) -> PyTree:
        one, two = jax.random.split(key)
        actor = {
            "net": listen.init(one, jnp.zeros(visible + n + length))["params"],
            "log_std": jnp.full(head.num_scales, head.initial_scale),
        }
        return {"actor": actor, "critic": judge.init(two, jnp.zeros(visible + n))["params"]}

    def local_act(params: PyTree, carry: PyTree, told: jax.Array) -> tuple[PyTree, jax.Array]:
        outputs = jnp.asarray(listen.apply({"params": params["net"]}, told))
        return carry, jnp.concatenate([outputs, params["log_std"]])

    def local_value(params: PyTree, carry: PyTree, seen: jax.Array) -> tuple[PyTree, jax.Array]:
        return carry, jnp.asarray(judge.apply({"params": params}, seen))[0]

    def messenger_init(key: jax.Array) -> PyTree:
        one, two = jax.random.split(key)
        return {
            "actor": talk.init(one, jnp.zeros(size))["params"],
            "critic": overseer.init(two, jnp.zeros(size))["params"],
        }

    def messenger_act(params: PyTree, carry: PyTree, seen: jax.Array) -> tuple[PyTree, jax.Array]:
        mean = jnp.asarray(talk.apply({"params": params}, seen))
        return carry, jnp.concatenate([mean, jnp.full(n * length, math.log(std))])

    def messenger_value(params: PyTree, carry: PyTree, seen: jax.Array) -> tuple[PyTree, jax.Array]:
        return carry, jnp.asarray(overseer.apply({"params": params}, seen))[0]

    local = Network(head, local_init, lambda: blank, local_act, local_value, False, "own")
    messenger = Network(
        gaussian(n * length), messenger_init, lambda: blank, messenger_act, messenger_value,
        False, "own",
    )  # fmt: skip

    def init(key: jax.Array) -> PyTree:
        one, two = jax.random.split(key)
        return joined(local.init(one), messenger.init(two))

    def act(params: PyTree, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        everything, identity, drawn, own = jnp.split(features, cut)
        mean = messenger_act(params["messenger"], (), everything / scale)[1][: n * length]
        said = identity @ mean.reshape(n, length) + (0.0 if executing else std) * drawn
        told = jnp.concatenate([own / scale, identity, said])
        return carry, local_act(params["local"], (), told)[1]

    def value(params: PyTree, carry: PyTree, seen: jax.Array) -> tuple[PyTree, jax.Array]:
        everything, identity, _, own = jnp.split(seen, cut)
        near = local_value(params["local"], (), jnp.concatenate([own / scale, identity]))[1]
        far = messenger_value(params["messenger"], (), everything / scale)[1]
        return carry, jnp.stack([near, far])

    whole = Network(head, init, lambda: blank, act, value, False, "own")
    return Sides(whole, local, messenger, std, scale)


def joined(local: PyTree, messenger: PyTree) -> PyTree:
    """Parameters of the whole from those of both sides."""
    both = {"local": local, "messenger": messenger}
    return {part: {side: both[side][part] for side in SIDES} for part in ("actor", "critic")}


def side(params: PyTree, name: str) -> PyTree:
    """Parameters of one side, ``"local"`` or ``"messenger"``."""
    return {part: params[part][name] for part in ("actor", "critic")}


def messenger_ppo(
    env: WithMessenger,
    sides: Sides,
    *,
    num_envs: int = 16,
    num_steps: int = 64,
    epochs: int = 4,
    minibatches: int = 4,
    optimizer: optax.GradientTransformation | None = None,
    parameters: PPOHyperparameters = PPOHyperparameters(),  # noqa: B008
    normalize: bool = True,
) -> Algorithm:
    """Make the learner: agents share their local network, the messenger is one more learner.

    Args:
        env: with messages.
        sides: from :func:`agent_sides`, not executing.
        num_envs: ``E``.
        num_steps: ``T`` per iteration.
        epochs: passes of each side over what was collected.
        minibatches: of each side; divides ``T E``.
        optimizer: see :func:`jaxswarm.rl`.
        parameters: of both sides, used where ``step`` gets ``None`` as inputs.
        normalise: see :func:`jaxswarm.rl`.

    Returns:
        ``init(params, key, physics=None) -> MessengerState`` with ``params`` of ``sides.whole``,
        and ``step(key, state, inputs)`` whose inputs are :class:`PPOHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, minibatches that do not divide, numbers out of range.
    """
    given = {"num_steps": num_steps, "epochs": epochs, "minibatches": minibatches}
    for name, size in given.items():
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
    n, items = env.num_agents, num_envs * num_steps
    if items % minibatches:
        raise ValueError(f"minibatches: expected a divisor of {items}, got {minibatches}")
    check_parameters(parameters)
    worlds = Worlds(env, sides.whole, num_envs, True)
    cut = ends(env)
    if optimizer is None:
        optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.scale_by_adam(eps=1e-5))
    shape = {"epochs": epochs, "minibatches": minibatches, "normalize": normalize}
    learn = {
        "local": updates(sides.local, optimizer, items=items * n, **shape),
        "messenger": updates(sides.messenger, optimizer, items=items, **shape),
    }
    blank = {"actor": (), "critic": ()}

    def init(params: PyTree, key: jax.Array, physics: PyTree = None) -> MessengerState:
        optimizers = {name: optimizer.init(side(params, name)) for name in SIDES}
        return MessengerState(params, optimizers, worlds.begin(key, physics))

    def views(params: PyTree, done: Transition) -> dict[str, Transition]:
        """What each side did: ``[T, E N, …]`` of agents, ``[T, E, …]`` of the messenger."""
        everything, identity, drawn, own = jnp.split(done.features, cut, axis=3)
        everything = everything[:, :, 0] / sides.scale
        actor = jax.vmap(jax.vmap(sides.messenger.actor, (None, None, 0)), (None, None, 0))
        outputs = actor(params["actor"]["messenger"], (), everything)[1]
        mean = outputs[..., : n * env.message_length].reshape(drawn.shape)
        said = mean + sides.std * drawn
        seen = jnp.concatenate([own / sides.scale, identity], axis=3)
        agents = done._replace(
            features=jnp.concatenate([seen, said], axis=3),
            seen=seen,
            value=done.value[..., 0],
            next_value=done.next_value[..., 0],
        )
        raw = said.reshape(num_steps, num_envs, -1)
        first = jax.tree.map(lambda x: x[:, :, 0], done)
        above = first._replace(
            features=everything,
            seen=everything,
            raw=raw,
            log_prob=jax.vmap(jax.vmap(sides.messenger.head.log_prob))(outputs, raw),
            value=first.value[..., 1],
            next_value=first.next_value[..., 1],
            reward=_mean_of_agents(done.reward, done.mask),
            discount=jnp.max(done.discount, axis=2),
            mask=jnp.any(done.mask, axis=2),
        )
        flat = jax.tree.map(lambda x: x.reshape(num_steps, -1, *x.shape[3:]), agents)
        return {"local": flat, "messenger": above}

    def step(
        key: jax.Array, state: MessengerState, inputs: PPOHyperparameters | None = None
    ) -> tuple[MessengerState, MessengerInfo]:
        p = parameters if inputs is None else inputs
        acting_key, *learning = jax.random.split(key, 3)
        acting, done, finished = worlds.collect(acting_key, state.params, state.acting, num_steps)
        reward = masked_mean(done.reward, done.mask)
        seen, params, optimizers = {}, {}, {}
        for (name, view), draw in zip(views(state.params, done).items(), learning, strict=True):
            params[name], optimizers[name], looked = learn[name](
                draw, side(state.params, name), state.optimizers[name], view, blank, p
            )
            seen[name] = PPOInfo(**looked, reward=reward, finished=finished)
        new = MessengerState(joined(**params), optimizers, acting)
        return new, MessengerInfo(**seen)

    return Algorithm(init, step)  # type: ignore[arg-type]


def _mean_of_agents(x: jax.Array, mask: jax.Array) -> jax.Array:
    """``[T, E, N] -> [T, E]``: mean over the agents that are there, 0 without any."""
    return jnp.sum(jnp.where(mask, x, 0.0), axis=2) / jnp.maximum(jnp.sum(mask, axis=2), 1)
