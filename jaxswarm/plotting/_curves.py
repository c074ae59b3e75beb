"""Learning curves, disagreement and effects, with their spread over seeds.

Shapes: ``S`` seeds, ``T`` points of a curve.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.plotting.style import INK, PALETTE, axes, mapping, numbers, tidy, titles


def curves(
    series: Mapping[str, Any],
    x: Any = None,
    *,
    xlabel: str = "round",
    ylabel: str = "",
    title: str = "",
    log: bool = False,
    band: tuple[float, float] | None = (25.0, 75.0),
    colors: Mapping[str, str] | None = None,
    ax: Any = None,
) -> Any:
    """Draw learning curves: median over seeds with a band, labelled at the right end.

    Args:
        series: name -> ``[S, T]`` over seeds, or ``[T]``; NaN entries are left out.
        x: ``[T]`` common positions, or name -> ``[T]``; the index by default.
        xlabel: label of the horizontal axis.
        ylabel: label of the vertical axis, above it and horizontal.
        title: one line.
        log: logarithmic vertical axis; values that are not positive are left out.
        band: percentiles over seeds that the band spans; ``None`` for no band.
        colors: name -> colour; by default in the palette's order.
        ax: axes to draw into.

    Returns:
        The matplotlib axes.

    Raises:
        ValueError: if there are no series, one is not ``[S, T]`` or ``[T]``, or ``x`` does not fit.

    Example:
        >>> import numpy as np
        >>> from jaxswarm import plotting
        >>> accuracy = {"ring": np.linspace(0.1, 0.8, 20), "complete": np.linspace(0.1, 0.9, 20)}
        >>> ax = plotting.curves(accuracy, ylabel="accuracy")
        >>> ax.get_xlabel(), len(ax.lines)
        ('round', 2)
    """
    mapping("series", series)
    chosen = mapping("colors", {} if colors is None else colors)
    band = _band(band)
    if not series:
        raise ValueError("series: expected at least one curve, got none")
    ax = axes() if ax is None else tidy(ax)
    ends: list[tuple[str, str, float]] = []
    if log:
        ax.set_yscale("log")
    for position, (name, values) in enumerate(series.items()):
        y = _curve(values, name)
        at = _positions(x, name, y.shape[1])
        if at.shape != y.shape[1:]:
            raise ValueError(f"x: expected shape {y.shape[1:]} like {name!r}, got {at.shape}")
        if log:
            y = np.where(y > 0.0, y, np.nan)
        color = chosen.get(name, PALETTE[position % len(PALETTE)])
        low, middle, high = _percentiles(y, band)
        ax.plot(at, middle, color=color, linewidth=2.2, label=name, solid_capstyle="round")
        if band is not None and y.shape[0] > 1:
            ax.fill_between(at, low, high, color=color, alpha=0.18, linewidth=0)
        known = middle[np.isfinite(middle)]
        if len(known):
            ends.append((name, color, float(known[-1])))
    ax.margins(x=0.01)
    titles(ax, title, xlabel, ylabel)
    if len(series) > 1:
        _label_ends(ax, ends)
    return ax


def disagreement(
    series: Mapping[str, Any],
    x: Any = None,
    *,
    ylabel: str = "disagreement",
    **options: Any,
) -> Any:
    """Draw consensus errors over rounds on a logarithmic axis; arguments as in :func:`curves`."""
    return curves(series, x, ylabel=ylabel, log=True, **options)


def intervals(
    effects: Mapping[str, Any],
    *,
    threshold: float | None = None,
    xlabel: str = "effect",
    title: str = "",
    ax: Any = None,
) -> Any:
    """Draw effects with their confidence intervals, one row each, and an optional threshold.

    Args:
        effects: name -> ``statistics.Comparison`` or ``Summary``, or ``(effect, low, high)``.
        threshold: drawn as a dashed line; rows whose effect is below it are grey.
        xlabel: label of the effect.
        title: one line.
        ax: axes to draw into.

    Raises:
        ValueError: if there are no effects, or one is neither of these.
    """
    mapping("effects", effects)
    if not effects:
        raise ValueError("effects: expected at least one, got none")
    if threshold is not None:
        checks.real("threshold", threshold)
    ax = axes(height=1.3 + 0.42 * len(effects)) if ax is None else tidy(ax)
    for row, (name, given) in enumerate(effects.items()):
        effect, low, high = _effect(name, given)
        reached = threshold is None or effect >= threshold
        color = PALETTE[0] if reached else "#9A9A9A"
        ax.plot([low, high], [row, row], color=color, linewidth=2.4, solid_capstyle="round")
        ax.plot([effect], [row], "o", color=color, markersize=7, label=name)
    if threshold is not None:
        ax.axvline(threshold, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
    else:
        ax.axvline(0.0, color="#9A9A9A", linewidth=1.0, zorder=0)
    ax.set_yticks(range(len(effects)), list(effects))
    ax.set_ylim(len(effects) - 0.5, -0.5)
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    titles(ax, title, xlabel, "")
    return ax


def _positions(x: Any, name: str, count: int) -> np.ndarray:
    if isinstance(x, Mapping):
        if name not in x:
            raise ValueError(f"x: expected positions for {name!r}, got {sorted(x)}")
        x = x[name]
    if x is None:
        return np.arange(count)
    try:
        return np.asarray(x)
    except ValueError:  # ragged
        raise ValueError(f"x: expected positions [T], got {checks.shown(x)}") from None


def _band(band: Any) -> tuple[float, float] | None:
    if band is None:
        return None
    checked = checks.real("band", band, 0.0, 100.0, shape=2)
    low, high = np.asarray(checked, dtype=np.float64).tolist()
    if low > high:
        raise ValueError(f"band: expected a lower and a higher percentile, got {band}")
    return low, high


def _effect(name: str, given: Any) -> tuple[float, float, float]:
    """``(effect, low, high)`` of a comparison, a summary or the three numbers."""
    effect = getattr(given, "effect", getattr(given, "value", None))
    found = given if effect is None else (effect, *given.interval)
    three = checks.real(f"effects[{name!r}]", found, shape=3, infinite=True)
    effect, low, high = np.asarray(three, dtype=np.float64).tolist()
    return effect, low, high


def _curve(values: Any, name: str) -> np.ndarray:
    y = numbers(f"series[{name!r}]", values, "numbers [S, T] or [T]")
    if y.ndim == 1:
        y = y[None]
    if y.ndim != 2 or y.size == 0:
        raise ValueError(f"series[{name!r}]: expected [S, T] or [T], got shape {np.shape(values)}")
    return y


def _percentiles(y: np.ndarray, band: tuple[float, float] | None) -> np.ndarray:
    low, high = band or (50.0, 50.0)
    found = np.full((3, y.shape[1]), np.nan)
    some = np.isfinite(y).any(axis=0)
    y = np.where(np.isfinite(y), y, np.nan)
    if some.any():
        found[:, some] = np.nanpercentile(y[:, some], (low, 50.0, high), axis=0)
    return found


def _label_ends(ax: Any, ends: list[tuple[str, str, float]]) -> None:
    """Write names at the right ends of their lines, moved apart where lines end close together.

    A thin line leads from the end of a line to a name that had to move.
    """
    ax.autoscale_view()  # limits are computed lazily; the labels need them now
    heights = ax.transAxes.inverted().transform(
        ax.transData.transform([(0.0, end) for _, _, end in ends])
    )[:, 1]
    rows = ax.get_subplotspec().get_gridspec().nrows if ax.get_subplotspec() else 1
    gap = 14.0 / 72.0 / (0.75 * ax.figure.get_figheight() / rows)
    order = np.argsort(heights)
    spread = heights[order].copy()
    for _ in range(200):
        for k in range(len(spread) - 1):
            lack = max(0.0, gap - float(spread[k + 1] - spread[k]))
            spread[k] -= lack / 2
            spread[k + 1] += lack / 2
        spread += max(0.0, -float(spread[0])) - max(0.0, float(spread[-1]) - 1.0)
    moves = bool((np.abs(spread - heights[order]) > 0.4 * gap).any())
    for k, height in zip(order, spread, strict=True):
        name, color, _ = ends[k]
        leader = {
            "arrowstyle": "-",
            "color": color,
            "linewidth": 0.9,
            "shrinkA": 2.0,
            "shrinkB": 0.0,
            "relpos": (0.0, 0.5),
        }
        ax.annotate(
            name,
            (1.005, float(np.clip(heights[k], 0.0, 1.0))),
            xytext=(1.05, float(height)) if moves else (7, 0),
            xycoords="axes fraction",
            textcoords="axes fraction" if moves else "offset points",
            arrowprops=leader if moves else None,
            va="center",
            fontsize=11,
            color=color,
        )
