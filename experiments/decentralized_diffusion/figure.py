"""Figure of the decentralized-diffusion experiment: router's map, samples by expert, sheets."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.decentralized_diffusion.config import Config
from experiments.decentralized_diffusion.grid import MAP_TIMES
from experiments.harness.protocol import Results
from jaxswarm import plotting

EXTENT = 2.6


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw three rows: the router's map, samples on the grid by expert, sheets of images."""
    axes = plotting.panels(3, 4, width=3.9, height=4.0)
    grid = results["grid"]
    colors = _colors(config.experts)
    _draw_map(axes[0, :3], grid["figure"], colors)
    arms = grid["arms"]
    for ax, name, title in (
        (axes[0, 3], "unconditional top-1", "Top-1 without a condition"),
        (axes[1, 0], "test", "Data, by cluster"),
        (axes[1, 1], "monolith", "Monolith"),
        (axes[1, 2], "full", "Full ensemble, 16 classes"),
        (axes[1, 3], "top-1", "Top-1, 16 classes"),
    ):
        x = np.asarray(grid["figure"]["test"] if name == "test" else arms[name]["shown"])
        if name == "full":
            title = f"Full ensemble, {config.classes} classes"
        elif name == "top-1":
            title = f"Top-1, {config.classes} classes"
        nearest = np.linalg.norm(
            x[:, None] - np.asarray(grid["figure"]["modes"])[None], axis=-1
        ).argmin(1)
        cluster = np.asarray(grid["figure"]["cluster_of_mode"])[nearest]
        ax.scatter(x[:, 0], x[:, 1], s=3, c=colors[cluster], linewidths=0)
        plotting.stage(ax, x=(-EXTENT, EXTENT), y=(-EXTENT, EXTENT), title=title)
    _draw_sheets(axes[2], config, results["images"])
    plotting.save(axes[0, 0], path)


def _draw_map(axes: Any, figure: Results, colors: np.ndarray) -> None:
    """The expert of the largest probability at every point, paler where it is less certain."""
    for ax, time, chosen, certainty in zip(
        axes, MAP_TIMES, figure["map"], figure["certainty"], strict=True
    ):
        shade = np.asarray(certainty)[..., None]
        image = shade * colors[np.asarray(chosen).astype(int)] + (1 - shade)
        ax.imshow(image.swapaxes(0, 1), origin="lower", extent=(-EXTENT, EXTENT, -EXTENT, EXTENT))
        modes = np.asarray(figure["modes"])
        ax.scatter(modes[:, 0], modes[:, 1], s=3, c="black", linewidths=0)
        plotting.stage(
            ax,
            x=(-EXTENT, EXTENT),
            y=(-EXTENT, EXTENT),
            title=f"Router without condition, t = {time:g}",
        )


def _draw_sheets(axes: Any, config: Config, images: Results) -> None:
    """Samples of the first seed, one row for each class."""
    largest = config.image_experts[-1]
    names = ["data", "monolith"]
    if largest > 1:
        names += [f"{largest} experts full", f"{largest} experts top-1"]
    names = [name for name in names if name in images["sheet"]]
    for ax, name in zip(axes, names, strict=False):
        sheet = np.asarray(images["sheet"][name])
        sheet = np.pad(sheet, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-1.0)
        rows, columns, side, _ = sheet.shape
        tiled = sheet.transpose(0, 2, 1, 3).reshape(rows * side, columns * side)
        ax.imshow(tiled, cmap="gray_r", vmin=-1, vmax=1)
        distance = (
            "" if name == "data" else f", Fréchet {np.mean(images['arms'][name]['frechet']):.1f}"
        )
        plotting.stage(ax, title=f"{name[0].upper()}{name[1:]}{distance}")
    for ax in axes[len(names) :]:
        ax.set_axis_off()


def _colors(count: int) -> np.ndarray:
    """One color for each expert, ``[count, 3]``."""
    from matplotlib.colors import to_rgb

    return np.array([to_rgb(plotting.PALETTE[i % len(plotting.PALETTE)]) for i in range(count)])
