"""The fingerprint of a run: every decision and every outcome, in order."""

import hashlib
from array import array
from typing import Final

_CHUNK: Final = 1 << 15

REFUSED: Final = -1.0
WAITS: Final = -2.0
MISSED: Final = -3.0  # less the index of the cause


class DecisionLog:
    """Numbers, of which only a SHA-256 is kept.

    Attributes:
        add: Adds one.
    """

    __slots__ = ("_digest", "_numbers", "add")

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._numbers = array("d")
        self.add = self._numbers.append

    def flush(self) -> None:
        """Digests what was added, if that is much."""
        log = self._numbers
        if len(log) >= _CHUNK:
            self._digest.update(log.tobytes())
            del log[:]

    def sha256(self) -> str:
        """Returns the digest of all so far, in hexadecimal."""
        digest = self._digest.copy()
        digest.update(self._numbers.tobytes())
        return digest.hexdigest()
