"""Alerts on the box: what gateways saw in answers becomes events.

Here alone is the state of an alert, for answers of one source may come through any gateway and any
replica. A change is remembered together with its event, in one commit, so that after a power cut an
alert is raised if and only if the receiver will have been told so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import msgspec

from edgefn.alerts.state import AlertState, Change, Rule, step
from edgefn.box.outbox.database import AlertKey
from edgefn.box.outbox.event import NewEvent, encode_data
from edgefn.errors import EdgefnError
from edgefn.gateway.control import MarkedAnswer
from edgefn_runtime.alert_marks import CLEARS, HOLDS, Marks, rules_of
from edgefn_runtime.manifest import Alert

MAX_STATES: Final = 10_000  # of alerts that are raised, and as many of those that may soon be
MAX_PUTS: Final = 1_000  # under way

_MARKS: Final = msgspec.msgpack.Decoder(Marks)
_CALM: Final = AlertState()

_log = logging.getLogger(__name__)


class Put(Protocol):
    """Stores events, as `Outbox.put` does."""

    def __call__(
        self, events: Sequence[NewEvent], raised: tuple[AlertKey, bool] | None = None
    ) -> Awaitable[list[str]]:
        """Returns their ids."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """The alerts of a function, made ready."""

    alerts: tuple[Alert, ...]
    number: int
    rules: tuple[Rule, ...]


class Alerts:
    """The alerts of all functions of a box.

    Args:
        alerts_of: Returns those of the revision of a function that serves; none if it is gone.
        put: Stores events.
        raised: Alerts that were raised when the box ended.
    """

    def __init__(
        self,
        alerts_of: Callable[[str], tuple[Alert, ...]],
        put: Put,
        raised: Iterable[AlertKey] = (),
    ) -> None:
        self._alerts_of = alerts_of
        self._put = put
        self._rules: dict[str, _Rules] = {}
        self._raised: dict[AlertKey, AlertState] = {key: AlertState(True) for key in raised}
        self._waking: dict[AlertKey, AlertState] = {}  # not raised, but answers speak for it
        self._puts: set[asyncio.Task[None]] = set()
        self._refused = False

    def take(self, answers: Iterable[MarkedAnswer]) -> None:
        """Takes what a gateway saw in answers."""
        for answer in answers:
            rules = self._rules_of(answer.function)
            try:
                marks = _MARKS.decode(answer.marks)
            except msgspec.MsgspecError:
                _log.error("%s: a replica sent marks that are none", answer.function)
                continue
            if marks.rules == rules.number:
                for index in range(len(rules.alerts)):
                    self._step(rules, index, answer, marks)

    def raised(self) -> list[AlertKey]:
        """Returns the alerts that are raised, of functions that are deployed."""
        return [
            key
            for key in self._raised
            if any(alert.name == key.alert for alert in self._alerts_of(key.function))
        ]

    async def aclose(self) -> None:
        """Waits until the events under way are stored."""
        if self._puts:
            await asyncio.wait(self._puts)

    def _rules_of(self, function: str) -> _Rules:
        alerts = self._alerts_of(function)
        known = self._rules.get(function)
        if known is None or known.alerts is not alerts:
            made = tuple(map(Rule.of, alerts))
            known = self._rules[function] = _Rules(alerts, rules_of(alerts), made)
        return known

    def _step(self, rules: _Rules, index: int, answer: MarkedAnswer, marks: Marks) -> None:
        alert = rules.alerts[index]
        key = AlertKey(answer.function, alert.name or "", answer.source)
        before = self._raised.get(key) or self._waking.get(key) or _CALM
        seen = marks.of(index)
        after, change = step(
            rules.rules[index], before, holds=bool(seen & HOLDS), clears=bool(seen & CLEARS)
        )
        if change is not None and not self._has_room(after):
            return
        self._keep(key, after)
        if change is not None:
            event = NewEvent(
                to=_destinations(alert),
                source=answer.source,
                data=_data(key, change, marks),
            )
            put = asyncio.get_running_loop().create_task(self._tell(key, before, after, event))
            self._puts.add(put)
            put.add_done_callback(self._puts.discard)

    def _has_room(self, after: AlertState) -> bool:
        room = len(self._puts) < MAX_PUTS and (not after.raised or len(self._raised) < MAX_STATES)
        if not room:
            self._refuse(f"{len(self._raised)} are raised, {len(self._puts)} events under way")
        return room

    def _keep(self, key: AlertKey, state: AlertState) -> None:
        self._raised.pop(key, None)
        self._waking.pop(key, None)
        if state.raised:
            self._raised[key] = state
        elif state != _CALM:
            if len(self._waking) >= MAX_STATES:
                del self._waking[next(iter(self._waking))]
            self._waking[key] = state

    async def _tell(
        self, key: AlertKey, before: AlertState, after: AlertState, event: NewEvent
    ) -> None:
        try:
            await self._put([event], (key, after.raised))
        except EdgefnError as error:
            self._refuse(error.message)
            if (key in self._raised) is after.raised:
                self._keep(key, before)  # the next answer that agrees tries again
        else:
            self._refused = False

    def _refuse(self, why: str) -> None:
        if not self._refused:
            _log.error("an alert could not be told: %s", why)
        self._refused = True


def _destinations(alert: Alert) -> tuple[str, ...]:
    return (alert.to,) if isinstance(alert.to, str) else alert.to


def _data(key: AlertKey, change: Change, marks: Marks) -> msgspec.Raw:
    values: dict[str, Any] = msgspec.msgpack.decode(marks.values)
    return encode_data(
        {"function": key.function, "alert": key.alert, "state": change, "values": values}
    )
