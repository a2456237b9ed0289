"""How fast the outbox acknowledges events and delivers a backlog; run it on an idle machine.

    python tests/bench/outbox.py [--events 10000] [--folder ON_THE_DISK_TO_MEASURE]

Prints one JSON object; events have 1 KB. The HTTP server that receives them runs in this very
process, so what it takes is in the figures. With mosquitto on the machine, MQTT is measured too.
"""

import argparse
import asyncio
import http.server
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefn.box.outbox.backoff import Backoff
from edgefn.box.outbox.event import NewEvent, encode_data
from edgefn.box.outbox.outbox import Outbox

AT_ONCE = (1, 16, 128)
SECONDS = 2.0
DATA = encode_data({"function": "watch", "state": "raised", "pad": "x" * 900})


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes events."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


async def acknowledged_per_s(folder: Path, at_once: int) -> float:
    """Returns how many events of 1 KB are acknowledged while so many wait to be."""
    outbox = await Outbox.open(folder / f"put-{at_once}.db", folder, "box")
    until_s, count = time.monotonic() + SECONDS, 0
    event = NewEvent(to=("webhook:http://127.0.0.1:1/",), data=DATA)

    async def put() -> None:
        nonlocal count
        while time.monotonic() < until_s:
            await outbox.put([event])
            count += 1

    await asyncio.gather(*(put() for _ in range(at_once)))
    await outbox.aclose()
    return count / SECONDS


async def delivered_per_s(folder: Path, to: str, events: int, arrive: Callable[[], None]) -> float:
    """Returns how fast a backlog leaves once the receiver is there."""
    backoff = Backoff(first_s=0.01, longest_s=0.02)
    path = folder / f"{to.partition(':')[0]}.db"
    outbox = await Outbox.open(path, folder, "box", backoff=backoff)
    event = NewEvent(to=(to,), data=DATA)
    for first in range(0, events, 1000):
        await outbox.put([event] * min(1000, events - first))
    started_s = time.monotonic()
    arrive()
    await asyncio.to_thread(_until_empty, outbox, asyncio.get_running_loop())
    passed_s = time.monotonic() - started_s
    await outbox.aclose()
    return events / passed_s


def _until_empty(outbox: Outbox, loop: asyncio.AbstractEventLoop) -> None:
    while any(
        each["waiting"] for each in asyncio.run_coroutine_threadsafe(outbox.status(), loop).result()
    ):
        time.sleep(0.005)


def start_mosquitto(program: str, port: int) -> subprocess.Popen[bytes]:
    """Starts a broker that keeps nothing."""
    return subprocess.Popen([program, "-p", str(port)], stderr=subprocess.DEVNULL)


async def measure(folder: Path, events: int) -> dict[str, Any]:
    """Returns all figures."""
    acknowledged = {
        str(at_once): round(await acknowledged_per_s(folder, at_once)) for at_once in AT_ONCE
    }
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver, bind_and_activate=False)
    server.server_bind()

    def arrive() -> None:
        server.server_activate()
        threading.Thread(target=server.serve_forever, daemon=True).start()

    hook = f"webhook:http://127.0.0.1:{server.server_address[1]}/"
    delivered = {"webhook": round(await delivered_per_s(folder, hook, events, arrive))}
    server.shutdown()
    server.server_close()
    if broker := shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        running: list[subprocess.Popen[bytes]] = []
        topic = f"mqtt://127.0.0.1:{port}/bench"
        delivered["mqtt"] = round(
            await delivered_per_s(
                folder, topic, events, lambda: running.append(start_mosquitto(broker, port))
            )
        )
        for process in running:
            process.terminate()
            process.wait()
    return {"acknowledged_per_s": acknowledged, "delivered_per_s": delivered}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), arguments.events)), indent=2))


if __name__ == "__main__":
    main()
