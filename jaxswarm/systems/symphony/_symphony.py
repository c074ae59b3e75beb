"""Symphony: a deterministic actor that is swaddled, and one loss for actor and critic together.

The actor says an action ``A``, a scale ``S`` and a width ``B``; what is done is ``tanh(S A + N)``
with bounded noise ``N``. Swaddling draws ``S`` to ``1/e`` where nothing speaks for more. The
actor's gradient flows through the *target* critic at the next state, as an advantage over a slow
mean of its values; critic and actor take the same optimiser step. Replay fades
(:func:`jaxswarm.rl.fading`), and its rewards are in units of their mean size while exploring.

There are several Symphonies; this is the code of December 2025. Left out: keeping terminal items
for one more cycle of the buffer, and cutting actions near the time limit (which truncates here).

Shapes: ``B`` items of a batch, ``A`` numbers of an action, ``n`` nodes of all critics.

References:
    T. Ishuov et al., Symphony, 2025.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm.algorithm import Algorithm
from jaxswarm.models.linear import dot_general
from jaxswarm.rl._off_policy import Learner, check_numbers, off_policy
from jaxswarm.rl._sac import draw
from jaxswarm.rl.heads import Head, squashed_gaussian
from jaxswarm.rl.q_networks import QNetwork, q_network_for
from jaxswarm.rl.replay import Experience, fading
from jaxswarm.rl.returns import masked_mean

PyTree = Any
CRITICS = 3
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
NOISE = 1.0 / math.e  # deviation of the noise, which is bounded by 1


class SymphonyHyperparameters(NamedTuple):
    """Numbers of the learner; all may be traced, and ``[N]`` each for agents of their own.

    Attributes:
        lr: step size.
        discount: ``γ``.
        tau: share of the critic that moves into its target, in ``(0, 1]``.
        memory: share of the slow mean of values that is kept in an update, in ``[0, 1]``.
        decay: of the weights, per unit of ``lr``.
    """

    lr: Any = 1e-4
    discount: Any = 0.99
    tau: Any = 0.005
    memory: Any = GOLDEN
    decay: Any = 0.01


class SymphonyLearner(NamedTuple):
    """Of one agent.

    Attributes:
        params: ``{"actor", "critic"}``.
        target: of the critic.
        mean_value: ``[]``, the slow mean.
        optimiser: its state.
    """

    params: PyTree
    target: PyTree
    mean_value: jax.Array
    optimizer: PyTree


def symphony(
    env: Any,
    network: QNetwork,
    *,
    num_envs: int = 1,
    num_steps: int = 1,
    updates: int = 3,
    batch_size: int = 384,
    capacity: int = 512_000,
    warm_up: int = 10_240,
    shared: bool = True,
    fade: bool | jax.Array = True,
    parameters: SymphonyHyperparameters = SymphonyHyperparameters(),  # noqa: B008
) -> Algorithm:
    """Make the learner.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment` with bounded actions, not wrapped.
        network: from :func:`symphony_network_for`.
        num_envs: ``E``.
        num_steps: environment steps between updates.
        updates: gradient steps after them.
        batch_size: ``B``; the paper takes as many as the critics have nodes.
        capacity: items a buffer holds, a multiple of the warm-up's.
        warm_up: random steps of each environment before learning, repeated to fill the buffer.
        shared: one learner for all agents, else one each with its own buffer.
        fade: false replays uniformly, for comparison; may be traced.
        parameters: used where ``step`` gets ``None`` as inputs.

    Returns:
        ``init(params, key, physics=None) -> OffPolicyState`` and ``step(key, state, inputs) ->
        (state, OffPolicyInfo)``, where ``inputs`` is :class:`SymphonyHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, a capacity that the warm-up does not divide, numbers out of
            range.
    """
    ranges = {"lr": (0.0, np.inf), "discount": (0.0, 1.0), "memory": (0.0, 1.0)}
    ranges |= {"decay": (0.0, np.inf), "tau": (1e-12, 1.0)}
    check_numbers(parameters, ranges)
    items = warm_up * num_envs * (env.num_agents if shared else 1)
    if items < 1 or capacity % items:
        raise ValueError(
            f"capacity: expected a multiple of the warm-up's {items} items, got {capacity}"
        )
    return off_policy(
        env,
        network,
        symphony_learner(network),
        fading(capacity, batch_size, fade=fade),
        num_envs=num_envs,
        num_steps=num_steps,
        updates=updates,
        warm_up=warm_up,
        shared=shared,
        parameters=parameters,
    )


def symphony_learner(network: QNetwork) -> Learner:
    """Symphony's :class:`jaxswarm.rl.Learner`, for a loop or a replay of one's own."""
    direction = steady_adam()

    def init(params: PyTree) -> SymphonyLearner:
        return SymphonyLearner(params, params["critic"], jnp.zeros(()), direction.init(params))

    def act(key: jax.Array, state: SymphonyLearner, features: jax.Array) -> jax.Array:
        return draw(network, key, network.outputs(state.params["actor"], features))

    def update(
        key: jax.Array, state: SymphonyLearner, batch: Experience, p: SymphonyHyperparameters
    ) -> tuple[SymphonyLearner, dict[str, jax.Array]]:
        def loss(params: PyTree) -> tuple[jax.Array, Any]:
            outputs = network.outputs(params["actor"], batch.next_features)
            raw = draw(network, key, outputs)
            nodes = network.values(state.target, batch.next_features, network.unit(raw))
            ahead = pessimistic(joined(nodes))  # the actor's gradient: through the target critic
            mean = masked_mean(jax.lax.stop_gradient(ahead), batch.mask)
            slow = p.memory * state.mean_value + (1.0 - p.memory) * mean
            gain = masked_mean(advantage_loss((ahead - slow) / (jnp.abs(slow) + 1e-3)), batch.mask)
            known = jax.lax.stop_gradient(ahead)
            target = batch.reward + p.discount * batch.discount * known
            values = joined(
                network.values(params["critic"], batch.features, network.unit(batch.raw))
            )
            error = jnp.mean(square_loss(values - target[:, None]), axis=1)
            wrong = masked_mean(error, batch.mask)
            tight = masked_mean(swaddling(outputs), batch.mask)
            _, scale, width = parts(outputs)
            seen = (slow, wrong, mean, jnp.mean(scale), jnp.mean(width), tight)
            return wrong - gain + tight, seen

        slope, seen = jax.grad(loss, has_aux=True)(state.params)
        change, optimizer = direction.update(slope, state.optimizer, state.params)
        params = jax.tree.map(lambda x, d: x - p.lr * (d + p.decay * x), state.params, change)
        target = optax.incremental_update(params["critic"], state.target, p.tau)
        names = ("critic_loss", "value", "scale", "width", "swaddling")
        info: dict[str, jax.Array] = dict(zip(names, seen[1:], strict=True))
        return SymphonyLearner(params, target, seen[0], optimizer), info

    return Learner(init, act, update)


def parts(outputs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """``A`` in ``(-1, 1)``, ``S`` and ``B`` in ``(0, 1)``, each ``[…, A]``, of ``[…, 3 A]``."""
    action, scale, width = jnp.split(jnp.tanh(outputs / 2.0), 3, axis=-1)
    low, high = 1e-3, 1.0 - 1e-3
    return action, jnp.clip(jnp.abs(scale), low, high), jnp.clip(jnp.abs(width), low, high)


def swaddling(outputs: jax.Array) -> jax.Array:
    """What scales cost, ``[B]``: least at ``S = 1/e``, no bound as ``S`` or ``B`` tend to 1."""
    _, scale, width = parts(outputs)
    wide = bound(scale ** (1.0 / jax.lax.stop_gradient(width)))
    return jnp.mean(wide + width * scale * jnp.log(scale) + bound(width**2), axis=-1)


def bound(x: jax.Array) -> jax.Array:
    """``ln((1 + x) / (1 - x))``: nothing at 0, without bound towards 1."""
    return jnp.log1p(x) - jnp.log1p(-x)


def square_loss(x: jax.Array) -> jax.Array:
    """``x tanh(x/2)``: half the square when small, the size when large."""
    return x * jnp.tanh(x / 2.0)


def advantage_loss(x: jax.Array) -> jax.Array:
    """``|x| tanh(x/2)``: as ``square_loss``, with the sign of ``x``."""
    return jnp.abs(x) * jnp.tanh(x / 2.0)


def joined(nodes: jax.Array) -> jax.Array:
    """``[K, B, H] -> [B, K H]``."""
    return jnp.moveaxis(nodes, 0, 1).reshape(nodes.shape[1], -1)


def pessimistic(values: jax.Array) -> jax.Array:
    """``[B]`` of ``[B, n]``: the lower a node's value, the more it counts.

    Ranks are counted rather than sorted, which takes a CPU a fraction of the time at these sizes.
    """
    n = values.shape[-1]
    own, other = values[:, :, None], values[:, None, :]
    before = (other < own) | ((other == own) & np.tri(n, k=-1, dtype=bool)[None])
    rank = jnp.sum(before, axis=-1)
    weight = jnp.tanh((np.pi * (1.0 - rank / n)) ** np.e)
    return jnp.sum(values * weight, axis=-1) / np.sum(
        np.tanh((np.pi * (1.0 - np.arange(n) / n)) ** np.e)
    )


def steady_adam(b1: float = GOLDEN, b2: float = 0.995) -> optax.GradientTransformation:
    """Adam's direction without the correction of its moments' start."""

    def init(params: PyTree) -> tuple[PyTree, PyTree]:
        blank = jax.tree.map(jnp.zeros_like, params)
        return blank, blank

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        del params
        first = jax.tree.map(lambda m, g: b1 * m + (1.0 - b1) * g, state[0], updates)
        second = jax.tree.map(lambda v, g: b2 * v + (1.0 - b2) * g * g, state[1], updates)
        change = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + 1e-8), first, second)
        return change, (first, second)

    return optax.GradientTransformation(init, update)


class _Resine(nn.Module):
    """``y σ(1.5 y/s)`` of ``y = s sin(x/s)``, ``s = σ(learned)``."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        s = jax.nn.sigmoid(self.param("s", nn.initializers.zeros, (x.shape[-1],)))
        s = jnp.broadcast_to(s, x.shape)
        y = s * jnp.sin(x / s)
        return y * jax.nn.sigmoid(1.5 * y / s)


