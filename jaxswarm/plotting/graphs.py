"""Drawings of topologies with agents coloured by a value.

Shapes: ``N`` agents, ``E`` directed edge slots.
"""

import math
from typing import Any

import numpy as np

from jaxswarm import checks
from jaxswarm.plotting.style import INK, axes, colorbar, limits_of, numbers, require_axes
from jaxswarm.topology.graph import Topology
from jaxswarm.topology.validation import require_topology

_LARGEST_SPRING_LAYOUT = 2_000
_HUB, _RIM = 0.49, 0.52  # of a wheel: circles on which edges end and bars begin


def graph(
    topology: Topology,
    values: Any,
    *,
    positions: Any = None,
    edges: Any = None,
    label: str = "",
    title: str = "",
    limits: tuple[float, float] | None = None,
    cmap: str = "viridis",
    node_size: float | None = None,
    ax: Any = None,
) -> Any:
    """Draw a topology with each agent's node coloured by its value.

    Args:
        topology: a single topology.
        values: ``[N]``; NaN nodes are drawn hollow.
        positions: ``[N, 2]``. By default circulant graphs lie on a circle, others are laid out by
            springs, beyond 2000 agents by the graph's spectrum.
        edges: ``[E]``, a number per directed edge such as its mixing weight, averaged over both
            directions; its size is drawn as thickness, and negative ones are dashed.
        label: of the colour bar.
        title: one line.
        limits: of the colour scale; the finite values' range by default.
        cmap: a matplotlib colour map.
        node_size: area in points²; by default it shrinks with ``N``.
        ax: axes to draw into.

    Raises:
        ValueError: if ``topology`` is a sequence, or ``values``, ``positions`` or
            ``edges`` do not fit it.
    """
    from matplotlib.collections import LineCollection

    _require_single(topology)
    n = topology.num_agents
    value = numbers("values", values, f"numbers [{n}]")
    if value.shape != (n,):
        raise ValueError(f"values: expected shape ({n},), one per agent, got {value.shape}")
    at = (
        layout(topology)
        if positions is None
        else numbers("positions", positions, f"numbers [{n}, 2]")
    )
    if at.shape != (n, 2):
        raise ValueError(f"positions: expected shape ({n}, 2), got {at.shape}")
    if node_size is not None:
        checks.real("node_size", node_size, 0.0)
    ax = axes(width=5.6, height=4.8) if ax is None else require_axes(ax)
    ends, slot = _undirected(topology)
    alpha = float(np.clip(14.0 / math.sqrt(len(ends) + 1.0), 0.06, 0.75))
    width, dashes = _strokes(topology, edges, slot)
    ax.add_collection(
        LineCollection(
            list(at[ends]),
            colors="#7A7A7A",
            linewidths=width,
            linestyles=dashes,
            alpha=alpha,
            zorder=1,
        )
    )
    finite = np.isfinite(value)
    size = float(np.clip(9_000.0 / n, 6.0, 240.0)) if node_size is None else node_size
    low, high = limits_of(limits, value[finite])
    ax.scatter(
        *at[~finite].T, s=size, facecolor="white", edgecolor="#9A9A9A", linewidth=1.0, zorder=2
    )
    dots = ax.scatter(
        *at[finite].T,
        c=value[finite],
        s=size,
        cmap=cmap,
        vmin=low,
        vmax=high,
        edgecolor="white",
        linewidth=min(0.8, math.sqrt(size) / 12.0),
        zorder=3,
    )
    colorbar(ax, dots, label)
    ax.set_aspect("equal")
    ax.margins(0.06)
    ax.set_axis_off()
    if title:
        ax.set_title(title, loc="left", fontsize=13, color=INK, pad=8)
    return ax


