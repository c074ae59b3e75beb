"""Rendering of sum guessing: the agents' numbers and their sum."""

from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw numbers as bars and their sum as a line."""
    del params
    plotting.tidy(ax)
    ax.bar(np.arange(len(world)), world, color=plotting.PALETTE[0])
    total = float(np.sum(world))
    ax.axhline(total, color=plotting.PALETTE[1])
    ax.set_title(f"numbers of {len(world)} agents and their sum, {total:.1f}", loc="left")
    ax.set_xlabel("agent")
