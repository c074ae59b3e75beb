"""Image data sets for experiments whose networks and attacks take flat images.

Shapes: ``S`` samples, ``H × W`` pixels.
"""

import numpy as np

from jaxswarm import data


def flattened(split: data.Split) -> data.Split:
    """Flatten images ``[S, H, W]`` to ``[S, H W]``; flat ones, such as the digits, stay.

    Raises:
        ValueError: if the images are not square with one channel.
    """
    return data.Split(*map(_flat, split))


def _flat(dataset: data.Dataset) -> data.Dataset:
    features = np.asarray(dataset.features)
    features = features.reshape(len(features), -1)
    side = round(features.shape[1] ** 0.5)
    if side * side != features.shape[1]:
        raise ValueError(
            f"{dataset.name}: expected square images with one channel, got samples of shape "
            f"{np.shape(dataset.features)[1:]}"
        )
    return data.Dataset(
        features, dataset.labels, num_classes=dataset.num_classes, name=dataset.name
    )
