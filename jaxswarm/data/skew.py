"""Quantity skew and feature skew: unequal amounts of data, and per-agent feature distortions.

Shapes: ``N`` agents, ``S`` samples.

References:
    Li, Diao, Chen & He, Federated learning on non-IID data silos: an experimental study, 2022
    (quantity skew and noise-based feature skew).
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.data.dataset import check_seed
from jaxswarm.data.partition import Partition, check_partition, from_owners
from jaxswarm.data.partitioners import check_deal, dirichlet, iid
from jaxswarm.types import ArrayLike

SIZES = ("dirichlet", "power")
"""Distributions of the sizes of :func:`quantity_skew`."""

KINDS = ("noise", "gain", "rotation")
"""Kinds of feature skew."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class FeatureSkew:
    """Per-agent distortion of the features: rotation, then amplification, then additive noise.

    Attributes:
        angle: ``float32[N]``, degrees anticlockwise in the image plane; 0 for no rotation.
        gain: ``float32[N]``, factor.
        noise: ``float32[N]``, standard deviation of additive Gaussian noise.
        seed: static; of the noise.
    """

    angle: Any
    gain: Any
    noise: Any
    seed: int = field(default=0, metadata={"static": True})

    def transform(self, features: ArrayLike, agent: int) -> np.ndarray:
        """Distort ``features: [S, ...]`` as ``agent`` observes them (host side); deterministic.

        Raises:
            ValueError: if the agent's angle is not 0 and features are not images ``[S, H, W]``,
                ``[S, H, W, C]`` or flat with a square number of pixels; if there is no such agent.
        """
        x = checks.as_array("features", features, "numbers [S, ...]").astype(np.float32)
        agent = checks.index("agent", agent, len(self.angle))
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
    labels: ArrayLike,
    num_agents: int,
    *,
    seed: int = 0,
    alpha: float = 0.5,
    sizes: str = "dirichlet",
    min_size: int = 1,
) -> Partition:
    """Partition uniformly random samples over agents in very unequal amounts.

    Args:
        labels: ``[S]`` classes.
        num_agents: ``N >= 1``.
        seed: of the sizes and the shuffle.
        alpha: ``> 0``. Dirichlet: concentration, small is more skewed. Power law: exponent of the
            size against the rank, large is more skewed.
        sizes: ``"dirichlet"`` (sizes ∝ Dirichlet(α)) or ``"power"`` (the r-th largest
            ∝ ``r ** -α``).
        min_size: minimum number of samples per agent, ``N * min_size <= S``.

    Raises:
        ValueError: for bad labels, an unknown ``sizes``, ``alpha <= 0``, or too few samples.
    """
    y, _, num_agents = check_deal(labels, num_agents, min_size=min_size)
    alpha = float(checks.real("alpha", alpha, above=0.0))
    checks.choice("distribution of sizes", sizes, SIZES)
    rng = np.random.default_rng(check_seed(seed))
    if sizes == "dirichlet":
        share = dirichlet(rng, alpha, num_agents)
    else:
        share = rng.permutation(np.arange(1.0, num_agents + 1.0) ** -alpha)
        share = share / share.sum()
    spare = len(y) - num_agents * min_size
    extra = np.floor(share * spare).astype(np.int64)
    largest_remainders = np.argsort(extra - share * spare, kind="stable")
    extra[largest_remainders[: spare - extra.sum()]] += 1
    owners = np.repeat(np.arange(num_agents), min_size + extra)
    name = f"quantity_skew({sizes}, {alpha:g})"
    return from_owners(rng.permutation(owners), num_agents, name=name)


def feature_skew(
    labels: ArrayLike, num_agents: int, *, seed: int = 0, kind: str = "noise", strength: float = 0.5
) -> Partition:
    """IID partition with a feature distortion of each agent's own; see :func:`with_feature_skew`.

    Raises:
        ValueError: for bad labels, fewer samples than agents, an unknown kind or negative strength.
    """
    dealt = iid(labels, num_agents, seed=seed)
    return with_feature_skew(dealt, seed=seed, kind=kind, strength=strength)


def with_feature_skew(
    partition: Partition, *, seed: int = 0, kind: str = "noise", strength: float = 0.5
) -> Partition:
    """Add evenly graded feature distortions, one per agent, to a partition.

    :func:`jaxswarm.data.shards` applies them; ``partition.skew.transform`` applies one agent's to
    other data, such as test data.

    Args:
        partition: of ``N`` agents.
        seed: of the noise.
        kind: ``"noise"``: standard deviations from 0 (agent 0) to ``strength`` (agent N − 1);
            ``"gain"``: factors from ``exp(−strength)`` to ``exp(strength)``;
            ``"rotation"``: angles from ``−strength`` to ``strength`` degrees.
        strength: of the most distorted agent, ``>= 0`` and finite.

    Raises:
        ValueError: for an unknown kind or bad strength.
    """
    check_partition(partition)
    seed = check_seed(seed)
    checks.choice("kind of feature skew", kind, KINDS)
    strength = float(checks.real("strength", strength, 0.0))
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
            raise ValueError(f"features: expected square images to rotate, got shape {x.shape}")
        images = x.reshape(-1, side, side)
    elif x.ndim not in (3, 4):
        raise ValueError(f"features: expected images to rotate, got shape {x.shape}")
    # scipy rotates from axis 1 (down) to axis 2 (right) for a positive angle: anticlockwise on
    # screen.
    rotated = rotate(images, degrees, axes=(1, 2), reshape=False, order=1)
    return rotated.astype(np.float32).reshape(x.shape)
