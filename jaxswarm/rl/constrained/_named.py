"""Named learners for several responses: TSCAC and its baselines, as numbers of one update.

Shapes: ``m`` responses, the main one first.

References:
    Q. Cai, Z. Xue, C. Zhang et al., Two-stage constrained actor-critic for short video
    recommendation, 2023 (TSCAC).
    C. Tessler, D. Mankowitz, S. Mannor, Reward constrained policy optimization, 2019 (RCPO).
    J.-A. Désidéri, Multiple-gradient descent algorithm (MGDA) for multiobjective optimization,
    2012.
"""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl.constrained._closed_form import check_weights, one_or_each
from jaxswarm.rl.constrained._learner import ConstrainedLearner, constrained_learner
from jaxswarm.rl.constrained._network import check_plain
from jaxswarm.rl.constrained._numbers import (
    CLOSED_FORM,
    GRADIENT,
    IMITATION,
    REGULARIZED,
    ConstrainedHyperparameters,
    check_hyperparameters,
)
from jaxswarm.rl.networks import Network
from jaxswarm.types import ArrayLike

STAGE_TWO = {"gradient": REGULARIZED, "closed form": CLOSED_FORM}


def tscac(
    network: Network,
    *,
    discounts: Sequence[float] = (0.95, 0.9, 0.9),
    weights: ArrayLike = 0.03,
    stage_two: str = "gradient",
    decay_steps: int | None = None,
    auxiliary_numbers: dict[str, Any] | None = None,
    **numbers: Any,
) -> ConstrainedLearner:
    """Make a two-stage constrained actor-critic (TSCAC).

    Stage one learns one actor–critic for each auxiliary response. Stage two learns a main policy
    that maximizes the main response and stays close to the auxiliary policies: the constraint is
    closeness to policies, not a level of the auxiliary responses. Rewards are expected in units of
    their standard deviations, as :func:`transitions` gives them.

    Args:
        network: of one policy; its critic is copied ``m`` times.
        discounts: ``[m]``, in ``[0, 1)``, the main response first.
        weights: ``λ``, one number or ``[m − 1]``, at least 0 and not all 0. Small ones leave the
            main response unconstrained, large ones give the mixture of the auxiliary policies.
        stage_two: ``"gradient"`` fits an actor to the closed form by weighted likelihood, with
            temporal differences as advantages; ``"closed form"`` learns action values of the main
            response and acts by the closed form (discrete actions only).
        decay_steps: as in :func:`constrained_learner`.
        auxiliary_numbers: numbers of the auxiliary policies that differ from ``numbers``.
        numbers: of :class:`ConstrainedHyperparameters`, for all policies.

    Raises:
        ValueError: for fewer than two responses, numbers out of range, or an unknown stage two.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm import data
        >>> from jaxswarm.rl import constrained
        >>> rng = np.random.default_rng(0)
        >>> network = constrained.candidate_network(1, 2, 3, widths=())
        >>> log = data.interactions(
        ...     np.arange(60) // 3, rng.integers(0, 2, 60),
        ...     {"watch": rng.exponential(size=60), "like": rng.integers(0, 2, 60) * 1.0},
        ...     propensity=np.full(60, 0.5), features=rng.normal(size=(60, 1 + 2 * 3)),
        ... )
        >>> learner = constrained.tscac(network, discounts=(0.95, 0.9), weights=0.1)
        >>> state, losses = constrained.fit(
        ...     jax.random.key(0), learner, constrained.transitions(log), 5, batch_size=16
        ... )
        >>> learner.probabilities(state, log.features[:4, 0]).shape
        (4, 2)
    """
    m = _num_responses(discounts)
    shares, total = check_weights(weights, m - 1)
    checks.choice("stage_two", stage_two, STAGE_TWO)
    main = ConstrainedHyperparameters(
        rule=STAGE_TWO[stage_two],
        discounts=np.asarray(discounts[:1], np.float32),
        multipliers=np.eye(1, m, dtype=np.float32)[0],
        thresholds=np.zeros(m - 1, np.float32),
        shares=shares,
        temperature=total,
    )._replace(**_known(numbers))
    check_hyperparameters(main, check_plain(network), separate=False)
    auxiliary = _stacked_auxiliary(network, discounts, numbers, auxiliary_numbers or {})
    return constrained_learner(network, main, auxiliary=auxiliary, decay_steps=decay_steps)


def rcpo(
    network: Network,
    *,
    discounts: Sequence[float] = (0.95, 0.9, 0.9),
    thresholds: ArrayLike = 0.0,
    multipliers: ArrayLike = 1.0,
    dual_rate: float = 0.3,
    decay_steps: int | None = None,
    **numbers: Any,
) -> ConstrainedLearner:
    """Make reward constrained policy optimization (RCPO): one critic of the penalized reward.

    The multipliers of the auxiliary responses rise while their mean per step, reweighted to the
    policy, is below the threshold. With ``dual_rate=0`` it is an actor–critic of a fixed weighted
    sum.

    Args:
        network: of one policy.
        discounts: ``[m]``; the critic has the main response's.
        thresholds: ``[m − 1]`` or one number, in units of the scaled rewards.
        multipliers: initial ones, ``[m − 1]`` or one number, at least 0.
        dual_rate: step size of the multipliers.
        decay_steps: as in :func:`constrained_learner`.
        numbers: of :class:`ConstrainedHyperparameters`.

    Raises:
        ValueError: for fewer than two responses or numbers out of range.
    """
    hp = _scalarized(discounts, thresholds, multipliers, dual_rate)
    hp = hp._replace(discounts=hp.discounts[:1], **_known(numbers))
    return constrained_learner(network, hp, decay_steps=decay_steps)


