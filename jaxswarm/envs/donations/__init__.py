"""The donation game: what I give costs me and helps my neighbours."""

from jaxswarm.envs.donations.environment import (
    DonationObservation,
    DonationParams,
    Donations,
    DonationWorld,
)

__all__ = ["DonationObservation", "DonationParams", "DonationWorld", "Donations"]
