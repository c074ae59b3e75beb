"""Offline reinforcement learning: off-policy evaluation of logged sessions."""

from jaxswarm.rl.offline import evaluation

__all__ = ["evaluation"]
