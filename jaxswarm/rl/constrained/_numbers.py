"""Numbers of constrained learners, and their ranges.

Shapes: ``m`` responses (the main one first), ``n`` auxiliary policies, ``C`` critics of a policy.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl.networks import Network

GRADIENT, REGULARIZED, CLOSED_FORM, IMITATION = range(4)
"""Rules of the main policy, see :class:`ConstrainedHyperparameters`."""


class ConstrainedHyperparameters(NamedTuple):
    """Numbers of a policy; all may be traced.

    Attributes:
        rule: how the actor learns. ``GRADIENT``: policy gradient of the weighted advantages.
            ``REGULARIZED``: likelihood weighted by ``Π π_i^shares / β · exp(A / temperature)``, the
            projection of the closed form. ``CLOSED_FORM``: the actor's outputs are action values of
            the reward, and the policy is the closed form itself; discrete actions only.
            ``IMITATION``: likelihood of the log.
        discounts: ``[C]``, of each critic, in ``[0, 1)``.
        multipliers: ``[m]``, initial weights of the responses in the actor's advantage; with one
            critic, of the reward that it predicts.
        thresholds: ``[m − 1]``, means per step that the auxiliary responses should reach.
        dual_rate: step size of the auxiliary multipliers; 0 keeps them.
        largest_multiplier: multipliers stay in ``[0, largest_multiplier]``.
        shares: ``[n]``, exponents ``λ_i / Σλ`` of the auxiliary policies; all 0 without.
        temperature: ``Σλ``, above 0.
        cap: largest importance ratio and largest weight of a likelihood.
        entropy: weight of the policy's entropy.
        min_norm: whether multipliers are factors of the min-norm weights, in Pareto learners.
        gradient_rate: share of the newest gradient in the average that Pareto weights come from.
        tau: share of the critics that moves into their targets in an update.
        lr: step size of Adam, of actors.
        critic_lr: of critics.
    """

    rule: Any = GRADIENT
    discounts: Any = (0.95,)
    multipliers: Any = (1.0, 0.0)
    thresholds: Any = (0.0,)
    dual_rate: Any = 0.0
    largest_multiplier: Any = 10.0
    shares: Any = (0.0,)
    temperature: Any = 1.0
    cap: Any = 10.0
    entropy: Any = 0.0
    min_norm: Any = True
    gradient_rate: Any = 0.02
    tau: Any = 0.05
    lr: Any = 1e-2
    critic_lr: Any = 1e-2


def check_hyperparameters(
    hp: ConstrainedHyperparameters, network: Network, separate: bool
) -> ConstrainedHyperparameters:
    """Check the known numbers of a policy and return them; traced ones pass.

    Raises:
        ValueError: naming the number, what was expected and what came.
    """
    kind = ConstrainedHyperparameters
    checks.instance("hyperparameters", hp, kind, "constrained.ConstrainedHyperparameters()")
    shape = np.shape(hp.multipliers)
    if len(shape) != 1 or shape[0] < 2:
        raise ValueError(
            f"multipliers: expected [m] for at least two responses, got "
            f"{checks.shown(hp.multipliers)}"
        )
    m = shape[0]
    if not checks.is_traced(hp.rule):
        rule = checks.whole("rule", hp.rule, GRADIENT, IMITATION)
        if rule == CLOSED_FORM and len(network.head.num_options) != 1:
            raise ValueError(
                "rule: expected a gradient rule for these actions, got the closed form"
            )
    checks.real("multipliers", hp.multipliers, 0.0, shape=(m,))
    checks.real("discounts", hp.discounts, 0.0, below=1.0, shape=(m if separate else 1,))
    checks.real("thresholds", hp.thresholds, shape=(m - 1,))
    checks.real("shares", hp.shares, 0.0, shape=(None,))
    for name in ("dual_rate", "entropy"):
        checks.real(name, getattr(hp, name), 0.0)
    for name in ("largest_multiplier", "temperature", "cap", "lr", "critic_lr"):
        checks.real(name, getattr(hp, name), above=0.0)
    for name in ("gradient_rate", "tau"):
        checks.real(name, getattr(hp, name), 0.0, 1.0, above=0.0)
    vectors = ("multipliers", "discounts", "thresholds", "shares")
    return hp._replace(**{name: jnp.asarray(getattr(hp, name), jnp.float32) for name in vectors})
