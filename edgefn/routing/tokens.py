"""How many calls may be sent twice: a share of all, so that a bad time is not made worse."""

from typing import Final

_MOST: Final = 10.0


class Tokens:
    """A bucket, full at the start.

    Args:
        share: Of a token for each call.
    """

    __slots__ = ("_share", "left")

    def __init__(self, share: float) -> None:
        self._share = share
        self.left = _MOST

    def earn(self) -> None:
        """Counts a call."""
        left = self.left + self._share
        self.left = left if left < _MOST else _MOST

    def take(self) -> bool:
        """Takes a token, if there is one."""
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True
