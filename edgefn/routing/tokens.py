"""How many calls may be sent twice: a share of all, so that a bad time is not made worse."""

from typing import Final

_MOST: Final = 10.0


class Tokens:
    """A bucket, full at the start.

    Args:
        share: Of a token for each call.
    """

    __slots__ = ("_calls", "_share", "left")

    def __init__(self, share: float) -> None:
        self._share = share
        self._calls = 0
        self.left = _MOST

    def take(self, calls: int) -> bool:
        """Takes a token, if there is one after so many calls in all."""
        self.left = min(_MOST, self.left + self._share * (calls - self._calls))
        self._calls = calls
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True