def wheel(
    topology: Topology,
    values: Any,
    *,
    label: str = "",
    title: str = "",
    limits: tuple[float, float] | None = None,
    cmap: str = "viridis",
    ax: Any = None,
) -> Any:
    """Draw many agents on a circle, each as a bar of its value, and the edges of one of them.

    For graphs in which all agents look alike, such as rings and exponential graphs of hundreds of
    agents, whose nodes and edges :func:`graph` can only draw over one another. Bars begin at 0 and
    end at the outer circle for the largest value or the upper limit; the edges on which agent 0, at
    the top, receives are dark, all others faint.

    Args:
        topology: a single topology.
        values: ``[N]``, at least 0; NaN agents have no bar.
        label: of the colour bar.
        title: one line.
        limits: of the colour scale; the finite values' range by default.
        cmap: a matplotlib colour map.
        ax: axes to draw into.

    Raises:
        ValueError: if ``topology`` is a sequence, or ``values`` do not fit it or are negative.
    """
    from matplotlib.collections import LineCollection, PolyCollection

    _require_single(topology)
    n = topology.num_agents
    value = numbers("values", values, f"numbers [{n}]")
    if value.shape != (n,):
        raise ValueError(f"values: expected shape ({n},), one per agent, got {value.shape}")
    finite = np.isfinite(value)
    if (value[finite] < 0).any():
        raise ValueError(f"values: expected numbers ≥ 0, got {value[finite].min()}")
    low, high = limits_of(limits, value[finite])
    ax = axes(width=5.6, height=4.8) if ax is None else require_axes(ax)
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    at = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    ends, _ = _undirected(topology)
    mask = np.asarray(topology.mask) & (np.asarray(topology.receivers) == 0)
    heard = np.asarray(topology.senders)[mask]
    own = (ends[:, 0] == 0) & np.isin(ends[:, 1], heard)  # the smaller id comes first
    for chosen, color, width, alpha in (
        (ends[~own], "#7A7A7A", 0.4, float(np.clip(60.0 / (len(ends) + 1.0), 0.03, 0.5))),
        (ends[own], INK, 1.1, 0.9),
    ):
        lines = list(_HUB * at[chosen])
        ax.add_collection(LineCollection(lines, colors=color, linewidths=width, alpha=alpha))
    half = 0.85 * np.pi / n
    outer = _RIM + (1.0 - _RIM) * value / max(high, float(value[finite].max(initial=0.0)), 1e-12)
    corners = [
        radius[:, None] * np.stack([np.cos(angle + side), np.sin(angle + side)], axis=1)
        for radius, side in (
            (np.full(n, _RIM), -half), (outer, -half), (outer, half), (np.full(n, _RIM), half)
        )
    ]  # fmt: skip
    bars = PolyCollection(list(np.stack(corners, axis=1)[finite]), cmap=cmap, linewidths=0)
    bars.set_array(value[finite])
    bars.set_clim(low, high)
    ax.add_collection(bars)
    colorbar(ax, bars, label)
    ax.set(xlim=(-1.04, 1.04), ylim=(-1.04, 1.04))
    ax.set_aspect("equal")
    ax.set_axis_off()
    if title:
        ax.set_title(title, loc="left", fontsize=13, color=INK, pad=8)
    return ax


def layout(topology: Topology) -> np.ndarray:
    """Positions for drawing, ``[N, 2]``: circle, springs or spectrum, as in :func:`graph`.

    Raises:
        ValueError: if ``topology`` is not a single topology.
    """
    _require_single(topology)
    n = topology.num_agents
    if topology.offsets is not None or n <= 2:
        angle = np.pi / 2 - 2 * np.pi * np.arange(n) / max(n, 1)
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    import networkx as nx

    network = nx.Graph()
    network.add_nodes_from(range(n))
    network.add_edges_from(_undirected(topology)[0].tolist())
    found = nx.spectral_layout(network)
    if n <= _LARGEST_SPRING_LAYOUT:
        # In symmetric graphs agents coincide in the spectrum, and springs cannot separate them.
        jitter = np.random.default_rng(0).normal(scale=1e-3, size=(n, 2))
        start = {i: found[i] + jitter[i] for i in range(n)}
        rounds = int(np.clip(12_000 / n, 6, 60))
        found = nx.spring_layout(network, pos=start, seed=0, iterations=rounds)
    return _without_outliers(np.array([found[i] for i in range(n)]))


def _require_single(topology: Any) -> None:
    require_topology(topology)
    if topology.is_sequence:
        raise ValueError("topology: expected a single topology, got a sequence; pass topology[t]")


def _without_outliers(at: np.ndarray) -> np.ndarray:
    """Move outliers, such as isolated agents, to the rim of the other agents."""
    from_middle = at - np.median(at, axis=0)
    distance = np.linalg.norm(from_middle, axis=1, keepdims=True)
    rim = 1.3 * np.quantile(distance, 0.9)
    return from_middle * np.minimum(1.0, rim / np.maximum(distance, 1e-12))


def _undirected(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """Each linked pair once, ``[M, 2]``, smaller id first; and the pair of every unmasked slot."""
    mask = np.asarray(topology.mask)
    pairs = np.stack([np.asarray(topology.senders)[mask], np.asarray(topology.receivers)[mask]], 1)
    unique, slot = np.unique(np.sort(pairs, axis=1), axis=0, return_inverse=True)
    return unique, slot.reshape(-1)


def _strokes(topology: Topology, edges: Any, slot: np.ndarray) -> tuple[Any, Any]:
    """Line widths and styles of the undirected edges."""
    if edges is None:
        return 0.8, "solid"
    value = numbers("edges", edges, "one number per directed edge")
    if value.shape != topology.mask.shape:
        raise ValueError(
            f"edges: expected one number per directed edge, shape {topology.mask.shape}, "
            f"got {value.shape}"
        )
    value = value[np.asarray(topology.mask)]
    size = np.bincount(slot, weights=value) / np.maximum(np.bincount(slot), 1)
    largest = np.abs(size).max(initial=0.0)
    width = 0.3 + 4.7 * np.abs(size) / (largest if largest > 0 else 1.0)
    return width, ["solid" if s >= 0 else (0, (1.2, 1.2)) for s in size]
