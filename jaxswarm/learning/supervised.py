"""Cross-entropy losses, test metrics and merging of supervised models.

Shapes: ``N`` agents on axis 0 of every leaf, ``S`` test samples, ``B`` samples of a batch, ``C``
    classes.

References:
    T. Zhu et al., A single merging suffices: recovering server-based learning performance in
    decentralized learning, 2025 (counterfactual merged model, mergeability).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.data import Dataset
from jaxswarm.learning.state import LearnerState
from jaxswarm.models import Model, losses
from jaxswarm.types import Params, PyTree


def classification_loss(
    model: Model, *, weight_decay: float | jax.Array = 0.0
) -> Callable[..., Any]:
    """Cross-entropy loss of one agent's weighted batch, in nats, plus ``½ λ ‖params‖²``.

    Samples of weight 0 are padding: neither they nor their labels have any influence, batch
    statistics included, even if they are NaN. An agent whose batch is all padding keeps its
    statistics, and its loss and gradient are those of the penalty.

    Args:
        model: of ``models.functional``.
        weight_decay: ``λ``, at least 0 and finite; may be traced.

    Returns:
        ``loss(params, batch)``; for a model with normalisation statistics
        ``loss(params, stats, batch) -> (scalar, stats)``, to be used with ``stateful=True``.

    Raises:
        ValueError: if ``model`` is no :class:`~jaxswarm.models.Model` or ``weight_decay`` is
            negative or not finite.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import data, learning, models
        >>> model = models.functional(models.mlp(3), jnp.zeros((1, 2)))
        >>> batch = data.Batch(jnp.zeros((4, 2)), jnp.zeros(4, jnp.int32), jnp.ones(4))
        >>> params = model.init(jax.random.key(0))
        >>> round(float(learning.classification_loss(model)(params, batch)), 3)  # log 3
        1.099
    """
    _expect_model(model)
    checks.real("weight_decay", weight_decay, 0.0)
    decays = isinstance(weight_decay, jax.Array) or weight_decay != 0.0

    def penalty(params: Params) -> jax.Array | float:
        if not decays:
            return 0.0
        return 0.5 * weight_decay * sum(jnp.sum(jnp.square(p)) for p in jax.tree.leaves(params))

    def stateless(params: Params, batch: Any) -> jax.Array:
        logits = model.apply(params, losses.zero_padding(batch.x, batch.weight))
        return losses.cross_entropy(logits, batch.y, batch.weight) + penalty(params)

    def with_stats(params: Params, stats: PyTree, batch: Any) -> tuple[jax.Array, PyTree]:
        x = losses.zero_padding(batch.x, batch.weight)
        logits, stats = model.apply_train(params, stats, x, batch.weight)
        return losses.cross_entropy(logits, batch.y, batch.weight) + penalty(params), stats

    return with_stats if model.has_stats else stateless


class Metrics(NamedTuple):
    """Metrics of all agents' models on one common test set.

    Attributes:
        accuracy: ``float[N]``, every agent's own model on the global test set, in ``[0, 1]``.
        merged_accuracy: ``[]``, the average model's accuracy (evaluated, never written back).
        disagreement: ``[]``, mean squared distance of the agents' parameters from their average.
        megabytes: ``[]``, sent by all agents since the start (10⁶ bytes).
        messages: ``[]``, sent by all agents since the start.
    """

    accuracy: jax.Array
    merged_accuracy: jax.Array
    disagreement: jax.Array
    megabytes: jax.Array
    messages: jax.Array


def evaluation(
    model: Model, test: Dataset, *, calibration: jax.Array | None = None, chunk: int | None = None
) -> Callable[[LearnerState], Metrics]:
    """Make ``evaluate(state) -> Metrics`` for :func:`jaxswarm.simulate`.

    Args:
        model: as trained, of ``models.functional``.
        test: the global test set, the same for all agents.
        calibration: ``[num_batches, B, ...]`` inputs with which the merged model's normalisation
            statistics are recomputed; needed if the model has any.
        chunk: agents evaluated at a time, to bound memory, at least 1; all at once by default.

    Raises:
        ValueError: if the model has normalisation statistics and ``calibration`` is missing, has
            fewer outputs than the test set has classes, or an argument is of another kind.

    Example:
        >>> import jax, optax
        >>> from jaxswarm import agents, data, learning, models
        >>> test = data.from_arrays([[0.0, 1.0], [1.0, 0.0]], [0, 1])
        >>> model = models.functional(models.mlp(2), test.features[:1])
        >>> learner = learning.isolated(learning.classification_loss(model), local=optax.sgd(0.1))
        >>> state = learner.init(agents.initialize(jax.random.key(0), model.init, 3))
        >>> metrics = learning.evaluation(model, test)(state)
        >>> metrics.accuracy.shape, float(metrics.megabytes)
        ((3,), 0.0)
    """
    _expect_calibration(model, calibration)
    checks.instance("test", test, Dataset, 'data.load("digits").test')
    chunk = None if chunk is None else checks.whole("chunk", chunk, 1)
    _expect_outputs(model, test)

    def score(params: Params, stats: PyTree) -> jax.Array:
        logits = model.apply(params, test.features, stats if model.has_stats else None)
        return losses.accuracy(logits, jnp.asarray(test.labels))

    def evaluate(state: LearnerState) -> Metrics:
        stats = state.model_state
        if chunk is None:
            accuracy = jax.vmap(score)(state.params, stats)
        else:
            accuracy = jax.lax.map(
                lambda pair: score(*pair), (state.params, stats), batch_size=chunk
            )
        merged, merged_stats = merge(state.params, model, calibration)
        return Metrics(
            accuracy=accuracy,
            merged_accuracy=score(merged, merged_stats),
            disagreement=agents.disagreement(state.params),
            megabytes=state.traffic.total.bytes / 1e6,
            messages=state.traffic.total.messages,
        )

    return evaluate


def merge(
    params: Params, model: Model, calibration: jax.Array | None = None
) -> tuple[PyTree, PyTree]:
    """Merge all agents' models into one: average the parameters, recompute the statistics.

    Args:
        params: leaves ``[N, ...]``.
        model: as trained.
        calibration: ``[num_batches, B, ...]`` inputs; needed if the model has normalisation
            statistics.

    Returns:
        ``(params, stats)`` of a single model; ``stats`` is ``{}`` without normalisation statistics.

    Raises:
        ValueError: if the model has normalisation statistics and ``calibration`` is missing.
    """
    _expect_calibration(model, calibration)
    agents.num_agents(params)
    average = agents.mean(params)
    if calibration is None:
        return average, {}
    return average, model.recalibrate(average, calibration)


def _expect_model(model: Model) -> None:
    checks.instance("model", model, Model, "models.functional(module, example_x)")


def _expect_outputs(model: Model, test: Dataset) -> None:
    """Refuse a test set without classes, or with more than the model has outputs."""
    if not test.num_classes:
        raise ValueError(
            "test: expected a Dataset with classes, got targets; for these write evaluate(state) "
            "on state.params yourself"
        )
    params = jax.eval_shape(model.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((1, *test.features.shape[1:]), jnp.result_type(test.features.dtype))
    try:
        logits = jax.eval_shape(model.apply, params, x)
    except Exception as error:  # flax and jax raise many types for inputs that do not fit
        raise ValueError(
            f"test: expected samples that the model takes, got some of shape {x.shape[1:]}: {error}"
        ) from error
    if logits.shape[-1] < test.num_classes:
        raise ValueError(
            f"test: expected at most {logits.shape[-1]} classes, the outputs of the model, got "
            f"{test.num_classes}"
        )


def _expect_calibration(model: Model, calibration: jax.Array | None) -> None:
    _expect_model(model)
    if calibration is not None and (jnp.ndim(calibration) < 2 or 0 in jnp.shape(calibration)[:2]):
        raise ValueError(
            "calibration: expected inputs [num_batches, B, ...], got shape "
            f"{jnp.shape(calibration)}"
        )
    if model.has_stats and calibration is None:
        raise ValueError(
            "calibration: this model has normalisation statistics, which have to be recomputed "
            "after a merge; expected inputs [num_batches, B, ...], got None"
        )
