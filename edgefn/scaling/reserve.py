"""What a box may not bring up itself, and asks the next tier to be ready for.

A tier that starts replicas for calls that have come is late by a start. Where no call can wait for
a start it is worse: none is sent there, so that nothing would ever start. So it is told before.
"""

import math
from collections.abc import Collection
from hashlib import blake2b

from edgefn.scaling.windows import Highest


class Reserve:
    """That of one function: up at once, down after a hold."""

    def __init__(self) -> None:
        self._held = Highest()

    def push(self, now_s: float, missing: float, hold_s: float) -> int:
        """Takes in what is missing now; returns how many replicas the next tier should have.

        Args:
            now_s: When that was.
            missing: Replicas' worth of work; not negative.
            hold_s: For how long the highest number is kept.
        """
        return int(self._held.push(now_s, math.ceil(missing - 1e-9), hold_s))


def dealt(reserve: int, function: str, asker: str, boxes: Collection[str]) -> dict[str, int]:
    """Returns how many replicas each of several boxes is asked for: whole ones, the same in all.

    Parts of replicas would be rounded up on each box. Who gets one more than others follows from
    the names (rendezvous hashing), so that not all who ask for one ask the same box, and so that a
    box that goes takes nothing along but its own share.

    Args:
        reserve: In all.
        function: Its name.
        asker: Name of the box that asks.
        boxes: Names of those that are asked.
    """
    if not boxes:
        return {}
    each, over = divmod(reserve, len(boxes))

    def rank(box: str) -> bytes:
        return blake2b(f"{function}/{asker}/{box}".encode(), digest_size=8).digest()

    return {box: each + (i < over) for i, box in enumerate(sorted(boxes, key=rank))}