class _Layers(nn.Module):
    """Dense, layer norm, dense, resine, dense."""

    width: int
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.LayerNorm()(nn.Dense(self.width, dot_general=dot_general)(x))
        x = _Resine()(nn.Dense(self.width, dot_general=dot_general)(x))
        return nn.Dense(self.num_outputs, dot_general=dot_general)(x)


def symphony_network_for(env: Any, *, width: int = 512, nodes: int = 384) -> QNetwork:
    """Actor and three critics whose sizes are read off an environment.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment` with bounded actions.
        width: of the hidden layers.
        nodes: ``n``, of all critics together.

    Raises:
        ValueError: sizes below 1, nodes that three do not divide, or what
            :func:`jaxswarm.rl.q_network_for` refuses.
    """
    if width < 1 or nodes < 1:
        raise ValueError(f"width, nodes: expected at least 1, got {width}, {nodes}")
    if nodes % CRITICS:
        raise ValueError(f"nodes: expected a multiple of {CRITICS}, got {nodes}")
    plain = q_network_for(env)  # for its checks, sizes and bounds
    size, count = plain.num_actions, plain.num_features
    acting, judging = _Layers(width, 3 * size), _Layers(width, nodes // CRITICS)

    def init(key: jax.Array) -> PyTree:
        one, two = jax.random.split(key)
        seen = jnp.zeros((1, count + size))
        make = jax.vmap(lambda k: judging.init(k, seen)["params"])
        return {
            "actor": acting.init(one, seen[:, :count])["params"],
            "critic": make(jax.random.split(two, CRITICS)),
        }

    def outputs(params: PyTree, features: jax.Array, key: Any = None) -> jax.Array:
        result: Any = acting.apply({"params": params}, features)
        return result

    def values(params: PyTree, features: jax.Array, action: jax.Array, key: Any = None) -> Any:
        x = jnp.concatenate([features, action], axis=1)
        return jax.vmap(lambda p: judging.apply({"params": p}, x))(params)

    def actor(params: PyTree, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        return carry, outputs(params, features[None])[0]

    head = symphony_head(plain.head.action, size)
    return QNetwork(
        head, count, size, init, outputs, values, jnp.tanh, lambda: {"actor": ()}, actor
    )


def symphony_head(action: Callable[[jax.Array], jax.Array], size: int) -> Head:
    """``raw = S A + N`` with noise bounded by 1; it has no density to speak of.

    Args:
        action: what the environment is given of a raw action.
        size: ``A``.
    """

    def mode(outputs: jax.Array) -> jax.Array:
        middle, scale, _ = parts(outputs)
        return middle * scale

    def sample(key: jax.Array, outputs: jax.Array) -> jax.Array:
        noise = jnp.clip(jax.random.normal(key, (size,)), -math.e, math.e)
        return mode(outputs) + NOISE * noise

    def no_density(*args: Any) -> jax.Array:
        raise NotImplementedError("Symphony's actor is deterministic: it has no log-probability")

    blank = squashed_gaussian(size)
    return blank._replace(
        num_outputs=3 * size,
        num_scales=0,
        sample=sample,
        log_prob=no_density,
        entropy=no_density,
        mode=mode,
        action=action,
    )
