"""Published curricula of levels by name: choices of replay and of the generator of new levels.

References:
    M. Jiang, E. Grefenstette, T. Rocktäschel, Prioritized level replay, 2021 (PLR).
    M. Jiang et al., Replay-guided adversarial environment design, 2021 (robust PLR).
    J. Parker-Holder et al., Evolving curricula with regret-based environment design, 2022 (ACCEL).
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024 (DRED, and ACCEL-D, its ACCEL with a starting set).
"""

import math
from collections.abc import Callable
from typing import Any

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl.curriculum._buffer import ReplayHyperparameters
from jaxswarm.rl.curriculum._generators import (
    LevelGenerator,
    edited_levels,
    mixed_levels,
    random_levels,
)
from jaxswarm.rl.curriculum._loop import level_curriculum
from jaxswarm.rl.curriculum._scores import SCORES
from jaxswarm.rl.networks import Network
from jaxswarm.types import ArrayLike, Key, PyTree

_L1, _POSITIVE = SCORES.index("value_l1"), SCORES.index("positive_value_loss")

METHODS: dict[str, ReplayHyperparameters] = {
    "uniform": ReplayHyperparameters(temperature=math.inf, starting_set=True, staleness=0.0),
    "domain_randomization": ReplayHyperparameters(temperature=math.inf, staleness=0.0, replay=0.0),
    "plr": ReplayHyperparameters(score=_L1, temperature=0.1, staleness=0.3),
    "robust_plr": ReplayHyperparameters(score=_POSITIVE, temperature=0.3, staleness=0.5),
    "accel": ReplayHyperparameters(score=_POSITIVE, temperature=0.3, staleness=0.5),
    "accel_starting_set": ReplayHyperparameters(
        score=_L1, grounded=True, temperature=0.1, staleness=0.3, retain_grounded=True
    ),
    "dred": ReplayHyperparameters(
        score=_L1,
        temperature=0.1,
        starting_set=True,
        second_share=1.0,
        second_temperature=1.0,
        staleness=0.3,
        retain_grounded=True,
    ),
}
"""How each method replays levels, by its name."""


def uniform_replay(env: SwarmEnvironment, network: Network, **options: Any) -> Algorithm:
    """Train on levels of the starting set, drawn uniformly.

    Args:
        env: environment with levels.
        network: of the agents.
        options: of :func:`level_curriculum`, such as ``num_envs``.

    Returns:
        ``(init, step)`` as of :func:`level_curriculum`.

    Raises:
        ValueError: as :func:`level_curriculum`.
    """
    return level_curriculum(env, network, **_with("uniform", options))


def domain_randomization(
    env: SwarmEnvironment, network: Network, sample: Callable[[Key], PyTree], **options: Any
) -> Algorithm:
    """Train on independent random levels (domain randomization, DR).

    Args:
        env: environment with levels.
        network: of the agents.
        sample: ``sample(key) -> level``.
        options: of :func:`level_curriculum`.

    Returns:
        ``(init, step)`` as of :func:`level_curriculum`; the starting set is not trained on.

    Raises:
        ValueError: as :func:`level_curriculum`.
    """
    options = _with("domain_randomization", {"protected": False, **options})
    return level_curriculum(env, network, random_levels(sample), **options)


def plr(
    env: SwarmEnvironment,
    network: Network,
    sample: Callable[[Key], PyTree] | None = None,
    **options: Any,
) -> Algorithm:
    """Prioritized level replay (PLR): replay by rank of the critic's error.

    Args:
        env: environment with levels.
        network: of the agents.
        sample: ``sample(key) -> level``, random levels that are trained on when they are new, with
            the probability of not replaying; without it, levels are those of the starting set.
        options: of :func:`level_curriculum`.

    Returns:
        ``(init, step)`` as of :func:`level_curriculum`.

    Raises:
        ValueError: as :func:`level_curriculum`.
    """
    if sample is None:
        return level_curriculum(env, network, **_with("plr", options))
    replay = METHODS["plr"]._replace(replay=0.5)
    options = {"protected": False, "replay": replay, **options}
    return level_curriculum(env, network, random_levels(sample), **options)


