"""One call from a client's side, without I/O: what to send, how long to wait, whether to try again.

A call is sent again only where that cannot run it twice: the connection was refused, or the box
refused it (429, 503) and said when to come back. When it was sent and no answer came, nobody knows
whether it ran; then it is sent again only if the caller said that it may run twice. No attempt
begins that the deadline would not let end.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from edgefn.client.answer import Answer, answer_of
from edgefn.client.errors import ConnectionLost, Unreachable, error_of
from edgefn.client.request import Request
from edgefn.errors import DeadlineExceeded, EdgefnError, InvalidInput, TimedOut
from edgefn_runtime.variant import VARIANT_PATTERN

GRACE_S: Final = 0.25  # a box answers at the latest at the deadline; so long may the answer travel
CONNECT_TIMEOUT_S: Final = 5.0
MAX_ATTEMPTS: Final = 4
MAX_PAUSE_S: Final = 5.0  # for a call without a deadline
_FIRST_PAUSE_S: Final = 0.05
_REFUSALS: Final = (429, 503)
_VARIANT: Final = re.compile(VARIANT_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Wait so long, then send the call again."""

    pause_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds one call, and what it asks of what answers it.

    Attributes:
        deadline_ms: From its start; None: the function's own, which the box knows.
        timeout_s: How long the client waits for a call that has no deadline of its own.
        idempotent: Whether it may run twice.
        variant: That is to answer; empty: whichever the box prefers.
        min_accuracy: That the variant must have been measured to reach; None: the function's own.
        source: Of what the call tells, for the function's alerts; empty: it does not say.
        priority: From 0 to 9, the more urgent the higher; None: the function's own.
    """

    deadline_ms: float | None = None
    timeout_s: float = 120.0
    idempotent: bool = False
    variant: str = ""
    min_accuracy: float | None = None
    source: str = ""
    priority: int | None = None


class Exchange:
    """The state of one call. Every instant is one of the caller's monotonic clock, in seconds."""

    def __init__(
        self, url: str, request: Request, limits: Limits, *, now_s: float, jitter: float
    ) -> None:
        """Starts a call.

        Args:
            url: Of the box.
            request: What to send.
            limits: What bounds it.
            now_s: The call's start.
            jitter: Random, from 0 to 1: keeps many clients from coming back at the same moment.

        Raises:
            InvalidInput: The deadline is not a positive number, the accuracy none from 0 to 1, the
                priority none from 0 to 9, or the name of the variant or of the source is none.
        """
        deadline_ms = limits.deadline_ms
        if deadline_ms is not None and not 0 < deadline_ms < float("inf"):
            raise InvalidInput(f"deadline_ms={deadline_ms!r} is not a positive number")
        if limits.min_accuracy is not None and not 0 <= limits.min_accuracy <= 1:
            raise InvalidInput(f"min_accuracy={limits.min_accuracy!r} is not a number from 0 to 1")
        if limits.variant and not _VARIANT.fullmatch(limits.variant):
            raise InvalidInput(
                f"{limits.variant!r} cannot be the name of a variant: lower-case letters, digits, "
                "_ + and -"
            )
        if not (limits.source.isascii() and limits.source.isprintable()):
            raise InvalidInput(f"source={limits.source[:100]!r} is not printable ASCII")
        if limits.priority is not None and limits.priority not in range(10):
            raise InvalidInput(f"priority={limits.priority!r} is not a whole number from 0 to 9")
        self.request = request
        self._url = url
        self._limits = limits
        self._started_s = now_s
        self._jitter = jitter
        self._key = f"{int(jitter * 2**53):014x}"
        self._attempts = 0
        wait_s = limits.timeout_s if deadline_ms is None else deadline_ms / 1000.0 + GRACE_S
        self._give_up_s = now_s + wait_s

    def headers(self, now_s: float) -> dict[str, str]:
        """Returns the headers of an attempt that begins now; what travels is the time left."""
        headers = {"Content-Type": self.request.content_type, "Accept": self.request.accept}
        if self._limits.deadline_ms is not None:
            left_ms = self._limits.deadline_ms - (now_s - self._started_s) * 1000.0
            headers["Edgefn-Deadline-Ms"] = f"{max(left_ms, 0.001):.3f}"
        if self._limits.variant:
            headers["Edgefn-Variant"] = self._limits.variant
        if self._limits.min_accuracy is not None:
            headers["Edgefn-Min-Accuracy"] = f"{self._limits.min_accuracy:.12g}"
        if self._limits.source:
            headers["Edgefn-Source"] = self._limits.source
        if self._limits.priority is not None:
            headers["Edgefn-Priority"] = str(self._limits.priority)
        if self._limits.idempotent:
            headers["Idempotency-Key"] = self._key  # the same one for every attempt
        return headers

    def timeout_s(self, now_s: float) -> float:
        """Returns how long an attempt that begins now may take in all."""
        return max(self._give_up_s - now_s, 0.001)

    def answered(
        self, now_s: float, status: int, headers: Mapping[str, str], body: bytes
    ) -> Answer | Again:
        """Takes a reply.

        Raises:
            EdgefnError: It is an error, and the call is not to be sent again.
        """
        self._attempts += 1
        if status in _REFUSALS:
            pause_s = _seconds(headers.get("retry-after", ""))
            if pause_s is None or not self._may_pause(now_s, pause_s):
                raise error_of(status, headers, body)
            return Again(pause_s=pause_s)
        return answer_of(status, headers, body, (now_s - self._started_s) * 1000.0)

    def failed(self, now_s: float, error: Unreachable | ConnectionLost) -> Again:
        """Takes the failure of an attempt that got no reply.

        Raises:
            Unreachable: As given: the call is not to be tried again.
            ConnectionLost: As given: the call is not to be sent again.
        """
        self._attempts += 1
        pause_s = _FIRST_PAUSE_S * 2 ** (self._attempts - 1) * (0.5 + self._jitter)
        may_have_run = isinstance(error, ConnectionLost)
        if (may_have_run and not self._limits.idempotent) or not self._may_pause(now_s, pause_s):
            raise error
        return Again(pause_s=pause_s)

    def timed_out(self) -> EdgefnError:
        """Returns the error for an attempt that took as long as it may."""
        if self._limits.deadline_ms is not None:
            return DeadlineExceeded(
                f"no answer from {self._url} within the deadline of {self._limits.deadline_ms:g} ms"
            )
        return TimedOut(
            f"no answer from {self._url} within {self._limits.timeout_s:g} s; give the call a "
            "deadline, or the client a longer timeout_s"
        )

    def _may_pause(self, now_s: float, pause_s: float) -> bool:
        if self._attempts >= MAX_ATTEMPTS:
            return False
        if self._limits.deadline_ms is None:
            return pause_s <= min(MAX_PAUSE_S, self._give_up_s - now_s)
        return now_s + pause_s < self._started_s + self._limits.deadline_ms / 1000.0


def _seconds(retry_after: str) -> float | None:
    try:
        seconds = float(retry_after)
    except ValueError:
        return None  # absent, or a date: too coarse for us
    return seconds if 0 <= seconds < float("inf") else None
