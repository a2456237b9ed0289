"""How long bytes take over an emulated path: pure, deterministic by its random numbers.

A path is what a network of a given round trip, jitter, rate and loss looks like to TCP: bytes come
late, never out of order and never not at all. A lost segment comes one retransmission timeout
later, and what follows it waits for it. The timeout is that of RFC 6298 without its history: the
round trip and four times its variation, 200 ms at least (as Linux has it).
"""

from collections.abc import Callable
from typing import Final

import msgspec

SEGMENT_BYTES: Final = 1448
_LEAST_RTO_S: Final = 0.2
_MOST_LOSSES: Final = 5  # of one segment in a row, each waiting twice as long


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is like, the same both ways.

    Attributes:
        rtt_s: Round trip without anything in the way.
        jitter_s: Most that a round trip takes beyond that, by chance.
        rate_bps: Bits a second each way; 0: as many as there are.
        loss: Share of segments that are lost, from 0 to below 1.
        cut: Whether nothing gets through.
    """

    rtt_s: float = 0.0
    jitter_s: float = 0.0
    rate_bps: float = 0.0
    loss: float = 0.0
    cut: bool = False


class Direction:
    """One direction of a link, whose rate all of its connections share.

    Args:
        rng: Returns uniform numbers in [0, 1).
    """

    def __init__(self, rng: Callable[[], float]) -> None:
        self._rng = rng
        self._busy_until_s = 0.0

    def arrival_s(self, now_s: float, size_bytes: int, conditions: Conditions) -> float:
        """Returns when bytes that are sent now are all there.

        Args:
            now_s: Monotonic.
            size_bytes: How many.
            conditions: Of the link.
        """
        sent_s = now_s
        if conditions.rate_bps:
            start_s = max(now_s, self._busy_until_s)
            sent_s = self._busy_until_s = start_s + size_bytes * 8 / conditions.rate_bps
        delay_s = conditions.rtt_s / 2 + conditions.jitter_s / 2 * self._rng()
        return sent_s + delay_s + self._retransmission_s(size_bytes, conditions)

    def _retransmission_s(self, size_bytes: int, conditions: Conditions) -> float:
        """Returns what the most unlucky of the segments adds."""
        if not conditions.loss:
            return 0.0
        segments = -(-size_bytes // SEGMENT_BYTES)
        survives = (1.0 - conditions.loss) ** segments
        rto_s = timeout_s(conditions)
        added_s = 0.0
        for _ in range(_MOST_LOSSES):
            if self._rng() < survives:
                break
            added_s += rto_s
            rto_s *= 2
            survives = 1.0 - conditions.loss  # of the lost ones, one is sent again at a time
        return added_s


def timeout_s(conditions: Conditions) -> float:
    """Returns how long a sender waits before it sends a segment again."""
    return max(_LEAST_RTO_S, conditions.rtt_s + 4 * conditions.jitter_s)


class Order:
    """Keeps the bytes of one connection in order, whatever befell each of them."""

    def __init__(self) -> None:
        self._last_s = 0.0

    def after(self, arrival_s: float) -> float:
        """Returns when bytes are delivered that arrive then, after all before them."""
        self._last_s = max(self._last_s, arrival_s)
        return self._last_s
