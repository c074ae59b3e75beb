"""Direct preference optimization (DPO) of flow models from pairs of a better and a worse sample.

The log-likelihood ratio of a sample under model and frozen reference is replaced by a difference of
flow-matching errors at the same time and noise: ``-(‖v_θ - u‖² - ‖v_ref - u‖²)`` up to a factor.

Shapes: ``B`` pairs, ``K`` candidates of a pair, ``...`` the shape of one sample.

References:
    Rafailov et al., Direct preference optimization, 2023.
    Wallace et al., Diffusion model alignment using direct preference optimization, 2024.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.generative._losses import check_same_tree, rows
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class Preferences(NamedTuple):
    """Pairs of samples of the same condition.

    Attributes:
        winner: ``[B, ...]``, the better sample.
        loser: ``[B, ...]``, the worse one.
        condition: ``[B, ...]`` or ``None``.
        weight: ``float32[B]``, non-negative; pairs of weight 0 have no influence, even if they are
            NaN. ``None`` for equal weights.
    """

    winner: jax.Array
    loser: jax.Array
    condition: jax.Array | None = None
    weight: jax.Array | None = None


class PreferenceState(NamedTuple):
    """State of :func:`dpo`.

    Attributes:
        params: the model's parameters.
        reference: the frozen parameters that they started from.
        opt_state: the optimizer's state.
        step: ``int32[]``, number of steps done.
    """

    params: Params
    reference: Params
    opt_state: PyTree
    step: jax.Array


class PreferenceInfo(NamedTuple):
    """Measurements of one step of :func:`dpo`, ``float32[]`` each, weighted means over pairs.

    Attributes:
        loss: negative log-likelihood of the preferences.
        accuracy: share of pairs whose winner gained on the reference more than the loser.
        winner_gain: reference's minus model's error on winners; negative where they became less
            likely.
        loser_gain: the same on losers.
        grad_norm: Euclidean norm of the gradient.
    """

    loss: jax.Array
    accuracy: jax.Array
    winner_gain: jax.Array
    loser_gain: jax.Array
    grad_norm: jax.Array


def preference_pairs(
    samples: ArrayLike, scores: ArrayLike, condition: ArrayLike | None = None
) -> Preferences:
    """Pair the best with the worst of ``K`` candidates of each condition.

    Args:
        samples: ``[B, K, ...]``.
        scores: ``float[B, K]``, larger is better; ``K >= 2``. Candidates whose score is not finite
            are left out.
        condition: ``[B, ...]`` or ``None``.

    Returns:
        ``B`` pairs, of weight 0 where no two candidates have finite and different scores (for
        traced scores; concrete ones are refused).

    Raises:
        ValueError: for shapes that do not fit, or concrete scores without a best and a worst.

    Example:
        >>> import jax.numpy as jnp
        >>> scores = jnp.array([[0.5, 0.1, 0.9]])
        >>> pairs = preference_pairs(jnp.array([[[1.0], [2.0], [3.0]]]), scores)
        >>> pairs.winner.tolist(), pairs.loser.tolist()
        ([[3.0]], [[2.0]])
    """
    samples = checks.numbers("samples", samples)
    if samples.ndim < 2 or samples.shape[1] < 2:
        raise ValueError(f"samples: expected shape [B, K, ...], K >= 2, got {samples.shape}")
    scores = checks.numbers("scores", scores, samples.shape[:2])
    finite = jnp.isfinite(scores)
    high = jnp.max(jnp.where(finite, scores, -jnp.inf), axis=1)
    low = jnp.min(jnp.where(finite, scores, jnp.inf), axis=1)
    differs = high > low
    if not checks.is_traced(scores) and not bool(differs.all()):
        raise ValueError(
            "scores: expected a best and a worst candidate of each pair, got equal scores in "
            f"{int((~differs).sum())} of {len(scores)}"
        )
    row = jnp.arange(len(samples))
    winner = samples[row, jnp.argmax(jnp.where(finite, scores, -jnp.inf), axis=1)]
    loser = samples[row, jnp.argmin(jnp.where(finite, scores, jnp.inf), axis=1)]
    given = None if condition is None else checks.numbers("condition", condition)
    return Preferences(winner, loser, given, differs.astype(jnp.float32))


def preference_loss(
    model: flow.Flow,
    params: Params,
    reference: Params,
    key: Key,
    pairs: Preferences,
    *,
    beta: ArrayLike,
) -> tuple[jax.Array, PreferenceInfo]:
    """DPO loss of a flow model, ``-log σ(β (gain of the winner - gain of the loser))``.

    A gain is the reference's flow-matching error minus the model's, at the same time and noise for
    model and reference, winner and loser. Errors are means over features of what the network
    predicts, so that ``β`` stands for the number of features times the published ``β T``.

    Args:
        model: the flow model.
        params: its parameters.
        reference: the frozen parameters, with the same tree.
        key: random key of times and noise.
        pairs: winners, losers, conditions.
        beta: > 0; larger keeps the model nearer to the reference.

    Returns:
        The loss, and measurements without the norm of the gradient, which is 0.

    Raises:
        ValueError: for shapes that do not fit, another tree, or a ``beta`` that is not positive.
    """
    flow.check_model(model)
    checks.instance("pairs", pairs, Preferences, "generative.preference_pairs(samples, scores)")
    checks.real("beta", beta, above=0.0)
    check_same_tree("reference", reference, params)
    size = pairs.winner.shape[0]
    weight = jnp.ones(size) if pairs.weight is None else pairs.weight
    weight = jnp.asarray(checks.real("weight", weight, 0.0, shape=(size,)))

    def gain(samples: jax.Array) -> jax.Array:
        samples = jnp.where(rows(weight > 0, samples), samples, jnp.zeros((), samples.dtype))
        state = flow.noised(key, flow.check_samples("pairs", samples, model.shape), model.path)
        own = flow.losses_at(model, params, state, pairs.condition)
        frozen = flow.losses_at(model, jax.lax.stop_gradient(reference), state, pairs.condition)
        return frozen - own

    first, second = gain(pairs.winner), gain(pairs.loser)
    share = weight / jnp.where(jnp.sum(weight) > 0, jnp.sum(weight), 1.0)
    loss = jnp.sum(share * jax.nn.softplus(-jnp.asarray(beta) * (first - second)))
    info = PreferenceInfo(
        loss, jnp.sum(share * (first > second)), jnp.sum(share * first), jnp.sum(share * second),
        jnp.zeros(()),
    )  # fmt: skip
    return loss, info


def dpo(model: flow.Flow, optimizer: optax.GradientTransformation, *, beta: ArrayLike) -> Algorithm:
    """Direct preference optimization of a flow model (Diffusion-DPO on a flow's path).

    ``init(params, reference=None) -> PreferenceState`` and ``step(key, state, preferences) ->
    (PreferenceState, PreferenceInfo)``, both of one model; ``vmap`` them over stacked parameters.

    Args:
        model: the flow model.
        optimizer: an optax optimizer.
        beta: as in :func:`preference_loss`; may be traced.

    Raises:
        ValueError: for arguments of another kind or out of range.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import generative
        >>> from jaxswarm.models import flow
        >>> model = flow.from_network(flow.MLP(width=8, depth=1), (2,))
        >>> learner = generative.dpo(model, optax.sgd(0.1), beta=10.0)
        >>> state = learner.init(model.init(jax.random.key(0)))
        >>> pairs = generative.Preferences(jnp.ones((4, 2)), -jnp.ones((4, 2)))
        >>> state, info = learner.step(jax.random.key(1), state, pairs)
        >>> round(float(info.loss), 3)  # log 2: model and reference are the same
        0.693
    """
    flow.check_model(model)
    checks.function("optimizer.update", getattr(optimizer, "update", None))
    checks.real("beta", beta, above=0.0)

    def init(params: Params, reference: Params = None) -> PreferenceState:
        reference = params if reference is None else reference
        check_same_tree("reference", reference, params)
        copy = jax.tree.map(jnp.array, reference)  # callers may donate the state
        return PreferenceState(params, copy, optimizer.init(params), jnp.zeros((), jnp.int32))

    def step(
        key: Key, state: PreferenceState, inputs: Preferences
    ) -> tuple[PreferenceState, PreferenceInfo]:
        def objective(params: Params) -> tuple[jax.Array, PreferenceInfo]:
            return preference_loss(model, params, state.reference, key, inputs, beta=beta)

        (_, info), grads = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params: Any = optax.apply_updates(state.params, updates)
        info = info._replace(grad_norm=optax.tree.norm(grads))
        return PreferenceState(params, state.reference, opt_state, state.step + 1), info

    return Algorithm(init, step)
