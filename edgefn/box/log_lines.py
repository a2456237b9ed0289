"""What a replica prints, cut into lines and held within bounds. Pure: time is handed in."""

from collections import deque
from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 4096
LINES_PER_S: Final = 200
BURST: Final = 1000
KEPT_LINES: Final = 2000
KEPT_BYTES: Final = 1024 * 1024

_CUT_MARK: Final = " ... (cut)"


class LineCutter:
    """Cuts a stream of bytes into lines; what exceeds `MAX_LINE_BYTES` in a line is dropped."""

    def __init__(self) -> None:
        self._partial = b""
        self._cut = False

    def feed(self, data: bytes) -> list[str]:
        """Returns the lines that `data` ends."""
        *ended, last = data.split(b"\n")
        lines = []
        for piece in ended:
            self._append(piece)
            lines.append(self._take())
        self._append(last)
        return lines

    def rest(self) -> list[str]:
        """Returns the last line, if the stream ended in the middle of it."""
        return [self._take()] if self._partial else []

    def _append(self, piece: bytes) -> None:
        room = MAX_LINE_BYTES - len(self._partial)
        self._cut = self._cut or len(piece) > room
        self._partial += piece[:room]

    def _take(self) -> str:
        text = self._partial.decode("utf-8", "replace").rstrip("\r")
        mark = _CUT_MARK if self._cut else ""
        self._partial, self._cut = b"", False
        return text + mark


class LineLimit:
    """Lets a number of lines a second through, more in a short burst, and counts the others."""

    def __init__(self, now_s: float) -> None:
        self._tokens = float(BURST)
        self._at_s = now_s
        self._dropped = 0

    def admit(self, now_s: float) -> bool:
        """Whether a line that came now is kept."""
        self._refill(now_s)
        if self._tokens < 1.0:
            self._dropped += 1
            return False
        self._tokens -= 1.0
        return True

    def take_dropped(self, now_s: float) -> int:
        """Returns how many lines were dropped since the last time; 0 while they still are."""
        self._refill(now_s)
        if self._tokens < 1.0:
            return 0
        dropped, self._dropped = self._dropped, 0
        return dropped

    def _refill(self, now_s: float) -> None:
        elapsed_s = max(now_s - self._at_s, 0.0)
        self._tokens = min(self._tokens + elapsed_s * LINES_PER_S, BURST)
        self._at_s = now_s


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: when (ISO 8601 in UTC), of which replica, what."""

    at: str
    replica: str
    text: str


class LogRing:
    """The newest lines of one function, each with a number that only grows."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self.next = 0

    def append(self, line: LogLine) -> None:
        """Adds a line, and forgets the oldest ones beyond the bounds."""
        self._lines.append(line)
        self._bytes += len(line.text)
        self.next += 1
        while len(self._lines) > KEPT_LINES or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._lines.popleft().text)

    def after(self, cursor: int, limit: int) -> tuple[list[LogLine], int]:
        """Returns the oldest lines from a cursor on, at most `limit`, and the next cursor."""
        first = self.next - len(self._lines)
        start = max(cursor, first)
        lines = [self._lines[i - first] for i in range(start, min(start + limit, self.next))]
        return lines, start + len(lines)

    def newest(self, limit: int) -> tuple[list[LogLine], int]:
        """Returns the newest lines, at most `limit`, and the next cursor."""
        return self.after(self.next - limit, limit)
