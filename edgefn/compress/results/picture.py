"""The picture of a build: what each variant costs in time and in size, and how well it answers."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgefn.compress.outcome import Outcome
from edgefn.compress.recipe import ExtraMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_PX: Final = 1600  # twice what a README shows, for dense screens
_DPI: Final = 200
_ROW_INCHES: Final = 0.21
_COLOURS: Final = {"onnx": "#1f6fb4", "litert": "#c8551b"}
_OTHER: Final = "#3d7a4e"
_GREY: Final = "#9a9a9a"
_FAINT: Final = "#dddddd"
_OUTLIER_SPANS: Final = 1.0  # a refused variant this far below the others does not set the scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What says how well variants answer, with the reach of its confidence interval.

    Attributes:
        label: Of the axis.
        of: Returns (value, low, high) of a variant, or None if it was not measured.
    """

    label: str
    of: Callable[[Outcome], tuple[float, float, float] | None]


def quality_of(outcomes: Sequence[Outcome]) -> Quality:
    """Returns the best measure of quality that was taken: accuracy, else agreement, else SNR."""
    if any(each.accuracy for each in outcomes):
        return Quality(label="accuracy, %", of=lambda each: _percent(each, "accuracy"))
    if any(each.agreement for each in outcomes):
        return Quality(label="agreement, %", of=lambda each: _percent(each, "agreement"))
    return Quality(
        label="signal to noise, dB",
        of=lambda each: None if each.snr_db is None else (each.snr_db,) * 3,
    )


def _percent(outcome: Outcome, field: str) -> tuple[float, float, float] | None:
    found = outcome.accuracy if field == "accuracy" else outcome.agreement
    return (found.value * 100, found.low * 100, found.high * 100) if found else None


def draw(name: str, outcomes: Sequence[Outcome], device: str) -> bytes:
    """Returns a PNG: on the left size over latency, on the right how well each variant answers.

    Kept variants are in the colour of their backend, the others grey.

    Args:
        name: Of the function.
        outcomes: All variants; those that were not even made are not drawn.
        device: Name of the device that the latencies hold for.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExtraMissing(
            "the picture needs the extra 'compress': pip install 'edgefn[compress]'"
        ) from error
    drawn = [each for each in outcomes if each.size_bytes is not None]
    height = 1.3 + _ROW_INCHES * max(len(drawn), 7)
    figure = Figure(figsize=(WIDTH_PX / _DPI, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    _draw_costs(left, drawn, device)
    _draw_quality(right, drawn)
    figure.suptitle(f"{name}: kept variants in colour, the others grey", fontsize=9)
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png", metadata={"Software": None})
    return encoded.getvalue()


def _draw_costs(axes: "Axes", outcomes: Sequence[Outcome], device: str) -> None:
    """Draws size over latency; the numbers are those of the rows on the right."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    latencies_s = [each.p50_s for each in outcomes if each.p50_s is not None]
    unit, factor = ("µs", 1e6) if max(latencies_s, default=1.0) < 1e-3 else ("ms", 1e3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for number, each in enumerate(outcomes, start=1):
        if each.p50_s is None or each.size_bytes is None:
            continue
        at = (each.p50_s * factor, each.size_bytes / 1e3)
        axes.plot(*at, "o", color=_colour(each), markersize=11, alpha=0.9)
        axes.annotate(str(number), at, ha="center", va="center_baseline", fontsize=6, color="white")
    axes.margins(0.15)
    where = f" ({device})" if device else ""
    axes.set_xlabel(f"median latency, {unit}{where}", size=8)
    axes.set_ylabel("size, kB", size=8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    _plain(axes)


def _draw_quality(axes: "Axes", outcomes: Sequence[Outcome]) -> None:
    """Draws one row a variant, with the interval; one far below is told by its number."""
    quality = quality_of(outcomes)
    found = [quality.of(each) for each in outcomes]
    lowest = _lowest(outcomes, found)
    for row, (each, measured) in enumerate(zip(outcomes, found, strict=True)):
        if measured is None:
            continue
        value, low, high = measured
        colour = _colour(each)
        if value < lowest:
            text = f"◂ {value:.1f} ({each.state})"
            at_the_edge = axes.get_yaxis_transform()
            axes.text(0.01, row, text, va="center", fontsize=7, color=colour, transform=at_the_edge)
            continue
        axes.plot([max(low, lowest), high], [row, row], color=colour, linewidth=1.2, alpha=0.5)
        axes.plot(value, row, "o" if each.state != "refused" else "X", color=colour, markersize=5)
    names = [f"{each.name}  {number}" for number, each in enumerate(outcomes, start=1)]
    axes.set_yticks(range(len(outcomes)), names)
    for label, each in zip(axes.get_yticklabels(), outcomes, strict=True):
        label.set_color(_colour(each))
    axes.set_ylim(len(outcomes) - 0.5, -0.5)
    axes.set_xlabel(f"{quality.label}, with its 95 % interval", size=8)
    _plain(axes)


def _lowest(
    outcomes: Sequence[Outcome], found: Sequence[tuple[float, float, float] | None]
) -> float:
    """Returns where the axis of quality begins: low enough for all that are not outliers."""
    good = [
        measured
        for each, measured in zip(outcomes, found, strict=True)
        if measured is not None and each.state != "refused"
    ]
    measured = good or [each for each in found if each is not None]
    if not measured:
        return 0.0
    least = min(low for _, low, _ in measured)
    span = max(high for _, _, high in measured) - least
    return least - max(span, 1.0) * _OUTLIER_SPANS


def _plain(axes: "Axes") -> None:
    axes.grid(visible=True, color=_FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=7, which="both", length=2)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(outcome: Outcome) -> str:
    if outcome.state != "kept":
        return _GREY
    return _COLOURS.get(outcome.name.partition("-")[0], _OTHER)
