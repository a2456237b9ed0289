"""The events of a box: what sets them off, and what is asked about them."""

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec

from edgefn.alerts.destination import shown
from edgefn.box.alerts import Alerts
from edgefn.box.outbox.event import NewEvent
from edgefn.box.outbox.outbox import Outbox
from edgefn.errors import InvalidInput
from edgefn.gateway.control import Marked
from edgefn_runtime.manifest import Alert

MAX_TAIL: Final = 256


class PutEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event as it is put over the admin API."""

    to: str | tuple[str, ...]
    data: msgspec.Raw
    source: str = ""


class PutEvents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events that are stored all or none."""

    events: tuple[PutEvent, ...]


class TailQuery(msgspec.Struct):
    """Which events to show."""

    after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] = 20


class DropQuery(msgspec.Struct):
    """Whose events to forget."""

    to: str


class Events:
    """Makes events of alerts, and answers what operators and programs on this machine ask.

    Args:
        outbox: Stores and delivers them.
        alerts_of: Returns the alerts of a function's serving revision; none if it is gone.
    """

    def __init__(self, outbox: Outbox, alerts_of: Callable[[str], tuple[Alert, ...]]) -> None:
        self._outbox = outbox
        self._alerts = Alerts(alerts_of, outbox.put, outbox.raised())

    def marked(self, marked: Marked) -> None:
        """Takes what alerts saw in answers."""
        self._alerts.take(marked.answers)

    def counts(self) -> list[tuple[str, int, int]]:
        """Returns, by destination, how many events wait and were delivered."""
        return self._outbox.counts()

    async def aclose(self) -> None:
        """Waits until the events under way are stored."""
        await self._alerts.aclose()

    async def status(self) -> dict[str, Any]:
        """Tells what waits for whom, and which alerts are raised."""
        return {
            "destinations": await self._outbox.status(),
            "raised": [key._asdict() for key in self._alerts.raised()],
        }

    async def put(self, asked: PutEvents) -> dict[str, Any]:
        """Stores events; they are on the disk when it returns.

        Raises:
            InvalidInput: Something in them is wrong.
            OutboxFull: Too much waits already.
        """
        events = [
            NewEvent(
                to=(one.to,) if isinstance(one.to, str) else one.to,
                source=one.source,
                data=_on_one_line(one.data),
            )
            for one in asked.events
        ]
        return {"ids": await self._outbox.put(events)}

    def tail(self, query: TailQuery) -> dict[str, Any]:
        """Tells the newest events that were accepted."""
        events = self._outbox.tail(query.after, min(query.limit, MAX_TAIL))
        return {"events": events}

    async def drop(self, query: DropQuery) -> dict[str, Any]:
        """Forgets all that waits for a destination.

        Raises:
            InvalidInput: Nothing waits for it.
        """
        found = [to for to in await self._outbox.destinations() if query.to in (to, shown(to))]
        if not found:
            raise InvalidInput(f"no events wait for {query.to}; see `edgefn events ls`")
        return {"dropped": sum([await self._outbox.drop(to) for to in found])}


def _on_one_line(data: msgspec.Raw) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.format(bytes(data), indent=-1))
