"""How `edgefn top` looks in terminals of several widths."""

import msgspec
import pytest
from rich.console import Console

from edgefn.cli.rates import BoxRates, FunctionRates
from edgefn.cli.top_view import TopView
from edgefn.client.counts import PlaceStatus

FUNCTION = FunctionRates(
    name="voice", state="serving", calls_per_s=12.34, attainment=0.9512, p50_ms=4.2, p99_ms=80.0,
    queue_ms=1.0, run_ms=3.0, ongoing=2, waiting=1, errors_per_s=0.0,
    misses_per_s={"queue": 0.5, "cold": 0.1}, variants={"onnx-int8": 0.75, "onnx-fp32": 0.25},
    sent={"onnx-int8": 0.75, "onnx-fp32@hub": 0.25}, again_per_s={"hedge": 0.5}, refused_per_s={},
    replicas={"onnx-int8": {"ready": 2}, "onnx-fp32": {"starting": 1}}, cold_starts=1, deaths=0,
)  # fmt: skip
BOX = BoxRates(
    box="shed", tier="edge", over_s=1.0, connections=7, calls_per_s=12.34, attainment=0.9512,
    functions=(FUNCTION,),
)  # fmt: skip


def drawn(view: TopView, width: int) -> str:
    """The picture as text."""
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """And what matters most is there in the narrowest."""
    text = drawn(TopView("http://127.0.0.1:8080", BOX), width)
    assert all(len(line) <= width for line in text.splitlines())
    assert "voice" in text and "12.3" in text and "95.12 %" in text and "80" in text


def test_a_wide_terminal_shows_causes_and_where_calls_went() -> None:
    """The greatest first."""
    text = drawn(TopView("http://127.0.0.1:8080", BOX), 180)
    assert "queue 0.5, cold 0.1" in text
    assert "onnx-int8 75%, onnx-fp32@hub 25%, hedge 0.5/s" in text
    assert "2 + 1 starting" in text and "2 + 1 cold" in text


def test_a_box_that_went_away_is_told_above_the_last_picture() -> None:
    """Nobody takes old numbers for new ones."""
    text = drawn(TopView("http://127.0.0.1:8080", BOX, "since 12:00:00: no box answers"), 80)
    assert "no box answers" in text and "voice" in text
    assert "looking" in drawn(TopView("http://127.0.0.1:8080", None), 80)


def test_peers_are_told_with_their_distance() -> None:
    """Whether they are up, how far they are, and what is under way there."""
    near = PlaceStatus(name="hub", tier="cloud", up=True, rtt_ms=61.5, calls=3)
    box = msgspec.structs.replace(BOX, places=(near, PlaceStatus(name="far", tier="cloud")))
    text = drawn(TopView("http://127.0.0.1:8080", box), 100)
    assert "hub (cloud) 61.5 ms, 3 calls, far (cloud) is down" in text
