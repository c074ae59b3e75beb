"""Losses of fine-tuning: the weighted flow-matching loss with its penalty, and the critic's error.

Shapes: ``B`` samples of a batch, ``...`` the shape of one sample.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.generative._critic import Critic
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Params


def weighted_loss(
    model: flow.Flow,
    params: Params,
    state: flow.Noised,
    weights: jax.Array,
    *,
    reference: Params = None,
    alpha: ArrayLike = 0.0,
    condition: jax.Array | None = None,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Weighted flow-matching loss with a penalty on the distance to a reference's velocities.

    ``mean(w · ‖v - u‖² + α · ‖v - v_ref‖²)`` over samples and features. Every weight stays with its
    own sample (the noise is independent of the data): permuting a batch with its weights does not
    change the loss. The penalty bounds the Wasserstein-2 distance between the two flows.

    Both terms are distances of what the network predicts. For a prediction other than the velocity
    both are therefore multiplied by one function of the time (``(1 - t)²`` for data on the straight
    path), which moves no minimizer: ``α`` means the same for every prediction. A penalty in
    velocities beside a loss in data would grow as ``1 / (1 - t)²`` and drown the loss.

    Args:
        model: the flow model.
        params: its parameters.
        state: of ``flow.noised``: the batch at random times of the conditional path.
        weights: ``[B]``, nonnegative. A sample that is not finite must have weight 0; it is left
            out of both terms.
        reference: the reference's parameters; ``None`` leaves the penalty out.
        alpha: weight of the penalty, >= 0.
        condition: ``[B, ...]`` or ``None``.

    Returns:
        The loss, and its two terms: the weighted loss and the penalty before ``alpha``.

    Raises:
        ValueError: for negative ``alpha``, other shapes, or a reference with another tree than
            ``params``.

    References:
        Fan et al., Online reward-weighted fine-tuning of flow matching with Wasserstein
        regularization, 2025.
    """
    checks.real("alpha", alpha, 0.0)
    weights = checks.numbers("weights", weights, (state.x.shape[0],))
    counts = jnp.isfinite(state.x).reshape(state.x.shape[0], -1).all(axis=1)
    number = jnp.maximum(jnp.sum(counts), 1)
    clean = jax.tree.map(lambda leaf: keep(counts, leaf), state)
    losses = flow.losses_at(model, params, clean, condition)
    matching = jnp.sum(jnp.where(counts, weights * losses, 0.0)) / number
    if reference is None:
        return matching, (matching, jnp.zeros(()))
    check_same_tree("reference", reference, params)
    own = model.predict(params, clean.x, clean.t, condition)
    target = jax.lax.stop_gradient(model.predict(reference, clean.x, clean.t, condition))
    distances = jnp.mean(jnp.square(own - target).reshape(own.shape[0], -1), axis=1)
    penalty = jnp.sum(jnp.where(counts, distances, 0.0)) / number
    return matching + jnp.asarray(alpha) * penalty, (matching, penalty)


def critic_error(
    critic: Critic,
    params: Params,
    state: flow.Noised,
    targets: jax.Array,
    condition: jax.Array | None = None,
) -> jax.Array:
    """Mean squared error of a critic on noised states, a scalar.

    On states of the conditional path, with noise that is independent of the sample, the minimizer
    is the conditional expectation of the reward given the state. On states of the model's own ODE
    trajectories the state determines the sample, the minimizer is the reward itself, and every
    advantage is 0: never train on those.

    Args:
        critic: the critic.
        params: its parameters.
        state: of ``flow.noised``; samples that are not finite are left out.
        targets: ``[B]``, shaped rewards.
        condition: ``[B, ...]`` or ``None``.

    Raises:
        ValueError: if targets or values are not ``[B]``.
    """
    size = state.x.shape[0]
    targets = checks.numbers("targets", targets, (size,))
    counts = jnp.isfinite(state.x).reshape(size, -1).all(axis=1)
    clean = jax.tree.map(lambda leaf: keep(counts, leaf), state)
    values = critic.value(params, clean.x, clean.t, condition)
    if jnp.shape(values) != (size,):
        raise ValueError(f"critic: expected values of shape ({size},), got {jnp.shape(values)}")
    errors = jnp.where(counts, jnp.square(values - targets), 0.0)
    return jnp.sum(errors) / jnp.maximum(jnp.sum(counts), 1)


def check_same_tree(name: str, tree: Params, expected: Params) -> None:
    """Check that parameters have the structure, shapes and dtypes of the model's own.

    Raises:
        ValueError: naming the first leaf that differs.
    """
    found = {
        jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    wanted = {
        jax.tree_util.keystr(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(expected)
    }
    for path in [*wanted, *found]:
        if path not in found or path not in wanted:
            verb = "lacks" if path in wanted else "has an additional"
            raise ValueError(
                f"{name}: expected the leaves of params, but it {verb} leaf {path or '<root>'}"
            )
        if jnp.shape(found[path]) != jnp.shape(wanted[path]):
            raise ValueError(
                f"{name}: leaf {path or '<root>'}: expected shape {jnp.shape(wanted[path])} like "
                f"params, got {jnp.shape(found[path])}"
            )
    if jax.tree.structure(tree) != jax.tree.structure(expected):
        raise ValueError(
            f"{name}: expected the structure of params, {jax.tree.structure(expected)}, got "
            f"{jax.tree.structure(tree)}"
        )


def rows(flags: jax.Array, like: jax.Array) -> jax.Array:
    """Flags ``[B]`` with the axes of ``like [B, ...]``."""
    return flags.reshape(flags.shape + (1,) * (like.ndim - 1))


def keep(flags: jax.Array, leaf: jax.Array) -> jax.Array:
    """The rows that count; zeros in place of the others."""
    return jnp.where(rows(flags, leaf), leaf, jnp.zeros((), leaf.dtype))
