"""Rendering of feeds: users by their latent state, larger the longer they watched last."""

from typing import Any

import numpy as np

from jaxswarm import plotting


def draw_feed(world: Any, ax: Any) -> None:
    """Draw users by fatigue and patience that is left; users that hated the last item in red."""
    patience = np.asarray(world.users.patience)
    present = patience > 0.0
    hated = world.last[:, -1] < 0.0
    kinds = [("watching", present & ~hated, 0), ("hated the last item", present & hated, 1)]
    _scatter(ax, world.users.fatigue, np.maximum(patience, 0.0), world.last[:, 0], kinds, ~present)
    plotting.tidy(ax)
    title = f"{int(present.sum())} of {len(present)} users"
    ax.set(xlabel="fatigue", ylabel="patience left", title=title)


def draw_live(world: Any, num_days: int, requests_per_day: int, ax: Any) -> None:
    """Draw users by days passed and strain; users with an inserted stream in red."""
    present = ~np.asarray(world.left)
    inserted = world.last[:, 2] > 0.0
    days = np.where(present, world.day + world.request / requests_per_day, world.day)
    kinds = [("short video", present & ~inserted, 0), ("live stream", present & inserted, 1)]
    _scatter(ax, days, world.strain, world.last[:, :2].sum(axis=1), kinds, ~present)
    plotting.tidy(ax)
    title = f"{int(present.sum())} of {len(present)} users"
    ax.set(xlabel="days", ylabel="strain", title=title, xlim=(-0.1 * num_days, 1.1 * num_days))


def _scatter(ax: Any, x: Any, y: Any, watch: Any, kinds: list, left: np.ndarray) -> None:
    """Scatter the kinds ``(label, bool[N], colour)`` of users, and those that left in grey."""
    x, y = np.asarray(x), np.asarray(y)
    sizes = 12.0 + 30.0 * np.log1p(np.asarray(watch))
    for label, which, color in kinds:
        color = plotting.PALETTE[color]
        ax.scatter(x[which], y[which], s=sizes[which], color=color, alpha=0.7, label=label)
    ax.scatter(x[left], y[left], s=10.0, color="#BBBBBB", marker="x", label="left")
    ax.legend(fontsize=8, loc="upper right")
