"""Training and sampling of one arm, all seeds as one program, and the data of all seeds.

Shapes: ``S`` seeds, ``K`` experts.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.compile import jit_fast_compile
from jaxswarm import data, generative
from jaxswarm.models import flow

Networks = nn.Module | tuple[nn.Module, ...]
"""The network of all experts, or that of each."""


class Arm(NamedTuple):
    """A trained arm.

    Attributes:
        ensemble: of all seeds, leaves ``[S, ...]``; a monolith is an ensemble of one expert.
        loss: ``[S]``, mean training loss of the last tenth of the steps.
        shards: the data of its experts, leaves ``[S, ...]``.
        program: model and router.
    """

    ensemble: generative.Ensemble
    loss: np.ndarray
    shards: data.Shards
    program: "_Program"

    @property
    def num_experts(self) -> int:
        """Number of experts; 1 for a dense model."""
        return self.ensemble.num_experts


def train(
    keys: jax.Array,
    network: Networks,
    backbone: nn.Module,
    features: np.ndarray,
    conditions: np.ndarray,
    clusters: np.ndarray,
    *,
    num_classes: int,
    batch: int,
    steps: int,
    lr: float,
    slots: int,
    prediction: str = "velocity",
    data_range: tuple[float, float] | None = None,
) -> Arm:
    """Train experts on clusters, with their router unless there is only one.

    Args:
        keys: ``[S]``.
        network: of every expert, or one for each expert.
        backbone: network of the router.
        features: ``[S, n, ...]``.
        conditions: ``int32[S, n]``, their classes.
        clusters: ``int32[S, n]`` in ``[0, K)``.
        num_classes: number of classes of the condition.
        batch: samples of a step, of all experts together; the router's batch is as large.
        steps: training steps.
        lr: initial step size of Adam, cosine decay to 0; arms that differ in it share their
            compiled program.
        slots: sample slots of an expert, at least the largest cluster; arms with equal ones share
            their compiled program.
        prediction: what the networks predict, see ``flow.from_network``.
        data_range: to which samplers clip predicted data, see ``flow.from_network``.
    """
    count = int(clusters.max()) + 1
    program = _program(
        network,
        backbone,
        features.shape[2:],
        num_classes,
        count,
        batch,
        steps,
        prediction,
        data_range,
    )
    per_seed = []
    for index, own in enumerate(clusters):
        learner = generative.experts(program.model, own, router=program.router)
        per_seed.append(padded(learner.shards(features[index], conditions[index]), slots))
    shards = jax.tree.map(lambda *leaves: jnp.stack(leaves), *per_seed)
    ensemble, loss = program.run(keys, shards, lr)
    return Arm(ensemble, np.asarray(loss), shards, program)


class _Run(Protocol):
    """Training of all seeds as one compiled program."""

    def __call__(
        self, keys: jax.Array, shards: data.Shards, lr: float
    ) -> tuple[generative.Ensemble, jax.Array]:
        """Train from ``keys [S]`` on shards of leaves ``[S, ...]``.

        Returns:
            The ensembles of all seeds, leaves ``[S, ...]``, and the mean loss ``[S]`` of the last
            tenth of the steps.
        """
        ...


class _Program(NamedTuple):
    """The training of all seeds as one program; hashable.

    Attributes:
        run: the training.
        model: of all experts, or one for each.
        router: of the experts.
    """

    run: _Run
    model: flow.Flow | tuple[flow.Flow, ...]
    router: generative.Router


@functools.cache
def _program(
    network: Networks,
    backbone: nn.Module,
    shape: tuple[int, ...],
    num_classes: int,
    count: int,
    batch: int,
    steps: int,
    prediction: str,
    data_range: tuple[float, float] | None,
) -> _Program:
    @functools.cache  # equal models are evaluated together
    def build(module: nn.Module) -> flow.Flow:
        return flow.from_network(
            module, shape, num_classes=num_classes, prediction=prediction, data_range=data_range
        )

    model: flow.Flow | tuple[flow.Flow, ...] = (
        tuple(map(build, network)) if isinstance(network, tuple) else build(network)
    )
    router = generative.router(backbone, shape, count, num_classes=num_classes)

    def learner(lr: jax.Array | float) -> generative.Experts:
        return generative.experts(
            model,
            np.arange(count),  # the data come with the shards
            router=router,
            optimizer=adam(lr, steps),
            batch_size=batch // count,
            router_batch_size=batch,
        )

    # Random initial values are most of what there is to compile: a program of their own, which is
    # compiled as soon as possible since it runs once.
    init = jit_fast_compile(jax.vmap(lambda key: learner(0.0).init(key)), level=0)

    def learn(
        key: jax.Array, state: generative.ExpertsState, own: data.Shards, lr: jax.Array
    ) -> tuple[generative.Ensemble, jax.Array]:
        ddm = learner(lr)

        def step(
            state: generative.ExpertsState, key: jax.Array
        ) -> tuple[generative.ExpertsState, jax.Array]:
            if count == 1:  # no router to train
                experts, loss = ddm.step_experts(key, state.experts, own)
                return state._replace(experts=experts), loss[0]
            state, info = ddm.step(key, state, own)
            return state, jnp.mean(info.expert_loss)

        state, losses = jax.lax.scan(step, state, jax.random.split(key, steps))
        return ddm.ensemble(state), jnp.mean(losses[-max(steps // 10, 1) :])

    trained = jit_fast_compile(jax.vmap(learn, (0, 0, 0, None)))

    def run(
        keys: jax.Array, shards: data.Shards, lr: float
    ) -> tuple[generative.Ensemble, jax.Array]:
        init_keys, run_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        return trained(run_keys, init(init_keys), shards, lr)

    return _Program(run, model, router)


def adam(lr: jax.Array | float, steps: int) -> optax.GradientTransformation:
    """Adam whose step size, which may be traced, decays from ``lr`` to 0 as a cosine."""
    decay = optax.cosine_decay_schedule(1.0, steps)
    return optax.adam(lambda count: lr * decay(count))


def distill(keys: jax.Array, teacher: Arm, like: Arm, *, batch: int, steps: int, lr: float) -> Arm:
    """Distill the experts into one dense student with the network of another arm.

    Args:
        keys: ``[S]``.
        teacher: the experts; the student is trained on their data, each sample with the expert of
            its own cluster.
        like: an arm of one network, for the student's architecture; both are sampled by one
            program.
        batch: samples of a step.
        steps: training steps.
        lr: initial step size of Adam, cosine decay to 0.

    Raises:
        ValueError: if the experts of ``like`` have networks of their own.
    """
    student, router = like.program.model, like.program.router
    if not isinstance(student, flow.Flow):
        raise ValueError(f"like: expected an arm of one network, got {len(student)} networks")
    blank = jax.tree.map(
        lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
        jax.eval_shape(router.init, jax.random.key(0)),
    )

    def learner(ensemble: generative.Ensemble) -> generative.Distillation:
        return generative.distillation(
            ensemble, student, optimizer=adam(lr, steps), batch_size=batch
        )

    def learn(
        key: jax.Array, ensemble: generative.Ensemble, state: generative.FlowState, own: data.Shards
    ) -> tuple[generative.Ensemble, jax.Array]:
        step = learner(ensemble).step
        state, losses = jax.lax.scan(
            lambda state, key: step(key, state, own), state, jax.random.split(key, steps)
        )
        params = jax.tree.map(lambda leaf: leaf[None], state.ema_params)
        made = generative.Ensemble((params,), blank, (student,), router)
        return made, jnp.mean(losses[-max(steps // 10, 1) :])

    init_keys, run_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
    init = jit_fast_compile(jax.vmap(lambda key, ensemble: learner(ensemble).init(key)), level=0)
    state = init(init_keys, teacher.ensemble)
    made, loss = jit_fast_compile(jax.vmap(learn))(
        run_keys, teacher.ensemble, state, teacher.shards
    )
    return Arm(made, np.asarray(loss), teacher.shards, like.program)


def padded(shards: data.Shards, slots: int) -> data.Shards:
    """Shards with a given number of sample slots."""
    width = ((0, 0), (0, slots - shards.indices.shape[1]))
    return data.Shards(
        shards.features,
        shards.labels,
        jnp.pad(shards.indices, width),
        jnp.pad(shards.mask, width),
        shards.counts,
    )


def sample(
    keys: jax.Array,
    arm: Arm,
    num_samples: int,
    conditions: np.ndarray,
    *,
    num_steps: int,
    per_seed: dict[str, np.ndarray] | None = None,
    **options: Any,
) -> np.ndarray:
    """Draw samples of every seed, ``[S, num_samples, ...]``.

    Args:
        keys: ``[S]``.
        arm: of :func:`train`.
        num_samples: samples of each seed.
        conditions: ``int32[S, num_samples]``.
        num_steps: Euler steps.
        per_seed: arguments of ``Ensemble.sample`` that differ by seed, leading axis ``S``.
        **options: those that do not.
    """
    own = dict(per_seed or {})
    if "threshold" in options:  # traced, so that all thresholds share a program
        own["threshold"] = np.full(len(keys), options.pop("threshold"), np.float32)
    program = _sampler(num_samples, num_steps, tuple(sorted(options.items())))
    return np.asarray(program(keys, arm.ensemble, conditions, own))


@functools.cache
def _sampler(
    num_samples: int, num_steps: int, options: tuple[tuple[str, Any], ...]
) -> Callable[..., jax.Array]:
    def draw(
        key: jax.Array, ensemble: generative.Ensemble, condition: Any, own: dict[str, Any]
    ) -> jax.Array:
        if ensemble.num_experts == 1:  # a monolith has no router to evaluate
            expert = jnp.zeros(num_samples, jnp.int32)
            return ensemble.sample(
                key, num_samples, condition, num_steps=num_steps, mode="oracle", expert=expert
            )
        return ensemble.sample(
            key, num_samples, condition, num_steps=num_steps, **own, **dict(options)
        )

    return jit_fast_compile(jax.vmap(draw))


def velocity_flops(arm: Arm, num_samples: int, **options: Any) -> float:
    """Floating-point operations of one velocity of a batch, per sample, by XLA's cost analysis."""
    one: generative.Ensemble = jax.tree.map(lambda leaf: leaf[0], arm.ensemble)
    x = jnp.zeros((num_samples, *one.router.shape))
    t = jnp.full(num_samples, 0.5)
    condition = jnp.zeros(num_samples, jnp.int32)

    def velocity(ensemble: generative.Ensemble, x: Any, t: Any, condition: Any) -> jax.Array:
        if ensemble.num_experts == 1:  # a monolith has no router to evaluate
            return ensemble.velocities(x, t, condition)[0]
        return ensemble.field(condition, **options)(x, t)

    program = jit_fast_compile(velocity, level=0)  # it is never run
    compiled = program.lower(one, x, t, condition).compile()
    costs: Any = compiled.cost_analysis()
    return float(costs["flops"]) / num_samples
