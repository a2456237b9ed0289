"""The table of `edgefn route explain`, and the sizes that it takes."""

import pytest
import typer
from rich.console import Console

from edgefn.cli.route import size_bytes
from edgefn.cli.route_table import candidate_table
from edgefn.routing.explanation import Candidate

HERE = Candidate(
    endpoint="r1", variant="onnx-int8", place="", tier="edge", wait_ms=3.0, service_ms=2.0,
    predicted_ms=5.0, bound_ms=7.5, chance=0.997, accuracy=0.912, score=0.91,
)  # fmt: skip
AWAY = Candidate(
    endpoint="hub/f", variant="onnx-fp32", place="hub", tier="cloud", network_ms=41.0,
    service_ms=1.0, predicted_ms=42.0, bound_ms=60.0, chance=0.6, score=0.5,
    lost_because="only 60 % in time",
)  # fmt: skip


def drawn(*candidates: Candidate) -> str:
    """The table as text."""
    console = Console(width=150, color_system=None)
    with console.capture() as capture:
        console.print(candidate_table(candidates))
    return capture.get()


def test_each_candidate_has_a_line_with_its_legs_and_its_reason() -> None:
    """The chosen one says so."""
    _, here, away = (line for line in drawn(HERE, AWAY).splitlines() if "─" not in line)
    assert here.split()[:2] == ["onnx-int8", "r1"]
    assert "99.7%" in here and "0.912" in here and here.rstrip().endswith("chosen")
    assert "hub (cloud)" in away and "41" in away and "only 60 % in time" in away


def test_legs_that_nobody_has_take_no_column() -> None:
    """A lone box has no network to speak of."""
    assert "net ms" not in drawn(HERE)
    assert "net ms" in drawn(HERE, AWAY)
    assert "start ms" not in drawn(HERE, AWAY)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2000", 2000), ("50k", 51200), ("1.5M", 1572864), ("50 KiB", 51200), ("7B", 7)],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int) -> None:
    """In bytes, thousands of them, or millions."""
    assert size_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "much", "-5", "5G"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """With an example of one."""
    with pytest.raises(typer.BadParameter, match="no size"):
        size_bytes(text)
