"""Steps that actor–critic learners share: sample actions, apply gradients, default entropies.

Shapes: ``B`` items of a batch, ``F`` features, ``A`` numbers of an action.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jumanji import specs

from jaxswarm import checks
from jaxswarm.rl.q_networks import QNetwork
from jaxswarm.types import ArrayLike, Key, Params, PyTree


def sample_actions(key: Key, network: QNetwork, outputs: jax.Array) -> jax.Array:
    """Sample raw actions ``[B, A]`` given the actor's outputs ``[B, O]``."""
    return jax.vmap(network.head.sample)(jax.random.split(key, outputs.shape[0]), outputs)


def sample_and_log_prob(
    key: Key,
    network: QNetwork,
    actor: Params,
    features: jax.Array,
    *,
    dropout_key: Key | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Sample raw actions ``[B, A]`` with their log-probabilities ``[B]``.

    Both are differentiable in ``actor`` (reparametrised samples).

    Args:
        key: consumed.
        network: of the agent.
        actor: weights of the actor.
        features: ``[B, F]``.
        dropout_key: draws the actor's dropout; without one there is none.
    """
    outputs = network.actor_outputs(actor, features, dropout_key)
    raw = sample_actions(key, network, outputs)
    return raw, jax.vmap(network.head.log_prob)(outputs, raw)


def apply_gradients(
    optimizer: optax.GradientTransformation,
    grads: PyTree,
    opt_state: PyTree,
    params: Params,
    lr: float | jax.Array,
) -> tuple[Params, PyTree]:
    """Take a step of size ``lr`` along the optimizer's direction: new params and ``opt_state``."""
    updates, opt_state = optimizer.update(grads, opt_state, params)
    updates = jax.tree.map(lambda x: -lr * x, updates)
    return optax.apply_updates(params, updates), opt_state


def default_target_entropy(action_spec: specs.Array) -> float:
    """SAC's target entropy, ``-A``, in units of half the actions' range.

    The heads' log-probabilities are of actions in the environment's units, hence the conversion.

    Example:
        >>> from jaxswarm import envs
        >>> default_target_entropy(envs.continuous_actions(3, 2, low=-1.0, high=1.0))
        -2.0
    """
    bounds: Any = action_spec
    low, high = (
        np.broadcast_to(np.asarray(x), bounds.shape)[0] for x in (bounds.minimum, bounds.maximum)
    )
    half = (high - low) / 2.0
    return float(np.sum(np.log(half)) - half.size)


def check_temperature(temperature: ArrayLike, num_agents: int | None = None) -> None:
    """Refuse known temperatures that are not positive; traced ones pass.

    Args:
        temperature: one number, or ``[N]`` for ``N`` independent learners.
        num_agents: ``N``; ``None`` if agents share one learner.

    Raises:
        ValueError: naming it.
    """
    each = num_agents is not None and jnp.ndim(temperature) == 1
    checks.real("temperature", temperature, above=0.0, shape=(num_agents,) if each else ())
