"""Networks of offline chunk learners: two chunk critics, a value and a flow actor.

All methods use one family of networks; a method with shorter chunks zeroes the actions beyond them.

Shapes: ``O`` numbers of an observation, ``G`` of a goal, ``A`` of an action, ``H`` steps of the
longest chunk, ``B`` items of a batch, ``K`` critics.

References:
    Q. Li, S. Park, S. Levine, Decoupled Q-chunking, 2025.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models import flow as flows
from jaxswarm.models import functional, mlp
from jaxswarm.models.networks import ACTIVATIONS
from jaxswarm.rl.hyperparameters import choice, layer_widths
from jaxswarm.types import Key, Params

PARTS = ("chunk", "distilled", "value", "flow")
"""Keys of the parameters: chunk critic, distilled critic, value, flow actor."""


class ChunkNetwork(NamedTuple):
    """Pure functions of one learner; ``vmap`` them over stacked parameters.

    Attributes:
        init: ``init(key) -> params``, a dict with the keys ``PARTS``; critics' leaves ``[K, …]``.
        q: ``q(critic_params, observation [B, O], goal [B, G], actions [B, H, A]) -> [K, B]``,
            logits of a chunk critic or of a distilled one.
        value: ``value(params["value"], observation, goal) -> [B]``, logits.
        flow: the actor, a flow of chunks ``[H, A]`` given observation and goal ``[O + G]``.
        num_observations: ``O``.
        num_goals: ``G``.
        num_actions: ``A``.
        horizon: ``H``.
    """

    init: Callable[[Key], Params]
    q: Callable[..., jax.Array]
    value: Callable[..., jax.Array]
    flow: flows.Flow
    num_observations: int
    num_goals: int
    num_actions: int
    horizon: int


def chunk_network(
    num_observations: int,
    num_actions: int,
    horizon: int,
    *,
    num_goals: int | None = None,
    widths: Sequence[int] = (256, 256),
    num_critics: int = 2,
    activation: str = "gelu",
    layer_norm: bool = True,
) -> ChunkNetwork:
    """Make the networks of an offline chunk learner.

    Args:
        num_observations: ``O``.
        num_actions: ``A``, actions in ``[-1, 1]``.
        horizon: ``H``, steps of the longest chunk that a method may use.
        num_goals: ``G``; ``O`` if omitted.
        widths: hidden layers of the critics and the value; the flow has as many, of the last width.
        num_critics: ``K``.
        activation: name in ``models.ACTIVATIONS``, of the critics and the value.
        layer_norm: layer normalization before each of their activations.

    Raises:
        ValueError: for sizes below 1 or an unknown activation.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.rl import offline
        >>> network = offline.chunk_network(2, 2, horizon=5, widths=(16,))
        >>> params = network.init(jax.random.key(0))
        >>> place, chunk = jnp.zeros((3, 2)), jnp.zeros((3, 5, 2))
        >>> network.q(params["chunk"], place, place, chunk).shape
        (2, 3)
    """
    num_observations = checks.whole("num_observations", num_observations, 1)
    num_actions = checks.whole("num_actions", num_actions, 1)
    horizon = checks.whole("horizon", horizon, 1)
    num_goals = num_observations if num_goals is None else checks.whole("num_goals", num_goals, 1)
    widths = layer_widths("widths", widths)
    num_critics = checks.whole("num_critics", num_critics, 1)
    choice("activation", activation, ACTIVATIONS)
    norm = "layer" if checks.flag("layer_norm", layer_norm) else "none"
    places = num_observations + num_goals
    module = mlp(*widths, 1, activation=activation, norm=norm)
    critic = functional(module, jnp.zeros((1, places + horizon * num_actions)))
    value_model = functional(module, jnp.zeros((1, places)))
    actor = flows.from_network(
        flows.MLP(width=widths[-1], depth=len(widths)),
        (horizon, num_actions),
        condition_shape=(places,),
    )

    def init(key: Key) -> Params:
        keys = jax.random.split(key, 4)
        drawn = jax.vmap(lambda k: jax.vmap(critic.init)(jax.random.split(k, num_critics)))(
            keys[:2]
        )
        critics = [jax.tree.map(lambda x, k=k: x[k], drawn) for k in range(2)]
        return dict(
            zip(PARTS, (*critics, value_model.init(keys[2]), actor.init(keys[3])), strict=True)
        )

    def q(params: Params, observation: jax.Array, goal: jax.Array, actions: jax.Array) -> jax.Array:
        flat = actions.reshape(len(actions), -1)
        inputs = jnp.concatenate([observation, goal, flat], axis=1)
        return jax.vmap(critic.apply, (0, None))(params, inputs)[..., 0]

    def value(params: Params, observation: jax.Array, goal: jax.Array) -> jax.Array:
        return value_model.apply(params, jnp.concatenate([observation, goal], axis=1))[:, 0]

    return ChunkNetwork(init, q, value, actor, num_observations, num_goals, num_actions, horizon)
