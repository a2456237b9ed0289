"""Couriers and how they send: order, batches, failures."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.alerts.destination import parse_destination, shown
from edgefn.box.outbox.backoff import Backoff
from edgefn.box.outbox.courier import Courier, NotDelivered, TooLarge
from edgefn.box.outbox.database import Database
from edgefn.box.outbox.event import Event, NewEvent, encode_data
from edgefn.box.outbox.file import EventFile
from edgefn.box.outbox.mqtt import MqttTopic
from edgefn.box.outbox.webhook import Webhook
from edgefn.box.outbox.writer import Writer
from edgefn.errors import InvalidInput

TO = "file:a"
AT_ONCE = Backoff(first_s=0.001, longest_s=0.002, least_s=0.0)


class FakeSender:
    """Takes what it is given, or fails as a test says, one error a try."""

    def __init__(self, *errors: Exception, most: int = 10**6) -> None:
        self._errors = list(errors)
        self._most = most
        self.tries: list[list[int]] = []
        self.arrived: list[int] = []
        self.closed = False

    def send(self, events: Sequence[Event]) -> None:
        self.tries.append([event.sequence for event in events])
        if len(events) > self._most:
            raise TooLarge("too much")
        if self._errors:
            raise self._errors.pop(0)
        self.arrived += self.tries[-1]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """Of an outbox."""
    made = Writer(lambda: Database(tmp_path / "outbox.db"))
    yield made
    made.close()


@pytest.fixture
def deliver(writer: Writer) -> Callable[[FakeSender, int], Courier]:
    """Puts events, and returns the courier when all have arrived and are forgotten."""

    def run(sender: FakeSender, count: int) -> Courier:
        event = NewEvent(to=(TO,), data=encode_data("x"))
        writer.submit(lambda database: database.put([event] * count, 0.0)).result()
        courier = Courier(TO, TO, writer, sender, backoff=AT_ONCE)
        while writer.submit(lambda database: database.backlogs.get(TO)).result():
            threading.Event().wait(0.002)
        courier.stop()
        courier.join(5.0)
        return courier

    return run


def some_events(count: int) -> list[Event]:
    """Events as they are stored."""
    return [Event(n, "origin", "söurce", n, 0.0, b'{"n":%d}' % n) for n in range(1, count + 1)]


def test_events_arrive_in_order_whatever_fails(
    deliver: Callable[..., Courier], caplog: pytest.LogCaptureFixture
) -> None:
    """The same events are tried until they have arrived, and only then the next ones."""
    sender = FakeSender(NotDelivered("gone"), NotDelivered("gone"), KeyError("a mistake"))
    courier = deliver(sender, 600)
    assert sender.arrived == list(range(1, 601))
    assert sender.tries[:3] == [list(range(1, 257))] * 3
    assert sender.closed
    assert (courier.status.delivered, courier.status.last_error) == (600, "")
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]


def test_batches_shrink_to_what_a_receiver_takes(deliver: Callable[..., Courier]) -> None:
    """Down to a single event."""
    sender = FakeSender(most=1)
    deliver(sender, 5)
    assert sender.arrived == [1, 2, 3, 4, 5]


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_delays_grow_and_are_bounded(failures: int, uniform: float) -> None:
    """And no two boxes wait for the same time."""
    backoff = Backoff()
    delay_s = backoff.delay_s(failures, uniform)
    assert backoff.least_s <= delay_s <= backoff.longest_s
    assert delay_s <= max(backoff.least_s, backoff.first_s * 2.0 ** min(failures, 99))


def test_a_file_gets_a_line_an_event(tmp_path: Path) -> None:
    """Half a line, which a power cut left, is cut off first: its event was not delivered."""
    path = tmp_path / "folder" / "events.jsonl"
    file = EventFile(path, "box-1")
    file.send(some_events(2))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id": "half' + b"x" * 100_000)
    file.send(some_events(1))
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["sequence"] for line in lines] == [1, 2, 1]
    assert lines[0] == {
        "id": "origin-1-söurce",
        "origin": "origin",
        "source": "söurce",
        "sequence": 1,
        "at": "1970-01-01T00:00:00.000+00:00",
        "box": "box-1",
        "data": {"n": 1},
    }
    path.write_bytes(b"only half a line")
    file.send(some_events(1))
    assert len(path.read_bytes().splitlines()) == 1


def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """And a link is not followed out of the folder."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("link", "link/below"):
        with pytest.raises(NotDelivered, match="cannot be written"):
            EventFile(tmp_path / name, "box").send(some_events(1))


class Asked(http.server.BaseHTTPRequestHandler):
    """Answers with the status in the path."""

    seen: list[tuple[Any, bytes]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append((self.headers, body))
        self.send_response(int(self.path.strip("/")))
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"said\n")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """Of a server that answers with the status in the path."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Asked)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_webhook_gets_many_events_in_one_post(address: str) -> None:
    """One a line, with the first one's id and their number in front, and the password apart."""
    hook = Webhook(parse_destination(f"webhook:http://me:pass%20word@{address}/200"), "box")
    hook.send(some_events(3))
    hook.close()
    headers, body = Asked.seen[-1]
    assert [json.loads(line)["data"]["n"] for line in body.splitlines()] == [1, 2, 3]
    assert (headers["Edgefn-Event-Id"], headers["Edgefn-Event-Count"]) == ("origin-1-s?urce", "3")
    assert headers["Authorization"] == "Basic bWU6cGFzcyB3b3Jk"
    assert headers["Content-Type"] == "application/x-ndjson"


@pytest.mark.parametrize(
    ("status", "kind"), [(302, NotDelivered), (413, TooLarge), (500, NotDelivered)]
)
def test_another_answer_than_2xx_is_no_delivery(
    address: str, status: int, kind: type[Exception]
) -> None:
    """A redirection is not followed; what was said is told."""
    hook = Webhook(parse_destination(f"webhook:http://{address}/{status}"), "box")
    with pytest.raises(NotDelivered, match=f"answered {status}: said") as raised:
        hook.send(some_events(2))
    hook.close()
    assert type(raised.value) is kind


def test_nobody_there_is_no_delivery() -> None:
    """Neither for HTTP nor for MQTT."""
    pytest.importorskip("paho.mqtt.client")
    for sender in (
        Webhook(parse_destination("webhook:http://127.0.0.1:1/"), "box"),
        MqttTopic(parse_destination("mqtt://127.0.0.1:1/topic"), "box"),
    ):
        with pytest.raises(NotDelivered):
            sender.send(some_events(1))
        sender.close()


def test_destinations_are_taken_apart() -> None:
    """Ports by default, passwords out of sight."""
    found = parse_destination("mqtts://me:secret@[::1]/plant%201/alerts")
    assert (found.host, found.port, found.tls, found.topic) == ("::1", 8883, True, "plant 1/alerts")
    assert (found.user, found.password) == ("me", "secret")
    assert found.shown == "mqtts://[::1]/plant%201/alerts"
    hook: Any = parse_destination("webhook:https://host:8443/a?b=c#d")
    assert (hook.url, shown(hook.text)) == ("https://host:8443/a?b=c", hook.text)
    for wrong in ("", "webhook:", "webhook:http://host:99999/", "file:", "mqtt:///a", "a\nb"):
        with pytest.raises(InvalidInput, match="destination|folder"):
            parse_destination(wrong)
