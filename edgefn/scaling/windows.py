"""The highest of the values seen within a time."""

from collections import deque


class Highest:
    """In constant amortised work and little memory.

    A value can be forgotten as soon as one that is as high comes after it, so what is kept falls
    strictly from the oldest to the newest.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[float, float]] = deque()

    def push(self, now_s: float, value: float, within_s: float) -> float:
        """Adds a value; returns the highest of the last `within_s` seconds."""
        kept = self._kept
        while kept and kept[-1][1] <= value:
            kept.pop()
        kept.append((now_s, value))
        return self.get(now_s, within_s)

    def get(self, now_s: float, within_s: float) -> float:
        """Returns the highest of the last `within_s` seconds; minus infinity if there was none."""
        kept = self._kept
        while kept and kept[0][0] < now_s - within_s:
            kept.popleft()
        return kept[0][1] if kept else float("-inf")
