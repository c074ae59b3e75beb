"""Building blocks of environment renderings: bare axes, discs, grids of tiles, and animations."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.plotting.style import INK, axes, file_path, mapping, numbers, require_axes


def stage(
    ax: Any,
    *,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    title: str = "",
    equal: bool = True,
) -> Any:
    """Prepare axes without ticks inside a thin frame, for drawings of an environment.

    Args:
        ax: axes to prepare.
        x: limits from left to right; by default those of the content.
        y: limits from bottom to top.
        title: one line.
        equal: equal scales of both axes.

    Raises:
        ValueError: if ``ax`` is not matplotlib axes, or limits are not two numbers.
    """
    require_axes(ax)
    for name, limits in (("x", x), ("y", y)):
        if limits is not None:
            checks.real(name, limits, shape=2)
    ax.grid(False)
    ax.set(xticks=[], yticks=[], xlim=x, ylim=y)
    if equal:
        ax.set_aspect("equal")
    for spine in ax.spines.values():
        spine.set(visible=True, color="#C8C8C8")
    if title:
        ax.set_title(title, loc="left", fontsize=13, color=INK, pad=8)
    return ax


def discs(
    ax: Any,
    positions: Any,
    radius: Any,
    color: Any,
    *,
    label: str = "",
    alpha: float = 1.0,
    layer: float = 2.0,
) -> Any:
    """Draw filled circles in the units of the axes.

    Args:
        ax: axes to draw into.
        positions: ``[M, 2]``; ``M`` may be 0.
        radius: one for all, or ``[M]``.
        color: one for all, or one each.
        label: for a legend.
        alpha: opacity.
        layer: drawing order; higher layers cover lower ones.

    Raises:
        ValueError: if positions are not ``[M, 2]``, or there is not one radius, or one each.
    """
    from matplotlib.collections import EllipseCollection

    require_axes(ax)
    at = numbers("positions", positions, "numbers [M, 2]")
    if at.ndim != 2 or at.shape[1] != 2:
        raise ValueError(f"positions: expected [M, 2], got shape {at.shape}")
    shape = (len(at),) if np.ndim(radius) else ()
    checks.real("radius", radius, 0.0, shape=shape)
    checks.probability("alpha", alpha)
    width = 2.0 * np.broadcast_to(np.asarray(radius, dtype=np.float64), len(at))
    drawn = EllipseCollection(
        width,
        width,
        np.zeros(len(at)),
        offsets=at,
        units="xy",
        transOffset=ax.transData,
        facecolors=color,
        edgecolors="white",
        linewidths=0.6,
        alpha=alpha,
        zorder=layer,
        label=label,
    )
    return ax.add_collection(drawn)


def tiles(
    ax: Any, codes: Any, colors: Mapping[int, str], *, symbols: Mapping[int, str] | None = None
) -> Any:
    """Draw a grid of coloured cells, row 0 on top; cell ``(r, c)`` is centred on ``x = c, y = r``.

    Args:
        ax: axes to draw into.
        codes: ``int[H, W]``.
        colors: colour of every code that occurs.
        symbols: short text written into the cells of a code.

    Raises:
        ValueError: if codes are not ``[H, W]``, or one has no colour.
    """
    from matplotlib.colors import to_rgb

    require_axes(ax)
    mapping("colors", colors)
    if symbols is not None:
        mapping("symbols", symbols)
    grid = checks.as_array("codes", codes, "whole numbers [H, W]")
    if grid.ndim != 2 or grid.size == 0:
        raise ValueError(f"codes: expected [H, W], got shape {grid.shape}")
    missing = sorted(set(np.unique(grid).tolist()) - set(colors))
    if missing:
        raise ValueError(f"colors: expected one for every code, got none for {missing}")
    image = np.zeros((*grid.shape, 3))
    for code, color in colors.items():
        image[grid == code] = to_rgb(color)
    ax.imshow(image, interpolation="nearest", zorder=0)
    for code, symbol in (symbols or {}).items():
        for row, column in np.argwhere(grid == code):
            ax.text(column, row, symbol, ha="center", va="center", fontsize=9, color=INK, zorder=3)
    rows, columns = grid.shape
    lines = {"color": "white", "linewidth": 0.8, "zorder": 1}
    ax.hlines(np.arange(rows + 1) - 0.5, -0.5, columns - 0.5, **lines)
    ax.vlines(np.arange(columns + 1) - 0.5, -0.5, rows - 0.5, **lines)
    return stage(ax, x=(-0.5, columns - 0.5), y=(rows - 0.5, -0.5))


def movie(
    draw: Callable[[Any, int], Any],
    num_frames: int,
    interval: float = 100.0,
    save_path: str | Path | None = None,
    *,
    width: float = 4.5,
    height: float = 4.5,
    dpi: int = 90,
) -> Any:
    """Make a matplotlib animation from a drawing function; written to ``save_path`` if given.

    Args:
        draw: ``draw(ax, frame)`` into empty axes.
        num_frames: at least 1.
        interval: milliseconds between frames.
        save_path: a file name that ends in ``.gif``, or in ``.mp4`` (which needs the program
            ``ffmpeg``); parent folders are created.
        width: of the figure, inches.
        height: likewise.
        dpi: dots per inch.

    Raises:
        ValueError: without frames, for another kind of file, or ``.mp4`` without ffmpeg.
    """
    checks.function("draw", draw)
    num_frames = checks.whole("num_frames", num_frames, 1)
    film = Film(interval, save_path, dpi)
    ax = axes(width=width, height=height)

    def redraw(frame: int) -> list[Any]:
        ax.clear()
        draw(ax, frame)
        return []

    return film.of(ax.figure, redraw, num_frames)


class Film:
    """Checks what all animations take, before anything is drawn, and makes them.

    Args:
        interval: milliseconds between frames.
        save_path: a file that ends in ``.gif`` or ``.mp4``, or ``None``.
        dpi: dots per inch of the file.

    Raises:
        ValueError: naming the argument.
    """

    def __init__(self, interval: float, save_path: str | Path | None, dpi: int):
        checks.real("interval", interval, above=0.0)
        checks.real("dpi", dpi, above=0.0)
        self._interval, self._path, self._dpi = interval, save_path, dpi
        fps = 1000.0 / interval
        self._writer = None if save_path is None else animation_writer(save_path, fps=fps)

    def of(self, figure: Any, draw: Callable[[int], Any], num_frames: int) -> Any:
        """Matplotlib's animation, written to the file if there is one."""
        from matplotlib.animation import FuncAnimation

        animation = FuncAnimation(
            figure, draw, frames=num_frames, interval=self._interval, blit=False
        )
        if self._writer is not None:
            assert self._path is not None
            animation.save(self._path, self._writer, dpi=self._dpi)
        return animation


def animation_writer(save_path: str | Path, *, fps: float) -> Any:
    """Matplotlib's writer for an animation file; creates the file's parent folders.

    Raises:
        ValueError: unless the name ends in ``.gif``, or in ``.mp4`` and ffmpeg is installed.
    """
    from matplotlib.animation import FFMpegWriter, PillowWriter

    writers: dict[str, Any] = {".gif": PillowWriter, ".mp4": FFMpegWriter}
    path = file_path("save_path", save_path)
    kind = path.suffix.lower()
    if kind not in writers:
        raise ValueError(f"save_path: expected a name that ends in .gif or .mp4, got {save_path}")
    if kind == ".mp4" and not FFMpegWriter.isAvailable():
        raise ValueError(
            "save_path: expected a name that ends in .gif, as .mp4 needs the program ffmpeg, which "
            f"is not installed, got {save_path}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return writers[kind](fps=fps)