def robust_plr(
    env: SwarmEnvironment, network: Network, sample: Callable[[Key], PyTree], **options: Any
) -> Algorithm:
    """Robust PLR: random levels are evaluated without gradients, replayed ones trained on.

    Args:
        env: environment with levels.
        network: of the agents.
        sample: ``sample(key) -> level``.
        options: of :func:`level_curriculum`; ``num_new`` is a quarter of ``num_envs`` if omitted.

    Returns:
        ``(init, step)`` as of :func:`level_curriculum`.

    Raises:
        ValueError: as :func:`level_curriculum`.
    """
    options = _with("robust_plr", {"protected": False, **_with_new(options)})
    return level_curriculum(env, network, random_levels(sample), **options)


def accel(
    env: SwarmEnvironment,
    network: Network,
    mutate: Callable[[Key, PyTree], PyTree],
    sample: Callable[[Key], PyTree] | None = None,
    *,
    edit_share: ArrayLike = 0.8,
    **options: Any,
) -> Algorithm:
    """Adversarially compounding complexity by editing levels (ACCEL), robust as PLR.

    Args:
        env: environment with levels.
        network: of the agents.
        mutate: ``mutate(key, level) -> level``, edits a replayed level.
        sample: ``sample(key) -> level``, random levels; without it ACCEL-D: all new levels are
            edits, beginning with the starting set, and levels never solved count as 0.
        edit_share: share of new levels that are edits, if there are random ones, in ``[0, 1]``.
        options: of :func:`level_curriculum`; ``num_new`` is a quarter of ``num_envs`` if omitted.

    Returns:
        ``(init, step)`` as of :func:`level_curriculum`.

    Raises:
        ValueError: as :func:`level_curriculum`.
    """
    options = {"protected": False, **_with_new(options)}
    edits = edited_levels(mutate)
    if sample is None:
        return level_curriculum(env, network, edits, **_with("accel_starting_set", options))
    generator = mixed_levels(edits, random_levels(sample), edit_share)
    return level_curriculum(env, network, generator, **_with("accel", options))


def dred(
    env: SwarmEnvironment,
    network: Network,
    generator: LevelGenerator,
    *,
    ramp: ArrayLike = 1000,
    **options: Any,
) -> Algorithm:
    """Data-regularised environment design (DRED): new levels come from a model of a starting set.

    The starting set is replayed by rank of the critic's error; over ``ramp`` iterations replay
    passes to the whole buffer, ranked by the same error with levels that were never solved last.
    New levels enter the buffer after an evaluation without gradients.

    Args:
        env: environment with levels.
        network: of the agents.
        generator: :func:`interpolated_levels` of a VAE that was fitted to the starting set
            (VAE-DRED), or ``edited_levels(mutate, starting_set=True)`` (EL-DRED).
        ramp: iterations in which the share of the whole buffer rises from 0 to 1.
        options: of :func:`level_curriculum`; ``num_new`` is a quarter of ``num_envs`` if omitted.

    Returns:
        ``(init, step)`` as of :func:`level_curriculum`.

    Raises:
        ValueError: as :func:`level_curriculum`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs, rl
        >>> from jaxswarm.rl import curriculum
        >>> env = curriculum.with_levels(envs.SimpleSpread(2, time_limit=4), jnp.zeros((2, 2)),
        ...                              lambda key, world, at: world._replace(position=at))
        >>> network = rl.network_for(env, widths=(8,))
        >>> levels = jax.random.normal(jax.random.key(0), (4, 2, 2))
        >>> codes = levels.reshape(4, 4)  # a VAE's posterior means
        >>> between = curriculum.interpolated_levels(
        ...     codes, 0.1 + 0.0 * codes, lambda key, z: z.reshape(2, 2))
        >>> learner = curriculum.dred(env, network, between, ramp=10, capacity=8, num_envs=4,
        ...                           num_steps=4, epochs=1, minibatches=1)
        >>> params = rl.initialize(jax.random.key(1), network, 2, shared=True)
        >>> state = learner.init(params, levels)
        >>> state, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.score.shape, info.new_score.shape  # levels trained on, new ones
        ((4,), (1,))
    """
    checks.function("generator", generator)
    replay = METHODS["dred"]._replace(ramp=ramp)
    return level_curriculum(env, network, generator, **{"replay": replay, **_with_new(options)})


def _with(method: str, options: dict[str, Any]) -> dict[str, Any]:
    return {"replay": METHODS[method], **options}


def _with_new(options: dict[str, Any]) -> dict[str, Any]:
    num_envs = checks.whole("num_envs", options.get("num_envs", 16), 1)
    return {"num_new": max(num_envs // 4, 1), **options}
