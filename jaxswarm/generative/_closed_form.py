"""Closed-form minimizers of the weighted flow-matching loss on finite sets of samples.

Shapes: ``n`` samples of the set, ``B`` points, ``...`` the shape of one sample.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.generative._weights import clip_advantages
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike


def optimal_values(
    data: jax.Array,
    rewards: jax.Array,
    x: jax.Array,
    t: ArrayLike,
    *,
    path: flow.Path | None = None,
) -> jax.Array:
    """Optimal critic of a finite set of samples: the expected reward given the noised state.

    Args:
        data: ``[n, ...]``.
        rewards: ``[n]``.
        x: ``[B, ...]``, noised states.
        t: ``[B]`` or a number, in ``[0, 1)``.
        path: of the noised states, linear by default.

    Returns:
        ``float[B]``, ``Σ_i p(i | x_t) R_i``.

    Raises:
        ValueError: for shapes that do not fit, or times outside ``[0, 1]``.

    Example:
        >>> data, rewards = jnp.array([[-1.0], [1.0]]), jnp.array([0.0, 1.0])
        >>> optimal_values(data, rewards, jnp.zeros((1, 1)), 0.5).tolist()
        [0.5]
    """
    path = flow.linear_path() if path is None else path
    rewards = checks.numbers("rewards", rewards, (jnp.shape(data)[0],))
    return flow.posterior(data, x, t, path=path) @ rewards


def fine_tuned_velocity(
    data: jax.Array,
    rewards: jax.Array,
    x: jax.Array,
    t: ArrayLike,
    *,
    temperature: ArrayLike,
    alpha: ArrayLike = 0.0,
    clip: ArrayLike | None = None,
    use_critic: bool = True,
    path: flow.Path | None = None,
) -> jax.Array:
    """Velocity field that AC-Flow or ORW-CFM-W2 learns from a finite set of samples.

    The pointwise minimizer of ``E[w · ‖v - u‖² + α · ‖v - v_ref‖² | x_t]`` with the optimal critic
    and the set's own field as the reference: ``(E[w u | x_t] + α v_ref) / (E[w | x_t] + α)``. The
    weights are ``exp(τ · clip(R_i - V(x_t, t)))``, not normalized by a mean. With ``alpha=0`` and
    without ``clip`` the critic cancels.

    Args:
        data: ``[n, ...]``, samples of the sampling copy.
        rewards: ``[n]``.
        x: ``[B, ...]``, noised states.
        t: ``[B]`` or a number, in ``[0, 1)``.
        temperature: ``τ >= 0``.
        alpha: weight of the penalty on the distance to the reference, >= 0.
        clip: largest absolute advantage, > 0; ``None`` for no clipping.
        use_critic: subtract the optimal critic's value from the rewards (AC-Flow) or not (ORW-CFM).
        path: linear by default.

    Returns:
        ``[B, ...]``.

    Raises:
        ValueError: for a negative temperature or alpha, ``clip <= 0``, or shapes that do not fit.
    """
    checks.real("temperature", temperature, 0.0)
    checks.real("alpha", alpha, 0.0)
    checks.flag("use_critic", use_critic)
    path = flow.linear_path() if path is None else path
    data = checks.numbers("data", data)
    rewards = checks.numbers("rewards", rewards, (data.shape[0],))
    x = checks.numbers("x", x, (None, *data.shape[1:]))
    probabilities = flow.posterior(data, x, t, path=path)
    advantages = jnp.broadcast_to(rewards, probabilities.shape)
    if use_critic:
        advantages = advantages - (probabilities @ rewards)[:, None]
    clipped = clip_advantages(advantages.reshape(-1), clip).reshape(advantages.shape)
    # In logarithms, for weights of any size.
    logits = jnp.logaddexp(jnp.asarray(temperature) * clipped, jnp.log(jnp.asarray(alpha)))
    mixture = jax.nn.softmax(logits + jnp.log(probabilities), axis=1)
    # The conditional velocity is affine in the data point, so the mean of the velocities is the
    # velocity towards the mean.
    mean = (mixture @ data.reshape(data.shape[0], -1)).reshape(x.shape)
    return flow.convert(mean, x, t, source="data", target="velocity", path=path)
