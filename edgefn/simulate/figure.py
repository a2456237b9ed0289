"""Figures: made without a screen, returned as PNG."""

import io
from typing import TYPE_CHECKING, Any, Final

from edgefn.compress.recipe import ExtraMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK: Final = "#1f6fb4"
GREY: Final = "#9a9a9a"
RED: Final = "#b3261e"
CAUSE_COLOURS: Final = {
    "queue": "#1f6fb4",
    "refused": "#8db8de",
    "compute": "#3d7a4e",
    "cold": "#7b5aa6",
    "network": "#c8551b",
    "lost": "#5c5c5c",
}
_FAINT: Final = "#dddddd"
_WIDTH_INCHES: Final = 8.0
_DPI: Final = 200  # twice what a README shows, for dense screens


def figure(height_inches: float) -> "Figure":
    """Returns an empty figure.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExtraMissing(
            "pictures need the extra 'compress': pip install 'edgefn[compress]'"
        ) from error
    made = Figure(figsize=(_WIDTH_INCHES, height_inches), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(made)
    return made


def png(made: "Figure") -> bytes:
    """Returns the file; equal figures give equal bytes."""
    encoded = io.BytesIO()
    made.savefig(encoded, format="png", metadata={"Software": None})
    return encoded.getvalue()


def plain(axes: "Axes", label: str, *, grid: Any = "both") -> None:
    """Takes off what says nothing, and names what goes upwards."""
    axes.set_ylabel(label, size=8)
    axes.grid(visible=True, axis=grid, color=_FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=7, length=2)
    axes.spines[["top", "right"]].set_visible(False)
