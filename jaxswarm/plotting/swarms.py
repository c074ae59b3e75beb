"""Drawings and animations of swarms: agents as arrows in the plane.

Shapes: ``N`` agents, ``T`` frames.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.plotting.scenes import Film
from jaxswarm.plotting.style import INK, PALETTE, axes, colorbar, numbers, require_axes, span


def swarm(
    positions: Any,
    headings: Any,
    *,
    values: Any = None,
    label: str = "",
    title: str = "",
    box: float | tuple[float, float] | None = None,
    cmap: str | None = None,
    ax: Any = None,
) -> Any:
    """Draw agents as arrows in the plane.

    Args:
        positions: ``[N, 2]``.
        headings: ``[N]`` angles in radians or ``[N, 2]`` directions (their length is ignored).
        values: ``[N]`` colours; by default the heading, on a cyclic scale.
        label: of the colour bar; no colour bar without it.
        title: one line.
        box: side or sides of the box ``[0, side]²`` to show; the agents' extent by default.
        cmap: a matplotlib colour map.
        ax: axes to draw into.

    Raises:
        ValueError: if shapes do not fit.
    """
    at = numbers("positions", positions, "numbers [N, 2]")
    if at.ndim != 2 or at.shape[1] != 2:
        raise ValueError(f"positions: expected [N, 2], got shape {at.shape}")
    angle = _angles(headings, len(at))
    color = np.mod(angle, 2 * np.pi)
    if values is not None:
        color = numbers("values", values, f"numbers [{len(at)}]")
    if color.shape != angle.shape:
        raise ValueError(f"values: expected shape {angle.shape}, got {color.shape}")
    sides = _sides(box)
    ax = axes(width=5.0, height=5.0) if ax is None else require_axes(ax)
    arrows = ax.quiver(
        *at.T,
        np.cos(angle),
        np.sin(angle),
        color,
        cmap=cmap or (_compass() if values is None else "viridis"),
        clim=(0.0, 2 * np.pi) if values is None else span(color[np.isfinite(color)]),
        pivot="mid",
        units="width",
        scale=float(np.clip(1.3 * math.sqrt(len(at)), 14.0, 50.0)),
        width=float(np.clip(0.1 / math.sqrt(len(at)), 0.0025, 0.01)),
        headwidth=3.6,
        headlength=4.5,
        headaxislength=4.0,
    )
    if sides is not None:
        ax.set(xlim=(0.0, sides[0]), ylim=(0.0, sides[1]))
    else:
        ax.margins(0.05)
    ax.set_aspect("equal")
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color="#C8C8C8")
    if label:
        colorbar(ax, arrows, label)
    if title:
        ax.set_title(title, loc="left", fontsize=13, color=INK, pad=8)
    return ax


def animate(
    positions: Any,
    headings: Any,
    interval: float = 100.0,
    save_path: str | Path | None = None,
    *,
    box: float | tuple[float, float] | None = None,
    dpi: int = 90,
    title: str = "",
) -> Any:
    """Make a matplotlib animation of a swarm; written to ``save_path`` if given.

    ``interval``, ``save_path`` and ``dpi`` are those of :func:`movie` and ``env.animate``.

    Args:
        positions: ``[T, N, 2]``.
        headings: ``[T, N]`` angles or ``[T, N, 2]`` directions.
        interval: milliseconds between frames.
        save_path: a file name that ends in ``.gif``, or in ``.mp4`` (which needs the program
            ``ffmpeg``); parent folders are created.
        box: as in :func:`swarm`; by default all frames' extent.
        dpi: dots per inch of the 4.5-inch figure.
        title: one line.

    Raises:
        ValueError: if shapes do not fit, there are no frames, for another kind of file, or
            ``.mp4`` without ffmpeg.

    Example::

        plotting.animate(positions, headings, save_path="flock.gif", box=20.0)
    """
    at = numbers("positions", positions, "numbers [T, N, 2]")
    if at.ndim != 3 or at.shape[2] != 2 or not len(at):
        raise ValueError(f"positions: expected [T, N, 2] with T > 0, got shape {at.shape}")
    turned = numbers("headings", headings, "numbers [T, N] or [T, N, 2]")
    if turned.ndim == 0 or len(turned) != len(at):
        found = len(turned) if turned.ndim else "a single number"
        raise ValueError(f"headings: expected {len(at)} frames like positions, got {found}")
    angles = np.stack([_angles(frame, at.shape[1]) for frame in turned])
    film = Film(interval, save_path, dpi)
    ax = axes(width=4.5, height=4.5)
    swarm(at[0], angles[0], box=box, title=title, ax=ax)
    arrows = ax.collections[0]
    if box is None:
        (left, low), (right, high) = at.min(axis=(0, 1)), at.max(axis=(0, 1))
        ax.set(xlim=(left, right), ylim=(low, high))

    def draw(frame: int) -> list[Any]:
        arrows.set_offsets(at[frame])
        turned = np.cos(angles[frame]), np.sin(angles[frame]), np.mod(angles[frame], 2 * np.pi)
        arrows.set_UVC(*turned)
        return [arrows]

    return film.of(ax.figure, draw, len(at))


def _sides(box: Any) -> tuple[float, float] | None:
    """The box's two sides."""
    if box is None:
        return None
    shape = (2,) if np.ndim(box) else ()
    sides = np.broadcast_to(np.asarray(checks.real("box", box, above=0.0, shape=shape)), 2)
    return float(sides[0]), float(sides[1])


def _compass() -> Any:
    """Cyclic colour map without pale colours, which hide arrows on white."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("compass", [*PALETTE[:5], PALETTE[0]])


def _angles(headings: Any, n: int) -> np.ndarray:
    given = numbers("headings", headings, f"numbers [{n}] or [{n}, 2]")
    angle = np.arctan2(given[:, 1], given[:, 0]) if given.shape == (n, 2) else given
    if angle.shape != (n,):
        raise ValueError(f"headings: expected shape ({n},) or ({n}, 2), got {given.shape}")
    return angle
