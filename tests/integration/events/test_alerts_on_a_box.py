"""Alerts of a real box: from answers to those who are told."""

import json
from collections.abc import Callable
from typing import Any

from edgefn.bundle.build import Bundle
from edgefn.client.events import PutEvent

MakeBundle = Callable[..., Bundle]
Eventually = Callable[..., Any]

WATCH = """
import pydantic
from edgefn import Alert, edge_function

class Seen(pydantic.BaseModel):
    score: float
    machine: str

@edge_function(
    name="{name}",
    on_result=[
        Alert(when="score > 0.9", for_="2 of 3", clear="score < 0.6", to={to!r}),
        Alert(name="odd", when="machine == 'unknown'", to="file:odd/odd.jsonl"),
    ],
)
def watch(score: float) -> Seen:
    return Seen(score=score, machine="pump" if score >= 0 else "unknown")
"""


def watch(box: Any, name: str, score: float, source: str = "") -> Any:
    """Calls the function for a source."""
    return box.http.request(
        "POST",
        f"{box.url}/v1/functions/{name}",
        json={"score": score},
        headers={"Edgefn-Source": source},
    )


def told(ledger: Any) -> list[tuple[str, str]]:
    """Which source was told to be in which state, in order."""
    return [(event["source"], event["data"]["state"]) for event in ledger.applied]


def test_alerts_are_kept_by_source_and_told_once(
    start_box: Any, make_bundle: MakeBundle, eventually: Eventually, receiver: Any
) -> None:
    """Two of three raise it, two of three clear it, and what is between changes nothing."""
    box = start_box(gateways=2)
    box.admin.deploy(make_bundle(WATCH.format(name="watch", to=receiver.destination)))
    for score in (0.95, 0.5, 0.95, 0.7, 0.95, 0.95):
        assert watch(box, "watch", score, "press-1").status == 200
    assert watch(box, "watch", 0.95, "press-2").status == 200
    eventually(lambda: told(receiver.ledger) == [("press-1", "raised")])
    (event,) = receiver.ledger.applied
    assert event["data"]["values"]["machine"] == "pump"
    assert event["data"]["values"]["score"] == 0.95
    assert (event["sequence"], event["box"]) == (1, "box")
    assert receiver.posts[0]["Edgefn-Event-Id"] == event["id"]
    assert [alert.source for alert in box.admin.events().raised] == ["press-1"]
    for _ in range(2):
        watch(box, "watch", 0.1, "press-1")
    eventually(lambda: told(receiver.ledger)[1:] == [("press-1", "cleared")])
    assert box.admin.events().raised == ()


def test_an_alert_that_was_raised_is_cleared_after_a_crash(
    start_box: Any, make_bundle: MakeBundle, eventually: Eventually, receiver: Any
) -> None:
    """The box is killed while the receiver is away: both events arrive later, in order."""
    receiver.mode = "down"
    box = start_box()
    box.admin.deploy(make_bundle(WATCH.format(name="watch", to=receiver.destination)))
    for _ in range(3):
        watch(box, "watch", 0.95)
    eventually(lambda: box.admin.events().raised)
    eventually(lambda: box.admin.events().destinations[0].last_error)
    (event,) = box.admin.events_tail()
    assert json.loads(bytes(event.data))["state"] == "raised"
    box.end(9)
    box = start_box()
    assert [alert.alert for alert in box.admin.events().raised] == ["alert"]
    for _ in range(2):
        eventually(lambda: watch(box, "watch", 0.1).status == 200)
    eventually(lambda: box.admin.events().raised == ())
    receiver.mode = "up"
    eventually(lambda: told(receiver.ledger) == [("", "raised"), ("", "cleared")], within_s=20.0)


def test_events_go_to_files_in_the_folder_for_them(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually
) -> None:
    """The second alert of a function has a file as its destination."""
    box = shared_box
    box.admin.deploy(make_bundle(WATCH.format(name="filed", to="file:odd/score.jsonl")))
    watch(box, "filed", -1.0)
    file = box.state_dir / "events" / "odd" / "odd.jsonl"
    eventually(lambda: file.exists() and file.read_text().endswith("\n"))
    assert json.loads(file.read_text())["data"] == {
        "function": "filed",
        "alert": "odd",
        "state": "raised",
        "values": {"score": -1.0, "machine": "unknown"},
    }


def test_an_alert_reaches_a_real_broker(
    shared_box: Any, make_bundle: MakeBundle, eventually: Eventually, broker: Any
) -> None:
    """With the source of the call that set it off."""
    topic = f"mqtt://127.0.0.1:{broker.port}/plant/alerts"
    shared_box.admin.deploy(make_bundle(WATCH.format(name="published", to=topic)))
    for _ in range(2):
        watch(shared_box, "published", 0.95, "press-7")
    eventually(lambda: told(broker.ledger) == [("press-7", "raised")])


def test_a_source_that_is_no_plain_text_is_refused(
    shared_box: Any, make_bundle: MakeBundle
) -> None:
    """A source is the name of something: short, and printable."""
    box = shared_box
    box.admin.deploy(make_bundle(WATCH.format(name="watch", to="file:a.jsonl")))
    assert watch(box, "watch", 0.5, "x" * 101).status == 400
    assert watch(box, "watch", 0.5, "x" * 100).status == 200


def test_programs_on_the_machine_put_events_of_their_own(
    start_box: Any, eventually: Eventually, receiver: Any
) -> None:
    """What was acknowledged survives the box; what is wrong is refused as a whole."""
    receiver.mode = 503
    box = start_box()
    events = [
        {"to": receiver.destination, "source": "camera", "data": {"frame": number}}
        for number in range(3)
    ]
    url = f"{box.url}/admin/v1/events"
    answer = box.http.request("POST", url, json={"events": events}).json()
    assert [one.rpartition("-")[2] for one in answer["ids"]] == ["camera"] * 3
    wrong = [*events, {"to": "file:../../etc/passwd", "data": 1}]
    refused = box.http.request("POST", url, json={"events": wrong})
    assert (refused.status, refused.json()["error"]["code"]) == (400, "invalid_input")
    more = PutEvent(to=receiver.destination, source="camera", data={"frame": 3})
    assert box.admin.put_events([more]) == (answer["ids"][0].replace("-1-", "-4-"),)
    assert box.admin.events().destinations[0].waiting == 4
    box.end(9)
    receiver.mode = "up"
    box = start_box()
    eventually(lambda: len(receiver.ledger.applied) == 4)
    assert receiver.ledger.data() == [{"frame": number} for number in range(4)]
    eventually(lambda: box.admin.events().destinations[0].delivered == 4)


def test_what_waits_for_nobody_is_dropped_by_an_operator_only(
    shared_box: Any, receiver: Any
) -> None:
    """A destination is named as it is shown, which is without its password."""
    receiver.mode = 500
    box = shared_box
    to = receiver.destination.replace("http://", "http://user:secret@")
    event = {"to": to, "data": 1}
    box.http.request("POST", f"{box.url}/admin/v1/events", json={"events": [event] * 5})
    waiting = {one.to: one.waiting for one in box.admin.events().destinations}
    assert waiting[receiver.destination] == 5
    metrics = box.http.request("GET", f"{box.url}/metrics").data.decode()
    assert f'edgefn_events_waiting{{destination="{receiver.destination}"}} 5.0' in metrics
    assert box.admin.drop_events(receiver.destination) == 5
    waiting = {one.to: one.waiting for one in box.admin.events().destinations}
    assert waiting[receiver.destination] == 0
