"""How far a build is: what whoever started it can show."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

OnShare = Callable[[float], None]  # takes the share of the work that is done, 0 to 1


class Progress(Protocol):
    """Is told of each step when it begins, how far it is, and when it ends."""

    def step(self, text: str) -> AbstractContextManager[OnShare]:
        """Shows a step while it lasts; what is returned takes the share that is done, 0 to 1."""

    def note(self, text: str) -> None:
        """Shows a line that stays."""
