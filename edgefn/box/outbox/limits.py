"""How much may wait in an outbox. What is beyond is refused; what was accepted is never dropped."""

from dataclasses import dataclass

from edgefn.alerts.destination import shown
from edgefn.errors import EdgefnError

_MB = 1024 * 1024


class OutboxFull(EdgefnError):
    """An event was not accepted: too much waits already, or for too long."""

    code = "outbox_full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may wait.

    Attributes:
        total_bytes: In all.
        destination_bytes: For one destination, so that a dead one leaves room for the others.
        age_s: New events are refused once the oldest of their destination waits for so long.
        destinations: At a time.
    """

    total_bytes: int = 256 * _MB
    destination_bytes: int = 64 * _MB
    age_s: float = 30 * 24 * 3600.0
    destinations: int = 64


@dataclass(slots=True)
class Backlog:
    """What waits for one destination."""

    events: int = 0
    size_bytes: int = 0
    oldest_s: float = 0.0


def check_room(
    limits: Limits, backlogs: dict[str, Backlog], wanted: dict[str, int], now_s: float
) -> None:
    """Checks that events may be accepted.

    Args:
        limits: That hold.
        backlogs: By destination, those without events left out.
        wanted: Bytes of the events, by destination.
        now_s: Wall clock.

    Raises:
        OutboxFull: They may not.
    """
    if len(backlogs.keys() | wanted.keys()) > limits.destinations:
        raise OutboxFull(
            f"events wait for {len(backlogs)} destinations; at most {limits.destinations} may be"
        )
    for destination, size_bytes in wanted.items():
        backlog = backlogs.get(destination) or Backlog(oldest_s=now_s)
        waited_s = now_s - backlog.oldest_s
        if waited_s > limits.age_s:
            raise OutboxFull(
                f"the oldest event for {shown(destination)} has waited for {waited_s / 86400:.1f} "
                "days: see `edgefn events ls`"
            )
        if backlog.size_bytes + size_bytes > limits.destination_bytes:
            raise OutboxFull(
                f"{backlog.size_bytes} bytes of events wait for {shown(destination)}; at most "
                f"{limits.destination_bytes} may: see `edgefn events ls`"
            )
    total_bytes = sum(each.size_bytes for each in backlogs.values())
    if total_bytes + sum(wanted.values()) > limits.total_bytes:
        raise OutboxFull(
            f"{total_bytes} bytes of events wait; at most {limits.total_bytes} may: see "
            "`edgefn events ls`"
        )
