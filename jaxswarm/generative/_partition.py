"""Partition of a data set into clusters, one for each expert.

Shapes: ``S`` samples, ``K`` clusters, ``F`` features.

References:
    D. McAllister et al., Decentralized diffusion models, 2025 (two-stage k-means).
"""

from typing import Any, cast

import numpy as np

from jaxswarm import checks, data
from jaxswarm.data.dataset import check_seed
from jaxswarm.data.partition import check_partition
from jaxswarm.types import ArrayLike


def cluster(
    features: ArrayLike,
    num_clusters: int,
    *,
    num_centroids: int = 1024,
    num_components: int | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Cluster features by two-stage k-means, optionally after a principal component analysis.

    The first stage finds ``num_centroids`` fine clusters, the second one groups their centroids,
    weighted by their sizes, into ``num_clusters``. Runs on the host.

    The paper clusters features of a pretrained image encoder (DINOv2). Here features are what you
    pass: the samples themselves, their principal components, or outputs of a network of your own.

    Args:
        features: ``[S, ...]`` finite numbers, flattened to ``[S, F]``.
        num_clusters: ``K``, at most the number of distinct samples.
        num_centroids: fine clusters of the first stage, at least ``K``; with ``S`` or more there is
            one stage only.
        num_components: principal components that are kept, at most ``min(S, F)``; ``None`` clusters
            the features as they are.
        seed: of k-means.

    Returns:
        ``int32[S]``, the cluster of every sample; none is empty.

    Raises:
        ValueError: for ``K`` outside ``[1, S]``, fewer centroids than clusters, too many
            components, features that are not finite, or a cluster without samples, as when there
            are fewer distinct samples than clusters.

    Example:
        >>> from jaxswarm import data, generative
        >>> train, test = data.load("digits")
        >>> labels = generative.cluster(train.features, 4, num_centroids=64, num_components=16)
        >>> labels.shape, sorted(set(labels.tolist()))
        ((1438,), [0, 1, 2, 3])
    """
    from sklearn.decomposition import PCA

    checks.concrete("features", features)
    x = np.asarray(checks.real("features", features, shape=None), np.float64)
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"features: expected shape [S, ...] without empty axes, got {x.shape}")
    x = x.reshape(len(x), -1)
    num_clusters = checks.whole("num_clusters", num_clusters, 1, len(x))
    num_centroids = checks.whole("num_centroids", num_centroids, num_clusters)
    seed = check_seed(seed) % 2**32
    if num_components is not None:
        num_components = checks.whole("num_components", num_components, 1, min(x.shape))
        x = PCA(num_components, random_state=seed).fit_transform(x)
    distinct = len(np.unique(x, axis=0))
    if distinct < num_clusters:
        raise ValueError(
            f"num_clusters: expected at most {distinct}, the number of distinct samples, so that "
            f"no cluster is empty, got {num_clusters}"
        )
    if num_centroids >= distinct:
        return _k_means(x, num_clusters, seed)[0]
    fine, centroids = _k_means(x, num_centroids, seed, restarts=1)
    sizes = np.bincount(fine, minlength=num_centroids)
    return _k_means(centroids, num_clusters, seed, sizes=sizes)[0][fine]


def _k_means(
    x: np.ndarray,
    num_clusters: int,
    seed: int,
    *,
    restarts: int = 4,
    sizes: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Labels ``int32[S]`` and centroids ``[K, F]`` of k-means."""
    from sklearn.cluster import KMeans

    means: Any = KMeans(num_clusters, n_init=cast(Any, restarts), random_state=seed)
    means.fit(x, sample_weight=sizes)
    return means.labels_.astype(np.int32), means.cluster_centers_


def as_partition(partition: data.Partition | ArrayLike, name: str = "partition") -> data.Partition:
    """Return a partition in which every sample belongs to exactly one expert.

    Args:
        partition: a partition, or the cluster of every sample, ``int[S]`` in ``[0, K)``.
        name: the argument, for messages.

    Raises:
        ValueError: for cluster labels that are no whole numbers from 0, a cluster without samples,
            rows that belong to several experts or to none, or distorted features.
    """
    if not isinstance(partition, data.Partition):
        wanted = "a Partition or cluster labels int[S] in [0, K)"
        checks.concrete(name, partition)
        labels = checks.as_array(name, partition, wanted)
        if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "iu":
            raise ValueError(f"{name}: expected {wanted}, got {checks.shown(partition)}")
        if labels.min() < 0 or labels.max() >= len(labels):
            bad = labels[(labels < 0) | (labels >= len(labels))][0]
            raise ValueError(f"{name}: expected {wanted}, got label {bad} of {len(labels)} samples")
        return data.from_owners(labels, int(labels.max()) + 1, name=name)
    check_partition(partition, name)
    if partition.skew is not None:
        raise ValueError(f"{name}: expected one without feature skew, got skewed features")
    counts = np.asarray(partition.counts)
    if (counts == 0).any():
        raise ValueError(
            f"{name}: expected samples for every expert, got none for expert "
            f"{int(np.argmin(counts))}"
        )
    rows = np.sort(np.asarray(partition.indices)[np.asarray(partition.mask)])
    if (np.diff(rows) == 0).any():
        repeated = int(rows[:-1][np.diff(rows) == 0][0])
        raise ValueError(f"{name}: expected disjoint clusters, got row {repeated} more than once")
    if not np.array_equal(rows, np.arange(len(rows))):
        missing = int(np.setdiff1d(np.arange(rows[-1] + 1), rows)[0])
        raise ValueError(
            f"{name}: expected clusters that cover all samples, got none with row {missing}"
        )
    return partition
