"""Numbers of all arms on one update, and their training in two programs.

Shapes: ``P`` arms, ``m`` responses, ``R`` rows of the log.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.tscac.config import DISCOUNTS, METHODS, SEPARATE, Config
from jaxswarm.rl import constrained
from jaxswarm.rl.networks import Network
from jaxswarm.types import Key, PyTree

Numbers = constrained.ConstrainedHyperparameters


def arm_names() -> list[tuple[str, float]]:
    """Method and grid value of every arm; those with one critic come first."""
    names = [(method, value) for method, grid in METHODS.items() for value in grid]
    return sorted(names, key=lambda name: name[0] in SEPARATE)


def arm_numbers(config: Config, network: Network, method: str, value: float, log: Any) -> Numbers:
    """Numbers of one arm.

    Args:
        config: sizes.
        network: of one policy.
        method: key of ``METHODS``.
        value: of the method's grid.
        log: ``[m]``, mean of the scaled responses in the log, for the constraints' levels.
    """
    lr = config.slow_lr if method == "TSCAC, closed form" else config.lr
    common: dict[str, Any] = {"lr": lr, "critic_lr": lr}
    known: dict[str, Any] = {"discounts": DISCOUNTS, **common}
    levels = log[1:] + value * np.abs(log[1:])
    none = constrained.rcpo(network, multipliers=0.0, dual_rate=0.0, **known)
    if method.startswith("TSCAC"):
        stage_two = "closed form" if "closed" in method else "gradient"
        made = constrained.tscac(network, weights=value, stage_two=stage_two, **known)
    elif method == "RCPO":
        made = constrained.rcpo(network, thresholds=levels, dual_rate=config.dual_rate, **known)
    elif method == "weighted sum":
        made = constrained.rcpo(network, multipliers=value, dual_rate=0.0, **known)
    elif method == "ranking":
        made = constrained.ranking(
            network, num_responses=len(DISCOUNTS), temperature=value, **common
        )
    elif method == "Lagrangian":
        made = constrained.lagrangian(
            network, thresholds=levels, dual_rate=config.dual_rate, **known
        )
    elif method == "Pareto":
        made = constrained.pareto(network, preferences=value, **known)
    elif method == "behavior cloning":
        made = constrained.behavior_cloning(network, **known)
    else:
        made = none
    hp = made.hyperparameters
    if method == "interactions only":
        hp = hp._replace(multipliers=np.array([0.0, *(1.0 for _ in DISCOUNTS[1:])], np.float32))
    if method == "joint critic of the log":
        hp = hp._replace(
            rule=constrained.IMITATION, multipliers=np.ones(len(DISCOUNTS), np.float32)
        )
    if method not in SEPARATE and not method.startswith("TSCAC"):
        hp = hp._replace(shares=np.zeros(len(DISCOUNTS) - 1, np.float32))
    return hp._replace(min_norm=method == "Pareto")


def stacked(numbers: list[Numbers]) -> Numbers:
    """Numbers of arms, leaves ``[P, …]``."""
    return jax.tree.map(lambda *x: jnp.stack([jnp.asarray(each) for each in x]), *numbers)


def two_stage(config: Config, network: Network, hp: Numbers | None = None) -> Any:
    """TSCAC's learner, or with other numbers of the main policy."""
    made = constrained.tscac(
        network,
        discounts=DISCOUNTS,
        decay_steps=config.steps,
        lr=config.slow_lr,
        critic_lr=config.slow_lr,
    )
    if hp is None:
        return made
    auxiliary = made.auxiliary_hyperparameters
    return constrained.constrained_learner(
        network, hp, auxiliary=auxiliary, decay_steps=config.steps
    )


def separate(config: Config, network: Network, hp: Numbers) -> Any:
    """A learner with one critic for each response; Pareto arms have ``min_norm`` set."""
    return constrained.constrained_learner(
        network, hp, separate=True, pareto=True, decay_steps=config.steps
    )


def stage_one(key: Key, config: Config, network: Network, rows: constrained.Transitions) -> PyTree:
    """State of the auxiliary policies."""
    learner = two_stage(config, network)
    init_key, key = jax.random.split(key)

    def step(state: Any, key: Key) -> tuple[Any, None]:
        batch_key, key = jax.random.split(key)
        batch = constrained.sample(batch_key, rows, config.batch)
        return learner.stage_one(key, state, batch)[0], None

    keys = jax.random.split(key, config.steps)
    return jax.lax.scan(step, learner.init(init_key), keys)[0].auxiliary


def stage_two(
    key: Key,
    config: Config,
    make: Callable[[Numbers], Any],
    rows: constrained.Transitions,
    hp: Numbers,
    auxiliary: PyTree = (),
) -> PyTree:
    """States of the main policies of arms, leaves ``[P, …]``; all arms see the same batches."""
    init_key, key = jax.random.split(key)
    first = jax.vmap(lambda hp: make(hp).init(init_key).main)(hp)

    def step(main: Any, key: Key) -> tuple[Any, None]:
        batch_key, key = jax.random.split(key)
        batch = constrained.sample(batch_key, rows, config.batch)

        def one(main: Any, hp: Numbers) -> Any:
            state = constrained.ConstrainedState(main, auxiliary)
            return make(hp).stage_two(key, state, batch)[0].main

        return jax.vmap(one)(main, hp), None

    return jax.lax.scan(step, first, jax.random.split(key, config.steps))[0]
