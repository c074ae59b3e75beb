"""Networks of SL-MGAC: a shared trunk each for rewards, values and policy, heads by user group.

Shapes: ``B`` rows, ``F`` features, ``G`` groups, ``H`` units of the last hidden layer, ``O``
outputs, ``K`` bins, ``C`` critics.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.models.linear import matmul
from jaxswarm.rl.hyperparameters import layer_widths
from jaxswarm.systems.sl_mgac._two_hot import check_bins
from jaxswarm.types import ArrayLike, Key, Params

HEADS = 3
"""Watch times that are predicted: short without and with an insertion, live with one."""

SMALL = 0.01
"""Deviation of the initial weights of heads, times ``1 / √H``."""


class GroupNetwork(NamedTuple):
    """Networks of SL-MGAC as pure functions; a network of your own has the same fields.

    Attributes:
        num_features: ``F``.
        num_groups: ``G``.
        bins: ``float32[K]``, support points of the watch times.
        init: ``init(key) -> {"reward": …, "critic": …, "actor": …}``.
        times: ``times(params["reward"], features [B, F], group [B]) -> logits [B, 3, K]``.
        future: ``future(params["critic"], features, group, layer_norm) -> [C, B, 2]``, normalized
            values of both actions; ``layer_norm`` may be traced.
        policy: ``policy(params["actor"], features, group) -> logits [B, 2]``.
    """

    num_features: int
    num_groups: int
    bins: np.ndarray
    init: Callable[[Key], Params]
    times: Callable[..., jax.Array]
    future: Callable[..., jax.Array]
    policy: Callable[..., jax.Array]


def group_network(
    num_features: int,
    num_groups: int,
    bins: ArrayLike,
    *,
    widths: Sequence[int] = (32, 32),
    num_critics: int = 2,
) -> GroupNetwork:
    """Make the networks: trunks of dense ReLU layers that groups share, and a head for each group.

    Args:
        num_features: ``F``.
        num_groups: ``G``, few: heads of all groups are computed, then each row's is selected.
        bins: ``[K]``, see :func:`jaxswarm.systems.sl_mgac.log_bins`.
        widths: of the hidden layers of each trunk.
        num_critics: ``C``.

    Raises:
        ValueError: sizes below 1; bins that are unsorted or repeated, or do not start at 0.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.systems import sl_mgac
        >>> network = sl_mgac.group_network(5, 3, sl_mgac.log_bins(8, 0.1, 50.0), widths=(8,))
        >>> params = network.init(jax.random.key(0))
        >>> network.times(params["reward"], jnp.zeros((4, 5)), jnp.array([0, 2, 1, 1])).shape
        (4, 3, 8)
    """
    num_features = checks.whole("num_features", num_features, 1)
    num_groups = checks.whole("num_groups", num_groups, 1)
    num_critics = checks.whole("num_critics", num_critics, 1)
    points = check_bins(bins)
    widths = layer_widths("widths", widths)
    sizes = (num_features, *widths)

    def one(key: Key, bias: np.ndarray, norm: bool = False) -> Params:
        *keys, head_key = jax.random.split(key, len(widths) + 1)
        trunk = [
            {"kernel": jax.random.normal(k, (a, b)) * np.sqrt(2.0 / a), "bias": jnp.zeros(b)}
            | ({"scale": jnp.ones(b), "shift": jnp.zeros(b)} if norm else {})
            for k, a, b in zip(keys, sizes[:-1], sizes[1:], strict=True)
        ]
        shape = (num_groups, widths[-1], len(bias))
        kernel = SMALL / np.sqrt(widths[-1]) * jax.random.normal(head_key, shape)
        return {
            "trunk": trunk,
            "head": {"kernel": kernel, "bias": jnp.tile(jnp.asarray(bias), (num_groups, 1))},
        }

    def init(key: Key) -> Params:
        reward_key, critic_key, actor_key = jax.random.split(checks.key(key), 3)
        critic_keys = jax.random.split(critic_key, num_critics)
        short = np.tile(-2.0 * np.log1p(points), HEADS)  # watch times start out short
        return {
            "reward": one(reward_key, short),
            "critic": jax.vmap(lambda k: one(k, np.zeros(2, np.float32), True))(critic_keys),
            "actor": one(actor_key, np.zeros(2, np.float32)),
        }

    def apply(
        params: Params, features: jax.Array, group: jax.Array, layer_norm: ArrayLike | None = None
    ) -> jax.Array:
        x = features
        for layer in params["trunk"]:
            x = matmul(x, layer["kernel"]) + layer["bias"][None]
            if layer_norm is not None:
                x = jnp.where(layer_norm, normalized(x, layer), x)
            x = jax.nn.relu(x)
        return group_heads(params["head"], x, group)

    def times(params: Params, features: jax.Array, group: jax.Array) -> jax.Array:
        return apply(params, features, group).reshape(-1, HEADS, len(points))

    def future(
        params: Params, features: jax.Array, group: jax.Array, layer_norm: ArrayLike = True
    ) -> jax.Array:
        return jax.vmap(lambda p: apply(p, features, group, layer_norm))(params)

    def policy(params: Params, features: jax.Array, group: jax.Array) -> jax.Array:
        return apply(params, features, group)

    return GroupNetwork(num_features, num_groups, points, init, times, future, policy)


def normalized(x: jax.Array, layer: Params) -> jax.Array:
    """Layer normalization of rows ``[B, H]`` with a learned scale and shift."""
    centered = x - jnp.mean(x, axis=1, keepdims=True)
    variance = jnp.mean(jnp.square(centered), axis=1, keepdims=True)
    unit = centered * jax.lax.rsqrt(variance + 1e-6)
    return unit * layer["scale"][None] + layer["shift"][None]


def group_heads(head: Params, x: jax.Array, group: jax.Array) -> jax.Array:
    """Apply to each row the linear head of its group, ``[B, H] -> [B, O]``.

    One product with the stacked kernels of all groups and one selection; on CPUs that is quicker
    than gathering a kernel for each row, whose gradient is a scatter.

    Args:
        head: ``{"kernel": [G, H, O], "bias": [G, O]}``.
        x: ``[B, H]``.
        group: ``int[B]``, each row's group.
    """
    num_groups, width, num_outputs = head["kernel"].shape
    kernel = jnp.swapaxes(head["kernel"], 0, 1).reshape(width, num_groups * num_outputs)
    outputs = matmul(x, kernel).reshape(-1, num_groups, num_outputs) + head["bias"][None]
    own = group[:, None] == jnp.arange(num_groups)[None]
    return jnp.sum(jnp.where(own[..., None], outputs, 0.0), axis=1)
