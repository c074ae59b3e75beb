"""Constants of DADAO, computed from ``L``, ``μ``, ``χ₁`` and ``χ₂`` as in its theorem.

References:
    A. Nabli and E. Oyallon, DADAO: Decoupled accelerated decentralized asynchronous optimization,
    2023.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.checks import is_traced


class DadaoConstants(NamedTuple):
    """Constants of DADAO in the paper's notation; all ``[]``, or ``[S]`` to be vmapped.

    Attributes:
        nu: ``ν``, the share of convexity given to the consensus variables.
        eta: ``η``, drift of ``x`` and ``x̃`` towards each other.
        alpha: ``α``, drift of ``y`` to ``ỹ`` and of ``z`` to ``z̃``.
        alpha_tilde: ``α̃``, drift of ``z̃`` to ``z``.
        theta: ``θ``, drift of ``ỹ``.
        gamma: ``γ``, gradient step of ``x``.
        gamma_tilde: ``γ̃``, gradient step of ``x̃``.
        delta: ``δ + δ̃``, gradient step of ``ỹ``.
        beta: ``β``, gossip step of ``z``.
        beta_tilde: ``β̃``, gossip step of ``z̃``.
        gradient_rate: gradients per agent and unit of time.
        gossip_rate: exchanges of all edges together per unit of time.
        rate: guaranteed exponent: the expected squared error falls like ``exp(-rate · time)``.
    """

    nu: jax.Array
    eta: jax.Array
    alpha: jax.Array
    alpha_tilde: jax.Array
    theta: jax.Array
    gamma: jax.Array
    gamma_tilde: jax.Array
    delta: jax.Array
    beta: jax.Array
    beta_tilde: jax.Array
    gradient_rate: jax.Array
    gossip_rate: jax.Array
    rate: jax.Array


def constants(
    smoothness: float | jax.Array,
    convexity: float | jax.Array,
    chi1: float | jax.Array,
    chi2: float | jax.Array,
    *,
    gossip_rate: float | jax.Array | None = None,
    gradient_rate: float | jax.Array = 1.0,
) -> DadaoConstants:
    """Compute the constants of DADAO's theorem.

    Args:
        smoothness: ``L``, at least ``convexity``.
        convexity: ``μ > 0``.
        chi1: of :func:`~jaxswarm.topology.spectra.chi`, for edge rates that sum to 1.
        chi2: likewise.
        gossip_rate: exchanges per unit of time, at least ``√(2 χ₁ χ₂)``, the default.
        gradient_rate: gradients per agent and unit of time. The paper has 1; others leave the
            averaged motion as it is by taking steps of ``1/gradient_rate``, so they are
            guaranteed from 1 upwards only.

    Raises:
        ValueError: on ``μ <= 0``, ``L < μ``, an infinite or non-positive ``chi`` (no connected
            graph), ``gradient_rate < 1``, or gossip too rare for the graph.
    """
    check_smooth_and_convex(smoothness, convexity)
    for name, value in (("chi1", chi1), ("chi2", chi2)):
        checks.real(name, value, above=0.0, shape=None)
    if gossip_rate is not None:
        checks.real("gossip_rate", gossip_rate, above=0.0, shape=None)
    checks.real("gradient_rate", gradient_rate, 1.0, shape=None)
    needed = (2.0 * jnp.asarray(chi1, float) * chi2) ** 0.5
    if gossip_rate is None:
        gossip_rate = needed
    elif not (is_traced(gossip_rate) or is_traced(needed)):
        if not np.all(np.asarray(gossip_rate) >= np.asarray(needed) * (1 - 1e-5)):
            raise ValueError(
                f"gossip_rate: expected at least √(2 χ₁ χ₂) = {needed}, got {gossip_rate}"
            )
    big, mu = jnp.asarray(smoothness, float), jnp.asarray(convexity, float)
    nu = mu / 2.0
    s = jnp.sqrt(nu / big)
    return DadaoConstants(
        nu=nu,
        eta=s / 8.0,
        alpha=s / 4.0,
        alpha_tilde=s / 8.0,
        theta=1.0 / (2.0 * s),
        gamma=1.0 / (4.0 * big) / gradient_rate,
        gamma_tilde=1.0 / (4.0 * jnp.sqrt(big * nu)) / gradient_rate,
        delta=(s / 4.0 + 1.0) / gradient_rate,
        beta=jnp.full_like(s, 0.5),
        beta_tilde=2.0 * (chi1 / gossip_rate) / s,
        gradient_rate=jnp.asarray(gradient_rate, float),
        gossip_rate=jnp.asarray(gossip_rate, float),
        rate=s / 8.0,
    )


def check_smooth_and_convex(smoothness: float | jax.Array, convexity: float | jax.Array) -> None:
    """Refuse constants that no smooth strongly convex function has; traced ones are not checked.

    Raises:
        ValueError: if not ``0 < convexity <= smoothness``, both finite.
    """
    checks.real("convexity", convexity, above=0.0, shape=None)
    checks.real("smoothness", smoothness, above=0.0, shape=None)
    if not (is_traced(smoothness) or is_traced(convexity)):
        if not np.all(np.asarray(smoothness) >= np.asarray(convexity)):
            raise ValueError(
                f"smoothness: expected at least convexity {convexity}, got {smoothness}"
            )
