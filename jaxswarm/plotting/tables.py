"""Heat maps: matrices as coloured tables of numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.plotting.style import INK, axes, colorbar, limits_of, numbers, tidy, titles

_LEVEL_NAMES = 8  # characters; columns with longer names are labelled at a slant


def heatmap(
    matrix: Any,
    rows: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    format: str = ".2f",
    label: str = "",
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    limits: tuple[float, float] | None = None,
    cmap: str = "Blues",
    ax: Any = None,
) -> Any:
    """Draw a heat map: a table of numbers coloured by value.

    Args:
        matrix: ``[rows, columns]``; NaN cells stay blank.
        rows: names of the rows.
        columns: names of the columns.
        format: of the numbers in the cells; empty for none.
        label: of the colour bar.
        title: one line.
        xlabel: label of the columns.
        ylabel: label of the rows.
        limits: of the colour scale; the finite values' range by default.
        cmap: a matplotlib colour map.
        ax: axes to draw into.

    Raises:
        ValueError: if ``matrix`` is not two-dimensional, the number of names does not fit it, or
            ``format`` or ``limits`` is none.
    """
    x = numbers("matrix", matrix, "numbers [rows, columns]")
    if x.ndim != 2:
        raise ValueError(f"matrix: expected [rows, columns], got shape {x.shape}")
    for name, given, extent in (("rows", rows, x.shape[0]), ("columns", columns, x.shape[1])):
        if given is None:
            continue
        if isinstance(given, str) or not hasattr(given, "__len__"):
            raise ValueError(f"{name}: expected {extent} names, got {checks.shown(given)}")
        if len(given) != extent:
            raise ValueError(f"{name}: expected {extent} names, got {len(given)}")
    _check_format(format)
    if ax is None:
        ax = axes(width=2.4 + 0.8 * x.shape[1], height=1.4 + 0.55 * x.shape[0])
    tidy(ax, grid=False)
    low, high = limits_of(limits, x[np.isfinite(x)])
    image = ax.imshow(x, cmap=cmap, vmin=low, vmax=high, aspect="auto")
    for (i, j), value in np.ndenumerate(x):
        if format and np.isfinite(value):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
            ink = "white" if dark else INK
            ax.text(j, i, f"{value:{format}}", ha="center", va="center", color=ink, fontsize=11)
    if rows is not None:
        ax.set_yticks(range(x.shape[0]), list(rows))
    if columns is not None:
        ax.set_xticks(range(x.shape[1]), list(columns))
        if max(len(str(name)) for name in columns) > _LEVEL_NAMES:
            ax.tick_params(axis="x", labelrotation=30)
            for name in ax.get_xticklabels():
                name.set(ha="right", rotation_mode="anchor")
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    colorbar(ax, image, label)
    titles(ax, title, xlabel, "")
    ax.set_ylabel(ylabel)
    return ax


def _check_format(format: Any) -> None:
    try:
        f"{0.0:{format}}"
    except (TypeError, ValueError):
        raise ValueError(
            f"format: expected one of a number such as '.2f', got {checks.shown(format)}"
        ) from None