def lagrangian(
    network: Network,
    *,
    discounts: Sequence[float] = (0.95, 0.9, 0.9),
    thresholds: ArrayLike = 0.0,
    multipliers: ArrayLike = 1.0,
    dual_rate: float = 0.3,
    decay_steps: int | None = None,
    **numbers: Any,
) -> ConstrainedLearner:
    """Make a Lagrangian actor–critic with one critic for each response (RCPO with multi-critics).

    Arguments and errors are those of :func:`rcpo`; every critic has its own discount.
    """
    hp = _scalarized(discounts, thresholds, multipliers, dual_rate)._replace(**_known(numbers))
    return constrained_learner(network, hp, separate=True, decay_steps=decay_steps)


def pareto(
    network: Network,
    *,
    discounts: Sequence[float] = (0.95, 0.9, 0.9),
    preferences: ArrayLike = 1.0,
    decay_steps: int | None = None,
    **numbers: Any,
) -> ConstrainedLearner:
    """Make a Pareto actor–critic: the responses' policy gradients with min-norm weights (MGDA).

    Args:
        network: of one policy.
        discounts: ``[m]``.
        preferences: of the auxiliary responses, ``[m − 1]`` or one number, at least 0: factors of
            the min-norm weights, beside 1 for the main response.
        decay_steps: as in :func:`constrained_learner`.
        numbers: of :class:`ConstrainedHyperparameters`.

    Raises:
        ValueError: as :func:`rcpo`.
    """
    hp = _scalarized(discounts, 0.0, preferences, 0.0, "preferences")._replace(**_known(numbers))
    return constrained_learner(network, hp, separate=True, pareto=True, decay_steps=decay_steps)


def behavior_cloning(
    network: Network,
    *,
    discounts: Sequence[float] = (0.95, 0.9, 0.9),
    decay_steps: int | None = None,
    **numbers: Any,
) -> ConstrainedLearner:
    """Make a policy that imitates the log, with one critic for each response.

    Raises:
        ValueError: as :func:`rcpo`.
    """
    hp = _scalarized(discounts, 0.0, 1.0, 0.0)._replace(rule=IMITATION, **_known(numbers))
    return constrained_learner(network, hp, separate=True, decay_steps=decay_steps)


def ranking(
    network: Network,
    *,
    num_responses: int = 3,
    temperature: float = 0.1,
    decay_steps: int | None = None,
    **numbers: Any,
) -> ConstrainedLearner:
    """Make a supervised ranker: a softmax of the predicted next main response, without a future.

    Args:
        network: with discrete actions.
        num_responses: ``m``.
        temperature: of the softmax, in units of the scaled reward.
        decay_steps: as in :func:`constrained_learner`.
        numbers: of :class:`ConstrainedHyperparameters`.

    Raises:
        ValueError: as :func:`rcpo`.
    """
    m = checks.whole("num_responses", num_responses, 2)
    hp = _scalarized((0.0,) * m, 0.0, 0.0, 0.0)._replace(
        rule=CLOSED_FORM, temperature=temperature, discounts=np.zeros(1, np.float32)
    )
    return constrained_learner(network, hp._replace(**_known(numbers)), decay_steps=decay_steps)


def _num_responses(discounts: Sequence[float]) -> int:
    checks.real("discounts", discounts, 0.0, below=1.0, shape=(None,))
    if len(discounts) < 2:
        raise ValueError(
            f"discounts: expected one for each of at least two responses, got {discounts}"
        )
    return len(discounts)


def _known(numbers: dict[str, Any]) -> dict[str, Any]:
    for name in numbers:
        checks.choice("number", name, ConstrainedHyperparameters._fields)
    return numbers


def _stacked_auxiliary(
    network: Network,
    discounts: Sequence[float],
    numbers: dict[str, Any],
    auxiliary_numbers: dict[str, Any],
) -> ConstrainedHyperparameters:
    """Numbers of the policies of single auxiliary responses, leaves ``[m − 1, …]``."""
    m = len(discounts)
    plain = {name for name, value in ConstrainedHyperparameters()._asdict().items()
             if np.ndim(value) == 0 and name != "rule"}  # fmt: skip
    given = {name: x for name, x in numbers.items() if name in plain} | _known(auxiliary_numbers)
    one = ConstrainedHyperparameters(multipliers=(1.0,) * m, thresholds=(0.0,) * (m - 1))
    check_hyperparameters(one._replace(**given), network, separate=False)
    own = ConstrainedHyperparameters(
        rule=GRADIENT,
        discounts=np.asarray(discounts, np.float32)[1:, None],
        multipliers=np.eye(m, dtype=np.float32)[1:],
        thresholds=np.zeros((m - 1, m - 1), np.float32),
        shares=np.zeros((m - 1, 1), np.float32),
    )
    scalars = {
        name: jnp.broadcast_to(jnp.asarray(given.get(name, value)), (m - 1,))
        for name, value in own._asdict().items()
        if np.ndim(value) == 0
    }
    return own._replace(**scalars)


def _scalarized(
    discounts: Sequence[float],
    thresholds: ArrayLike,
    multipliers: ArrayLike,
    dual_rate: Any,
    name: str = "multipliers",
) -> ConstrainedHyperparameters:
    m = _num_responses(discounts)
    checks.real("dual_rate", dual_rate, 0.0)
    levels = one_or_each("thresholds", thresholds, m - 1)
    factors = one_or_each(name, multipliers, m - 1, 0.0)
    return ConstrainedHyperparameters(
        rule=GRADIENT,
        discounts=np.asarray(discounts, np.float32),
        multipliers=jnp.concatenate([jnp.ones(1), factors]),
        thresholds=levels,
        dual_rate=dual_rate,
        shares=np.zeros(1, np.float32),
    )
