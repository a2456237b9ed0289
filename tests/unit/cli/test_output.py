"""Numbers and instants as people read them."""

from datetime import UTC, datetime

import pytest

from edgefn.cli.output import age, milliseconds, plain, size

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-03-01T11:59:18+00:00", "42 s ago"),
        ("2026-03-01T11:59:18Z", "42 s ago"),
        ("2026-03-01T11:59:18", "42 s ago"),
        ("2026-03-01T11:30:00+00:00", "30 min ago"),
        ("2026-03-01T13:00:00+02:00", "1 h ago"),
        ("2026-02-27T12:00:00+00:00", "2 d ago"),
        ("2026-03-01T12:00:05+00:00", "0 s ago"),
        ("just now", "just now"),
    ],
)
def test_an_instant_is_told_by_its_age(instant: str, expected: str) -> None:
    """In one unit; a clock that is ahead does not give negative ages."""
    assert age(instant, NOW) == expected


@pytest.mark.parametrize(
    ("count", "expected"), [(0, "0 B"), (1023, "1023 B"), (2048, "2 KiB"), (9 << 20, "9.0 MiB")]
)
def test_bytes_are_told_in_the_unit_that_fits(count: int, expected: str) -> None:
    """As memory is usually told."""
    assert size(count) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0 ms"), (0.1234, "0.123 ms"), (12.34, "12.3 ms"), (4567.8, "4568 ms")],
)
def test_durations_have_three_digits(value: float, expected: str) -> None:
    """No more than was measured, and never as a power of ten."""
    assert milliseconds(value) == expected


def test_text_of_others_moves_no_cursor() -> None:
    """A box may say what it likes of itself; tags of markup are letters, too."""
    told = plain("a\x1b[2J [red]b[/red]\x9b1m\tc\r\n").plain
    assert told == "a\ufffd[2J [red]b[/red]\ufffd1m\tc\ufffd\n"
