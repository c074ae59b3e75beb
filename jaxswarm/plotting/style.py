"""The figure style of the package: palette, axes, labels, and writing a figure to disk.

Figures are made without pyplot, so they need no display and are not kept open; as the last
expression of a notebook cell, axes or figures are displayed.

References:
    M. Okabe, K. Ito, Color universal design, 2008 (a palette for colour-blind readers).
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxswarm import checks

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#5A5A5A", "#8C6D1F")
INK = "#333333"
GRAY = "#666666"
FAINT = "#E4E4E4"


def axes(*, width: float = 6.4, height: float = 4.0) -> Any:
    """Make axes of a new figure in the package's style; sizes in inches.

    Raises:
        ValueError: for a size that is not above 0.
    """
    return tidy(_figure(width, height).subplots(subplot_kw=_axes_class()))


def panels(rows: int, columns: int, *, width: float = 4.8, height: float = 3.6) -> Any:
    """Make an array ``[rows, columns]`` of axes of one figure; sizes of one panel in inches.

    Raises:
        ValueError: for fewer than one row or column, or a size that is not above 0.
    """
    rows, columns = checks.whole("rows", rows, 1), checks.whole("columns", columns, 1)
    checks.real("width", width, above=0.0)
    checks.real("height", height, above=0.0)
    figure = _figure(width * columns, height * rows)
    grid = figure.subplots(rows, columns, squeeze=False, subplot_kw=_axes_class())
    for ax in grid.flat:
        tidy(ax)
    return grid


def tidy(ax: Any, *, grid: bool = True) -> Any:
    """Apply the package's style to axes: two spines, light grid behind the data, readable sizes.

    Raises:
        ValueError: if ``ax`` is not matplotlib axes.
    """
    require_axes(ax)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#9A9A9A")
    ax.tick_params(which="both", colors=INK, labelsize=11, length=3, color="#9A9A9A")
    ax.set_axisbelow(True)
    if grid:
        ax.grid(True, color=FAINT, linewidth=0.8)
    else:
        ax.grid(False)
    for text in (ax.xaxis.label, ax.yaxis.label):
        text.set(fontsize=12, color=INK)
    return ax


def save(figure: Any, path: str | Path, *, dpi: int = 160) -> Path:
    """Write a figure (or the figure of some axes) to a file, deterministically; returns the path.

    Parent folders are created. The file contains no date or program version, so equal figures give
    equal bytes.

    Raises:
        ValueError: if ``figure`` is neither a figure nor axes, or ``path`` names no file.
    """
    from matplotlib import rc_context

    whole = getattr(figure, "figure", None) or figure
    if not hasattr(whole, "savefig"):
        raise ValueError(
            f"figure: expected a matplotlib figure or axes, got {checks.shown(figure)}"
        )
    path = file_path("path", path)
    checks.real("dpi", dpi, above=0.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = path.suffix.lower()
    metadata: dict[str, Any] = {"Software": None} if kind == ".png" else {}
    if kind in (".pdf", ".ps", ".eps"):
        metadata = {"CreationDate": None}
    if kind == ".svg":
        metadata = {"Date": None}
    with rc_context({"svg.hashsalt": "jaxswarm"}):
        whole.savefig(path, dpi=dpi, facecolor="white", metadata=metadata)
    return path


def require_axes(ax: Any) -> Any:
    """Check that a value is matplotlib axes and return it.

    Raises:
        ValueError: naming what came.
    """
    if not (hasattr(ax, "add_collection") and hasattr(ax, "spines")):
        raise ValueError(f"ax: expected matplotlib axes, got {checks.shown(ax)}")
    return ax


def numbers(name: str, value: Any, wanted: str) -> np.ndarray:
    """Convert what a caller gave to a float64 array; NaN is allowed.

    Raises:
        ValueError: if it does not consist of numbers, naming ``wanted``.
    """
    return checks.as_array(name, value, wanted).astype(np.float64)


def mapping(name: str, value: Any) -> Any:
    """Check that a value maps names to something and return it.

    Raises:
        ValueError: naming what came.
    """
    return checks.instance(name, value, Mapping, '{"ring": values}')


def limits_of(limits: Any, finite: np.ndarray) -> tuple[float, float]:
    """Return the limits of a colour scale, by default the span of the values.

    Raises:
        ValueError: unless ``limits`` is a lower and a higher number, or ``None``.
    """
    if limits is None:
        return span(finite)
    low, high = np.asarray(checks.real("limits", limits, shape=2), dtype=np.float64).tolist()
    if not low <= high:
        raise ValueError(f"limits: expected a lower and a higher number, got {limits}")
    return low, high


def file_path(name: str, path: Any) -> Path:
    """Return the path of a file to write.

    Raises:
        ValueError: if it is no path, or names no file.
    """
    checks.instance(name, path, (str, os.PathLike), '"figure.png"')
    if not Path(path).name:
        raise ValueError(f"{name}: expected the name of a file, got {str(path)!r}")
    return Path(path)


def _figure(width: float, height: float) -> Any:
    checks.real("width", width, above=0.0)
    checks.real("height", height, above=0.0)
    from jaxswarm.plotting.canvas import Picture

    figure = Picture(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.12)  # type: ignore[union-attr]
    return figure


def _axes_class() -> dict[str, Any]:
    from jaxswarm.plotting.canvas import PictureAxes

    return {"axes_class": PictureAxes}


def titles(ax: Any, title: str, xlabel: str, ylabel: str) -> None:
    """Set the title and labels; the vertical axis is labelled above the axes, horizontally."""
    ax.set_xlabel(xlabel)
    if title:
        ax.set_title(title, loc="left", fontsize=13, color=INK, pad=27 if ylabel else 9)
    if ylabel:
        note(ax, ylabel)


def note(ax: Any, text: str) -> None:
    """Add small grey text above the left corner of axes, with space reserved by the layout."""
    ax.annotate(
        text,
        (0, 1),
        xytext=(0, 9),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=11,
        color=GRAY,
    )


def colorbar(ax: Any, drawn: Any, label: str) -> None:
    """Add a labelled colour bar close to the axes, also where their aspect makes them narrow."""
    bar = ax.figure.colorbar(drawn, cax=ax.inset_axes((1.03, 0.0, 0.045, 1.0)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=10, colors=INK, length=0)
    if label:
        note(bar.ax, label)


def span(finite: np.ndarray) -> tuple[float, float]:
    """Range of finite values, widened if it has width zero."""
    if not finite.size:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)
