"""Slotted Aloha: agents with backlogs share a radio channel with their neighbours."""

from jaxswarm.envs.aloha.environment import (
    Aloha,
    AlohaObservation,
    AlohaParams,
    ladder,
)

__all__ = ["Aloha", "AlohaObservation", "AlohaParams", "ladder"]
