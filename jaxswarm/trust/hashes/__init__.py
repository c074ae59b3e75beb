"""Locality-sensitive hashes of images and vectors as packed bits, and their Hamming distances.

``hashes.perceptual(images, "phash")`` hashes images, ``hashes.random_projection(key, dimension)``
vectors. ``hamming`` compares pairs, ``distances`` all pairs, ``histogram`` counts all pairs at each
distance without a table. The hash of a constant image says nothing about it: it is not ``valid``.
:mod:`jaxswarm.trust.consensus` lets verifiers vote on them.
"""

from jaxswarm.trust.hashes._distances import distances, hamming, histogram
from jaxswarm.trust.hashes._perceptual import KINDS, perceptual
from jaxswarm.trust.hashes._projection import random_projection
from jaxswarm.trust.hashes._words import Hashes, pack, to_hex, unpack

__all__ = [
    "KINDS",
    "Hashes",
    "distances",
    "hamming",
    "histogram",
    "pack",
    "perceptual",
    "random_projection",
    "to_hex",
    "unpack",
]
