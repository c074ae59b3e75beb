"""Variational autoencoders (VAE) of grids of tiles with marked cells.

``vae.grid_vae((13, 13), 4)`` gives a :class:`GridVAE`; ``vae.train`` fits it, ``vae.sample`` and
``vae.interpolate`` with ``model.decode`` make new grids. ``envs.maze.level_vae`` does this for
levels.
"""

from jaxswarm.models.vae._model import ENCODERS, MODES, Grids, GridVAE, Posterior, grid_vae
from jaxswarm.models.vae._training import Trained, interpolate, sample, train

__all__ = [
    "ENCODERS",
    "GridVAE",
    "Grids",
    "MODES",
    "Posterior",
    "Trained",
    "grid_vae",
    "interpolate",
    "sample",
    "train",
]
