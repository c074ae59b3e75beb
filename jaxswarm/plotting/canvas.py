"""Figures and axes that show themselves in a notebook, although no pyplot keeps track of them.

Imports matplotlib, so only :mod:`jaxswarm.plotting.style` imports it, for the first figure.
"""

from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_DPI = 144
_WIDTH = 84  # CSS pixels an inch, so that dense screens have pixels to spare


class Picture(Figure):
    """A figure that a notebook displays as a PNG."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]]:
        file = BytesIO()
        self.savefig(file, format="png", dpi=_DPI, facecolor="white", metadata={"Software": None})
        return file.getvalue(), {"width": round(self.get_figwidth() * _WIDTH)}


class PictureAxes(Axes):
    """Axes of a :class:`Picture`; ending a cell with them displays the whole figure."""

    def _repr_png_(self) -> tuple[bytes, dict[str, Any]] | None:
        figure: Any = self.figure
        return figure._repr_png_() if isinstance(figure, Picture) else None
