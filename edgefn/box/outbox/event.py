"""An event: before it is stored, and as it is told to those who receive it."""

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

MAX_SOURCE_CHARS: Final = 100
MAX_DATA_BYTES: Final = 256 * 1024


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event to be stored.

    Attributes:
        to: Destinations, as `alerts.destination` spells them; each gets the same event.
        source: Of what or whom; events of one source stay in order.
        data: JSON.
    """

    to: tuple[str, ...]
    source: str = ""
    data: msgspec.Raw


class Event(msgspec.Struct, frozen=True):
    """A stored event.

    Attributes:
        position: Among all that wait; later ones have higher ones.
        origin: Of the outbox that it was stored in: another one counts anew.
        source: Of what or whom.
        sequence: Counts the events of a source, from 1, to whatever destination.
        at_s: When it was stored, in seconds of the wall clock.
        data: JSON.
    """

    position: int
    origin: str
    source: str
    sequence: int
    at_s: float
    data: bytes

    @property
    def id(self) -> str:
        """The same whenever it is sent, and no other event's."""
        return event_id(self.origin, self.source, self.sequence)

    def line(self, box: str) -> bytes:
        """Returns the event as it is told, one JSON object without a line end."""
        return _ENCODER.encode(
            _Told(
                id=self.id,
                origin=self.origin,
                source=self.source,
                sequence=self.sequence,
                at=at_text(self.at_s),
                box=box,
                data=msgspec.Raw(self.data),
            )
        )


def event_id(origin: str, source: str, sequence: int) -> str:
    """Returns the id of an event. Equal for every destination that it goes to."""
    return f"{origin}-{sequence}-{source}" if source else f"{origin}-{sequence}"


def at_text(at_s: float) -> str:
    """Returns an instant as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")


def encode_data(data: Any) -> msgspec.Raw:
    """Returns what an event is to tell, as JSON on one line."""
    return msgspec.Raw(_ENCODER.encode(data))


class _Told(msgspec.Struct):
    id: str
    origin: str
    source: str
    sequence: int
    at: str
    box: str
    data: msgspec.Raw


_ENCODER: Final = msgspec.json.Encoder()
