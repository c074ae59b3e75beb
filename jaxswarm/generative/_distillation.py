"""Distillation of an ensemble of experts into one dense flow model.

Shapes: ``B`` samples of a batch, ``...`` the shape of one sample.

References:
    D. McAllister, M. Tancik, J. Song, A. Kanazawa, Decentralized diffusion models, 2025.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks, data
from jaxswarm.generative._ensemble import Ensemble
from jaxswarm.generative._experts import check_optimizer, initial, uniform_batch, updated_by
from jaxswarm.generative._families import check_models
from jaxswarm.generative._flow_matching import FlowState
from jaxswarm.models import flow
from jaxswarm.types import Key, Params


class Distillation(NamedTuple):
    """Distillation of an ensemble into one model; an algorithm whose ``init`` takes a key.

    Attributes:
        teacher: the ensemble.
        student: the model that is trained.
        optimizer: its optimizer.
        batch_size: samples per step.
        ema_decay: of the moving average.
    """

    teacher: Ensemble
    student: flow.Flow
    optimizer: Any
    batch_size: int
    ema_decay: float

    def init(self, key: Key) -> FlowState:
        """Initialize the student."""
        return initial(self.optimizer, self.student.init(checks.key(key)))

    def step(self, key: Key, state: FlowState, inputs: data.Shards) -> tuple[FlowState, jax.Array]:
        """Update the student on a uniform batch of the data of all clusters.

        Args:
            key: random key.
            state: of :meth:`init`.
            inputs: of ``Experts.shards``.

        Returns:
            The student and its loss, the squared error of what it predicts averaged over features.
        """
        batch_key, noise_key = jax.random.split(checks.key(key))
        batch, expert = uniform_batch(batch_key, inputs, self.batch_size)
        condition = None if self.student.num_classes is None else batch.y
        noised = flow.noised(noise_key, batch.x, self.student.path)
        velocity = self.teacher.field(condition, mode="oracle", expert=expert)(noised.x, noised.t)
        target = flow.convert(
            velocity, noised.x, noised.t, source="velocity", target=self.student.prediction,
            path=self.student.path,
        )  # fmt: skip

        def loss(params: Params) -> jax.Array:
            predicted = self.student.predict(params, noised.x, noised.t, condition)
            return jnp.mean(jnp.square(predicted - target))

        value, grads = jax.value_and_grad(loss)(state.params)
        return updated_by(self.optimizer, self.ema_decay, state, grads), value


def distillation(
    teacher: Ensemble,
    student: flow.Flow,
    *,
    optimizer: Any = None,
    batch_size: int = 64,
    ema_decay: float = 0.99,
) -> Distillation:
    """Distill an ensemble into one dense flow model.

    What the student predicts (velocity, noise, data or ``v``) is regressed on that of the expert of
    each sample's own cluster, at random times of the path; one expert is evaluated per sample.

    Args:
        teacher: the trained ensemble.
        student: a flow model for the same samples and classes.
        optimizer: optax optimizer; Adam with step size 0.001 by default.
        batch_size: samples per step.
        ema_decay: decay of the moving average of parameters, see :func:`flow_matching`.

    Raises:
        ValueError: for a student with another shape, classes or path, or numbers out of range.
    """
    checks.instance("teacher", teacher, Ensemble, "experts.ensemble(state)")
    flow.check_model(student)
    check_models([*teacher.models, student], teacher.router)
    return Distillation(
        teacher,
        student,
        optax.adam(1e-3) if optimizer is None else check_optimizer("optimizer", optimizer),
        checks.whole("batch_size", batch_size, 1),
        float(checks.real("ema_decay", ema_decay, 0.0, below=1.0)),
    )
