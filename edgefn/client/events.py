"""Events on a box, as the admin API spells them."""

import msgspec


class DestinationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for one destination, and how its deliveries fare.

    Attributes:
        to: The destination, without user and password.
        waiting: Events that are not delivered.
        waiting_bytes: What they take.
        oldest_at: When the first of them was accepted; empty without one.
        delivered: Since the box started.
        failures: Tries in a row that failed, until now.
        last_error: Of the last of them.
        last_error_at: When that was.
    """

    to: str
    waiting: int
    waiting_bytes: int
    oldest_at: str = ""
    delivered: int = 0
    failures: int = 0
    last_error: str = ""
    last_error_at: str = ""


class RaisedAlert(msgspec.Struct, frozen=True):
    """An alert that is raised."""

    function: str
    alert: str
    source: str = ""


class EventsStatus(msgspec.Struct, frozen=True):
    """All that waits to be delivered, and all alerts that are raised."""

    destinations: tuple[DestinationStatus, ...]
    raised: tuple[RaisedAlert, ...] = ()


class AcceptedEvent(msgspec.Struct, frozen=True):
    """An event that was accepted lately, delivered or not.

    Attributes:
        number: Counts the events since the box started.
        id: As it is delivered with.
        source: Of what it tells.
        at: When it was accepted.
        to: Destinations, without users and passwords.
        data: What it tells, as JSON.
    """

    number: int
    id: str
    source: str
    at: str
    to: tuple[str, ...]
    data: msgspec.Raw


class AcceptedEvents(msgspec.Struct, frozen=True):
    """Events, oldest first."""

    events: tuple[AcceptedEvent, ...]


class PutEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event to be put.

    Attributes:
        to: One destination or several: `webhook:https://host/path`, `mqtt://host/topic`,
            `file:name.jsonl`.
        data: What it tells; anything that has a JSON form.
        source: Of what it tells: events of one source arrive in order.
    """

    to: str | tuple[str, ...]
    data: object
    source: str = ""


class Accepted(msgspec.Struct, frozen=True):
    """Ids of events that are stored."""

    ids: tuple[str, ...]


class Dropped(msgspec.Struct, frozen=True):
    """How many events were forgotten."""

    dropped: int
