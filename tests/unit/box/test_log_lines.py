"""Lines, their limit and the ring of the newest, against a fake clock."""

from hypothesis import given
from hypothesis import strategies as st

from edgefn.box.log_lines import (
    BURST,
    KEPT_BYTES,
    KEPT_LINES,
    LINES_PER_S,
    MAX_LINE_BYTES,
    LineCutter,
    LineLimit,
    LogLine,
    LogRing,
)


@given(st.lists(st.text(alphabet="abcé \t", max_size=20), max_size=20), st.integers(1, 7))
def test_lines_come_out_as_they_went_in(texts: list[str], size: int) -> None:
    """However the stream is cut into reads, in the middle of a character too."""
    data = "".join(f"{text}\n" for text in texts).encode()
    cutter, lines = LineCutter(), []
    for i in range(0, len(data), size):
        lines += cutter.feed(data[i : i + size])
    assert lines + cutter.rest() == texts


def test_an_unended_line_is_not_lost() -> None:
    """What stands after the last newline comes with the end of the stream, once."""
    cutter = LineCutter()
    assert cutter.feed(b"whole\nhal") == ["whole"]
    assert cutter.feed(b"f") == []
    assert cutter.rest() == ["half"]
    assert cutter.rest() == []


def test_a_long_line_is_cut_and_says_so() -> None:
    """The memory that it takes is bounded while it arrives."""
    cutter = LineCutter()
    for _ in range(1000):
        assert cutter.feed(b"x" * 1000) == []
    (line,) = cutter.feed(b"\n")
    assert line == "x" * MAX_LINE_BYTES + " ... (cut)"
    assert cutter.feed(b"short\n") == ["short"]


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    """A function may print anything."""
    assert LineCutter().feed(b"\xff\xfe\r\n") == ["\ufffd\ufffd"]


def test_a_flood_is_held_to_the_limit() -> None:
    """A burst passes, then so many lines a second; the others are counted."""
    limit = LineLimit(0.0)
    admitted = sum(limit.admit(i / 10_000) for i in range(50_000))  # 5 s
    assert BURST + 5 * LINES_PER_S - 2 <= admitted <= BURST + 5 * LINES_PER_S
    assert limit.take_dropped(5.0) == 0  # it still goes on
    assert limit.take_dropped(6.0) == 50_000 - admitted
    assert limit.take_dropped(7.0) == 0


def line(text: str) -> LogLine:
    return LogLine("2026-01-01T00:00:00.000+00:00", "r1", text)


def test_a_cursor_continues_where_the_last_answer_ended() -> None:
    """Every line is seen once, in order."""
    ring = LogRing()
    for i in range(10):
        ring.append(line(str(i)))
    lines, cursor = ring.newest(3)
    assert [one.text for one in lines] == ["7", "8", "9"]
    assert ring.after(cursor, 100) == ([], 10)
    ring.append(line("10"))
    lines, cursor = ring.after(cursor, 100)
    assert [one.text for one in lines] == ["10"]
    lines, cursor = ring.after(0, 4)
    assert [one.text for one in lines] == ["0", "1", "2", "3"]
    assert cursor == 4


def test_the_ring_forgets_the_oldest() -> None:
    """By number and by size; a cursor before them begins at what there is."""
    ring = LogRing()
    for i in range(KEPT_LINES + 10):
        ring.append(line(str(i)))
    assert ring.after(0, 1)[0][0].text == "10"
    for _ in range(3):
        ring.append(line("x" * (KEPT_BYTES // 2)))
    lines, _ = ring.after(0, KEPT_LINES)
    assert sum(len(one.text) for one in lines) <= KEPT_BYTES
    assert len(lines) == 2
