"""Alerts on the box: by source, told once, tried again when the outbox refuses."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from edgefn.box.alerts import Alerts
from edgefn.box.outbox.database import AlertKey
from edgefn.box.outbox.event import NewEvent
from edgefn.box.outbox.limits import OutboxFull
from edgefn.gateway.control import MarkedAnswer
from edgefn_runtime.alert_marks import Marker
from edgefn_runtime.manifest import Alert

ALERTS = (
    Alert(when="result > 0.9", clear="result < 0.6", to=("file:a",), for_="2 of 3", name="alert"),
)


class FakeOutbox:
    """Remembers events, or refuses."""

    def __init__(self) -> None:
        self.full = False
        self.told: list[tuple[str, str]] = []
        self.remembered: list[tuple[AlertKey, bool] | None] = []

    async def put(
        self, events: Sequence[NewEvent], raised: tuple[AlertKey, bool] | None = None
    ) -> list[str]:
        if self.full:
            raise OutboxFull("full")
        self.told += [(one.source, json.loads(bytes(one.data))["state"]) for one in events]
        self.remembered.append(raised)
        return ["id"]


class Bench:
    """Alerts with a fake outbox."""

    def __init__(self, raised: Sequence[AlertKey] = ()) -> None:
        self.outbox = FakeOutbox()
        self.deployed = {"f": ALERTS}
        self.alerts = Alerts(lambda name: self.deployed.get(name, ()), self.outbox.put, raised)

    async def see(self, *results: float, source: str = "", alerts: Any = ALERTS) -> None:
        """Has a gateway tell of answers."""
        marker = Marker(alerts, False)
        self.alerts.take(MarkedAnswer("f", source, marker.marks(result)) for result in results)
        await self.alerts.aclose()


async def test_each_source_has_a_state_of_its_own() -> None:
    """And the change is remembered with the event."""
    bench = Bench()
    await bench.see(1.0, source="a")
    await bench.see(1.0, source="b")
    assert bench.outbox.told == []
    await bench.see(1.0, source="a")
    await bench.see(0.0, 0.0, source="a")
    assert bench.outbox.told == [("a", "raised"), ("a", "cleared")]
    key = AlertKey("f", "alert", "a")
    assert bench.outbox.remembered == [(key, True), (key, False)]


async def test_what_was_raised_before_the_box_ended_can_be_cleared() -> None:
    """It is not raised again."""
    key = AlertKey("f", "alert", "")
    bench = Bench([key, AlertKey("gone", "alert", "")])
    assert bench.alerts.raised() == [key]
    await bench.see(1.0, 1.0, 1.0, 0.0, 0.0)
    assert bench.outbox.told == [("", "cleared")]


async def test_a_refused_event_is_tried_again_with_the_next_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An alert whose event is not stored is not raised; that is logged once."""
    bench = Bench()
    bench.outbox.full = True
    await bench.see(1.0, 1.0)
    await bench.see(1.0)
    assert (bench.alerts.raised(), len(caplog.records)) == ([], 1)
    bench.outbox.full = False
    await bench.see(1.0)
    assert bench.outbox.told == [("", "raised")]


async def test_marks_of_another_revision_are_not_taken() -> None:
    """Nor those of a function that is gone, nor what is none."""
    bench = Bench()
    other = (Alert(when="result < 0.1", to=("file:a",), for_="1 of 1", name="alert"),)
    await bench.see(0.0, alerts=other)
    bench.alerts.take([MarkedAnswer("gone", "", Marker(other, False).marks(0.0))])
    bench.alerts.take([MarkedAnswer("f", "", b"\xc1")])
    await asyncio.sleep(0)
    assert bench.outbox.told == []
    bench.deployed["f"] = other
    await bench.see(0.0, alerts=other)
    assert bench.outbox.told == [("", "raised")]


async def test_sources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers name them, so there may be any number: what is not raised is forgotten first."""
    monkeypatch.setattr("edgefn.box.alerts.MAX_STATES", 10)
    bench = Bench()
    for number in range(100):
        await bench.see(1.0, source=f"s{number}")
    assert len(bench.alerts._waking) == 10
    for number in range(20):
        await bench.see(1.0, 1.0, source=f"s{number}")
    assert len(bench.alerts.raised()) == 10
    assert len(bench.outbox.told) == 10
