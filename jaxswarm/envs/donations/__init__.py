"""The donation game on a graph: giving has a private cost and benefits the neighbours."""

from jaxswarm.envs.donations.environment import (
    DonationObservation,
    DonationParams,
    Donations,
    DonationWorld,
)

__all__ = ["DonationObservation", "DonationParams", "DonationWorld", "Donations"]
