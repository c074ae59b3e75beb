"""Skews other than of the labels: how much data an agent has, and how its features look.

Shapes: ``N`` agents, ``S`` samples.

References:
    Li, Diao, Chen & He, Federated learning on non-IID data silos: an experimental study, 2022
    (quantity skew and noise-based feature skew).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from jaxswarm.data.partition import Partition, from_owners
from jaxswarm.data.partitioners import check_deal, check_positive, dirichlet, iid
from jaxswarm.errors import unknown

KINDS = ("noise", "gain", "rotation")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FeatureSkew:
    """What each agent's sensor does to the features: rotate, then amplify, then add noise.

    Attributes:
        angle: ``float32[N]``, degrees anticlockwise in the image plane; 0 leaves features alone.
        gain: ``float32[N]``, factor.
        noise: ``float32[N]``, standard deviation of additive Gaussian noise.
        seed: static; of the noise.
    """

    angle: Any
    gain: Any
    noise: Any
    seed: int = field(default=0, metadata={"static": True})

    def transform(self, features: Any, agent: int) -> np.ndarray:
        """How ``agent`` sees ``features: [S, ...]`` (host side); the noise is always the same.

        Raises:
            ValueError: if the agent rotates and features are no images: ``[S, H, W]``,
                ``[S, H, W, C]`` or flat with a square number of pixels.
        """
        x = np.asarray(features, np.float32)
        angle, gain, noise = (float(v[agent]) for v in (self.angle, self.gain, self.noise))
        if angle:
            x = _rotated(x, angle)
        if gain != 1.0:
            x = x * np.float32(gain)
        if noise:
            rng = np.random.default_rng([self.seed, agent])
            x = x + np.float32(noise) * rng.standard_normal(x.shape, np.float32)
        return x


def quantity_skew(
    labels: Any,
    num_agents: int,
    *,
    seed: int = 0,
    alpha: float = 0.5,
    law: str = "dirichlet",
    min_size: int = 1,
) -> Partition:
    """Random samples for everybody, but very different amounts of them.

    Args:
        labels: ``[S]`` classes.
        num_agents: ``N >= 1``.
        seed: of the sizes and the shuffle.
        alpha: ``> 0``. Dirichlet: concentration, small is more skewed. Power law: exponent of the
            size against the rank, large is more skewed.
        law: ``"dirichlet"`` (sizes ∝ Dirichlet(α)) or ``"power"`` (the r-th largest ∝ ``r ** -α``).
        min_size: everybody's first samples, before the rest is shared out; ``N * min_size <= S``.

    Raises:
        ValueError: on bad labels, an unknown law, ``alpha <= 0``, or too few samples.
    """
    y, _ = check_deal(labels, num_agents, min_size=min_size)
    check_positive("alpha", alpha)
    rng = np.random.default_rng(seed)
    if law == "dirichlet":
        share = dirichlet(rng, alpha, num_agents)
    elif law == "power":
        share = rng.permutation(np.arange(1.0, num_agents + 1.0) ** -alpha)
        share = share / share.sum()
    else:
        raise unknown("law of sizes", law, ("dirichlet", "power"))
    spare = len(y) - num_agents * min_size
    extra = np.floor(share * spare).astype(np.int64)
    largest_remainders = np.argsort(extra - share * spare, kind="stable")
    extra[largest_remainders[: spare - extra.sum()]] += 1
    owners = np.repeat(np.arange(num_agents), min_size + extra)
    return from_owners(rng.permutation(owners), num_agents, name=f"quantity_skew({law}, {alpha:g})")


def feature_skew(
    labels: Any, num_agents: int, *, seed: int = 0, kind: str = "noise", strength: float = 0.5
) -> Partition:
    """An iid deal in which every agent sees its samples differently; see :func:`with_feature_skew`.

    Raises:
        ValueError: on bad labels, fewer samples than agents, an unknown kind or negative strength.
    """
    dealt = iid(labels, num_agents, seed=seed)
    return with_feature_skew(dealt, seed=seed, kind=kind, strength=strength)


def with_feature_skew(
    partition: Partition, *, seed: int = 0, kind: str = "noise", strength: float = 0.5
) -> Partition:
    """Give each agent of any partition its own, evenly graded distortion of the features.

    :func:`jaxswarm.data.shards` applies it; ``partition.skew.transform`` shows test data as one
    agent would see it.

    Args:
        partition: of ``N`` agents.
        seed: of the noise.
        kind: ``"noise"``: standard deviations from 0 (agent 0) to ``strength`` (agent N − 1);
            ``"gain"``: factors from ``exp(−strength)`` to ``exp(strength)``;
            ``"rotation"``: angles from ``−strength`` to ``strength`` degrees.
        strength: of the most distorted agent, ``>= 0`` and finite.

    Raises:
        ValueError: on an unknown kind or bad strength.
    """
    if kind not in KINDS:
        raise unknown("kind of feature skew", kind, KINDS)
    if not (np.isfinite(strength) and strength >= 0):
        raise ValueError(f"strength: expected a finite number of at least 0, got {strength}")
    n = partition.num_agents
    grade = np.linspace(0.0, 1.0, n) if n > 1 else np.ones(1)
    values = {"angle": np.zeros(n), "gain": np.ones(n), "noise": np.zeros(n)}
    if kind == "noise":
        values["noise"] = strength * grade
    elif kind == "gain":
        values["gain"] = np.exp(strength * (2.0 * grade - 1.0))
    else:
        values["angle"] = strength * (2.0 * grade - 1.0)
    skew = FeatureSkew(**{k: v.astype(np.float32) for k, v in values.items()}, seed=seed)
    return replace(partition, skew=skew, name=f"{partition.name}, {kind} skew {strength:g}")


def _rotated(x: np.ndarray, degrees: float) -> np.ndarray:
    from scipy.ndimage import rotate

    images = x
    if x.ndim == 2:
        side = round(x.shape[1] ** 0.5)
        if side * side != x.shape[1]:
            raise ValueError(f"features: rotation needs images, got shape {x.shape}")
        images = x.reshape(-1, side, side)
    elif x.ndim not in (3, 4):
        raise ValueError(f"features: rotation needs images, got shape {x.shape}")
    # scipy turns from axis 1 (down) to axis 2 (right) for a positive angle: anticlockwise on
    # screen.
    turned = rotate(images, degrees, axes=(1, 2), reshape=False, order=1)
    return turned.astype(np.float32).reshape(x.shape)
