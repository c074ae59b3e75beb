"""Training and sampling of one arm, all seeds as one program, and the data of all seeds.

Shapes: ``S`` seeds, ``K`` experts.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.compile import jit_fast_compile
from jaxswarm import data, generative
from jaxswarm.models import flow


class Arm(NamedTuple):
    """A trained arm.

    Attributes:
        ensemble: of all seeds, leaves ``[S, ...]``; a monolith is an ensemble of one expert.
        loss: ``[S]``, mean training loss of the last tenth of the steps.
    """

    ensemble: generative.Ensemble
    loss: np.ndarray


def train(
    keys: jax.Array,
    network: nn.Module,
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
) -> Arm:
    """Train experts on clusters, with their router unless there is only one.

    Args:
        keys: ``[S]``.
        network: of every expert.
        backbone: network of the router.
        features: ``[S, n, ...]``.
        conditions: ``int32[S, n]``, their classes.
        clusters: ``int32[S, n]`` in ``[0, K)``.
        num_classes: number of classes of the condition.
        batch: samples of a step, of all experts together; the router's batch is as large.
        steps: training steps.
        lr: initial step size of Adam, cosine decay to 0.
        slots: sample slots of an expert, at least the largest cluster; arms with equal ones share
            their compiled program.
    """
    count = int(clusters.max()) + 1
    run, options = _program(
        network, backbone, features.shape[2:], num_classes, count, batch, steps, lr
    )
    per_seed = []
    for index, own in enumerate(clusters):
        learner = generative.experts(options["model"], own, router=options["router"])
        per_seed.append(padded(learner.shards(features[index], conditions[index]), slots))
    shards = jax.tree.map(lambda *leaves: jnp.stack(leaves), *per_seed)
    ensemble, loss = run(keys, shards)
    return Arm(ensemble, np.asarray(loss))


@functools.cache
def _program(
    network: nn.Module,
    backbone: nn.Module,
    shape: tuple[int, ...],
    num_classes: int,
    count: int,
    batch: int,
    steps: int,
    lr: float,
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The training of all seeds as one program, with its model and router."""
    model = flow.from_network(network, shape, num_classes=num_classes)
    router = generative.router(backbone, shape, count, num_classes=num_classes)
    ddm = generative.experts(
        model,
        np.arange(count),  # the data come with the shards
        router=router,
        optimizer=optax.adam(optax.cosine_decay_schedule(lr, steps)),
        batch_size=batch // count,
        router_batch_size=batch,
    )

    def run(key: jax.Array, own: data.Shards) -> tuple[Any, jax.Array]:
        init_key, run_key = jax.random.split(key)

        def step(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            if count == 1:  # no router to train
                experts, loss = ddm.step_experts(key, state.experts, own)
                return state._replace(experts=experts), loss[0]
            state, info = ddm.step(key, state, own)
            return state, jnp.mean(info.expert_loss)

        keys = jax.random.split(run_key, steps)
        state, losses = jax.lax.scan(step, ddm.init(init_key), keys)
        return ddm.ensemble(state), jnp.mean(losses[-max(steps // 10, 1) :])

    return jit_fast_compile(jax.vmap(run)), {"model": model, "router": router}


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
    program = _sampler(num_samples, num_steps, tuple(sorted(options.items())))
    return np.asarray(program(keys, arm.ensemble, conditions, per_seed or {}))


@functools.cache
def _sampler(
    num_samples: int, num_steps: int, options: tuple[tuple[str, Any], ...]
) -> Callable[..., jax.Array]:
    def draw(
        key: jax.Array, ensemble: generative.Ensemble, condition: Any, own: dict[str, Any]
    ) -> jax.Array:
        if ensemble.num_experts == 1:  # a monolith has no router to evaluate
            own = own | {"expert": jnp.zeros(num_samples, jnp.int32)}
            return ensemble.sample(
                key, num_samples, condition, num_steps=num_steps, mode="oracle", **own
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

    compiled = jax.jit(velocity).lower(one, x, t, condition).compile()
    costs: Any = compiled.cost_analysis()
    return float(costs["flops"]) / num_samples
