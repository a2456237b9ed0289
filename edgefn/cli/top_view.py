"""How `edgefn top` looks: as many columns as the terminal has room for."""

from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from edgefn.cli import output
from edgefn.cli.rates import BoxRates, FunctionRates

_IN_TIME: Final = ((0.99, "green"), (0.95, "yellow"), (0.0, "red"))
# Columns beyond the first ones, with the width of terminal from which on there is room for them.
_WIDER: Final = (
    (50, "p50 ms"), (62, "at work"), (72, "replicas"), (96, "misses/s"), (128, "sent to"),
    (150, "wait, run"),
)  # fmt: skip


class TopView:
    """One picture of a box, made for the width that it is given.

    Args:
        url: Of the box.
        rates: Of the last interval; None: there was none yet.
        trouble: Why there is nothing newer, or empty.
    """

    def __init__(self, url: str, rates: BoxRates | None, trouble: str = "") -> None:
        self._url = url
        self._rates = rates
        self._trouble = trouble

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the picture."""
        parts: list[RenderableType] = [self._headline()]
        if self._trouble:
            parts.append(output.plain(self._trouble, "bold red"))
        if self._rates is not None:
            style = "dim" if self._trouble else ""
            parts.extend(("", _table(self._rates.functions, options.max_width, style)))
            if not self._rates.functions:
                parts.append(output.plain("nothing is deployed", "dim"))
            if self._rates.places:
                parts.extend(("", output.places(self._rates.places)))
        yield Group(*parts)

    def _headline(self) -> Text:
        rates = self._rates
        if rates is None:
            return output.plain(f"{self._url}: looking ...", "dim")
        line = output.plain(f"{rates.box}", "bold")
        line.append(f", tier {rates.tier}  {rates.calls_per_s:,.1f} calls/s  ", "")
        line.append_text(in_time(rates.attainment))
        line.append(" in time" if rates.attainment is not None else "no calls", "")
        line.append(f"  {rates.connections} connections  {self._url}", "dim")
        return line


def in_time(attainment: float | None) -> Text:
    """Returns a share of calls in per cent, green from 99 % on."""
    if attainment is None:
        return Text("")
    style = next(style for least, style in _IN_TIME if attainment >= least)
    return Text(f"{attainment * 100:.4g} %", style=style)


def _table(functions: tuple[FunctionRates, ...], width: int, style: str) -> Table:
    wider = [name for least, name in _WIDER if width >= least]
    numbers = ("calls/s", "in time", "p99 ms", "p50 ms", "at work", "wait, run")
    made = output.table("function", *numbers[:3], *wider, right=numbers)
    made.columns[0].min_width = 8
    made.style = style
    for each in functions:
        cells: dict[str, Text | str] = {
            "p50 ms": _ms(each.p50_ms),
            "at work": _at_work(each),
            "replicas": _replicas(each),
            "misses/s": _misses(each),
            "sent to": _sent_to(each),
            "wait, run": _parts(each),
        }
        made.add_row(
            output.plain(each.name, "red" if each.state == "quarantined" else ""),
            f"{each.calls_per_s:,.1f}",
            in_time(each.attainment),
            _ms(each.p99_ms),
            *(cells[name] for name in wider),
        )
    return made


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _at_work(each: FunctionRates) -> str:
    return f"{each.ongoing} + {each.waiting} cold" if each.waiting else str(each.ongoing)


def _replicas(each: FunctionRates) -> Text:
    states: dict[str, int] = {}
    for counts in each.replicas.values():
        for state, count in counts.items():
            states[state] = states.get(state, 0) + count
    told = Text(str(states.pop("ready", 0)))
    for state, count in sorted(states.items()):
        told.append(f" + {count} {state}", output.STATE_STYLES.get(state, ""))
    return told


def _misses(each: FunctionRates) -> Text:
    causes = sorted(each.misses_per_s.items(), key=lambda one: -one[1])
    return output.plain(", ".join(f"{cause} {count:.1f}" for cause, count in causes), "yellow")


def _sent_to(each: FunctionRates) -> str:
    shares = sorted((each.sent or each.variants).items(), key=lambda one: -one[1])
    told = [f"{name} {share:.0%}" for name, share in shares]
    told += [f"{purpose} {rate:.1f}/s" for purpose, rate in sorted(each.again_per_s.items())]
    return ", ".join(told)


def _parts(each: FunctionRates) -> str:
    if each.queue_ms is None or each.run_ms is None:
        return ""
    return f"{each.queue_ms:.3g}, {each.run_ms:.3g}"
