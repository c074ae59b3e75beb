"""Figures and axes that notebooks display without pyplot.

Imports matplotlib, so only :mod:`jaxswarm.plotting.style` imports it, for the first figure.
"""

from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_DPI = 144
_WIDTH = 84  # CSS pixels per inch, fewer than the PNG's, for high-density screens


class Picture(Figure):
    """A figure that a notebook displays as a PNG."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        file = BytesIO()
        self.savefig(file, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
        return file.getvalue(), {"width": round(self.get_figwidth() * _WIDTH)}


class PictureAxes(Axes):
    """Axes of a :class:`Picture`; as a cell's last expression they display the whole figure."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]] | None:
        figure: Any = self.figure
        return figure._repr_png_() if isinstance(figure, Picture) else None
