"""The files behind the logs."""

from pathlib import Path

from edgefn.box import log_files
from edgefn.box.log_files import LogFiles
from edgefn.box.log_lines import LogLine


def lines(*texts: str) -> list[LogLine]:
    return [LogLine("2026-01-01T00:00:00.000+00:00", "r1", text) for text in texts]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    """In order, by function."""
    files = LogFiles(tmp_path / "logs")
    files.append("one", lines("a", "b"))
    files.append("other", lines("x"))
    files.append("one", lines("c\n\u2028"))
    assert files.newest("one") == lines("a", "b", "c\n\u2028")
    assert files.newest("none") == []


def test_a_full_file_moves_away_once(tmp_path: Path) -> None:
    """So a log never takes much more than two files of that size."""
    files = LogFiles(tmp_path)
    text = "x" * 4000
    for _ in range(4 * log_files.FILE_BYTES // 40_000):
        files.append("f", lines(*[text] * 10))
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sizes.keys() <= {"f.jsonl", "f.1.jsonl"}
    assert all(size < log_files.FILE_BYTES + 50_000 for size in sizes.values())


def test_a_line_that_was_cut_by_a_crash_is_skipped(tmp_path: Path) -> None:
    """The others are read."""
    files = LogFiles(tmp_path)
    files.append("f", lines("a"))
    with (tmp_path / "f.jsonl").open("ab") as file:
        file.write(b'{"at":"20\n')
    files.append("f", lines("b"))
    assert files.newest("f") == lines("a", "b")


def test_a_removed_function_leaves_no_file(tmp_path: Path) -> None:
    """Removing twice is fine."""
    files = LogFiles(tmp_path)
    files.append("f", lines("a"))
    files.remove("f")
    files.remove("f")
    assert list(tmp_path.iterdir()) == []
