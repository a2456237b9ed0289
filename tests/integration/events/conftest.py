"""Who receives events: an HTTP server with a switch, a real MQTT broker, and a ledger of both."""

import contextlib
import http.server
import json
import os
import random
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Ledger:
    """What a receiver does with events: applies each once, by the number of its source.

    Attributes:
        applied: Events, in the order in which they were applied.
        repeated: How many came again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], int] = {}
        self.applied: list[dict[str, Any]] = []
        self.repeated = 0

    def apply(self, lines: bytes) -> None:
        """Takes one JSON object a line. Fails if one comes before its turn."""
        with self._lock:
            for line in lines.splitlines():
                event = json.loads(line)
                source = event["origin"], event["source"]
                last = self._last.get(source, 0)
                if event["sequence"] <= last:
                    self.repeated += 1
                    continue
                self._last[source] = event["sequence"]
                self.applied.append(event)

    def data(self) -> list[Any]:
        """What the applied events tell, in order."""
        return [event["data"] for event in self.applied]


class Receiver:
    """An HTTP server that takes events, or fails in one of the ways in which servers do.

    Attributes:
        ledger: What it applied.
        mode: `up`; `down`, it closes the connection unread; `deaf`, it applies the events and the
            answer is lost; or an HTTP status to answer.
        posts: Headers of the requests that it read.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.mode: str | int = "up"
        self.posts: list[dict[str, str]] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                mode = receiver.mode
                if mode == "down":
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.posts.append(dict(self.headers))
                if mode in ("up", "deaf"):
                    receiver.ledger.apply(body)
                if mode == "deaf":
                    self.close_connection = True
                    return
                self.send_response(mode if isinstance(mode, int) else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def destination(self) -> str:
        """How events get here."""
        return f"webhook:http://127.0.0.1:{self._server.server_address[1]}/events"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def kept_port() -> int:
    """Returns a free port that nobody is given by chance while what listens there restarts."""
    while True:
        port = random.randrange(20_000, 32_000)  # below those that the system hands out
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Broker:
    """A real mosquitto on a port of its own, and one subscriber to all that it gets.

    Attributes:
        ledger: What the subscriber applied.
        port: Where it listens.
    """

    def __init__(self, program: str, folder: Path) -> None:
        self.port = kept_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nautosave_on_changes true\nautosave_interval 1\n"
            "max_queued_messages 0\n"
        )
        os.chmod(folder, 0o777)
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.ledger = Ledger()

    def start(self) -> None:
        """Starts it, and returns when it listens."""
        from paho.mqtt.client import CallbackAPIVersion, Client

        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)], stderr=subprocess.DEVNULL
        )
        subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, "ledger", clean_session=False)
        self._client.on_connect = lambda client, *rest: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *rest: subscribed.set()
        self._client.on_message = lambda client, data, message: self.ledger.apply(message.payload)
        for _ in range(200):
            try:
                self._client.connect("127.0.0.1", self.port)
                break
            except ConnectionRefusedError:
                threading.Event().wait(0.02)
        self._client.loop_start()
        assert subscribed.wait(10.0), "the broker takes no subscription"

    def stop(self) -> None:
        """Ends it; it may be started again, and knows its subscriber."""
        if self._process is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._process.terminate()
            self._process.wait()
            self._process = None


@pytest.fixture
def make_ledger() -> type[Ledger]:
    """Makes an empty ledger."""
    return Ledger


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    running = Receiver()
    yield running
    running.close()


@pytest.fixture(scope="session")
def mosquitto() -> str:
    """The program, installed if that is possible."""
    pytest.importorskip("paho.mqtt.client", reason="needs the extra: pip install 'edgefn[mqtt]'")
    path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
    script = Path(__file__).with_name("install_mosquitto.sh")
    found = shutil.which("mosquitto", path=path)
    if found is None:
        subprocess.run(["sh", str(script)], capture_output=True, timeout=110, check=False)
        found = shutil.which("mosquitto", path=path)
    if found is None:
        pytest.skip(f"there is no mosquitto, and {script.name} could not install it")
    return found


@pytest.fixture
def broker(mosquitto: str, tmp_path: Path) -> Iterator[Broker]:
    """A running broker."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    running = Broker(mosquitto, folder)
    running.start()
    yield running
    running.stop()
