"""Measures the load generator itself, against a server that does nothing.

python tests/bench/openloop_speed.py --rate 6000
"""

import argparse
import asyncio
import json
import subprocess
import sys
from typing import Any

import numpy as np
import uvloop
from recording import Target, arrivals, make_calls, quantiles_ms

ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nEdgefn-Variant: onnx-fp32\r\nEdgefn-Sla: met\r\n"
    b"Server-Timing: queue;dur=0.010, compute;dur=0.200\r\n\r\nok"
)


class Trivial(asyncio.Protocol):
    """Answers every read."""

    def connection_made(self, transport: Any) -> None:
        """Keeps the way back."""
        self.write = transport.write

    def data_received(self, data: bytes) -> None:
        """Answers."""
        self.write(ANSWER)


async def serve() -> None:
    """Serves until standard input ends."""
    server = await asyncio.get_running_loop().create_server(Trivial, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Prints what the generator can do here."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, default=6000.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve())
        return
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdin is not None and server.stdout is not None
    url = f"http://127.0.0.1:{server.stdout.readline().decode().strip()}"
    at_s = arrivals([(arguments.rate, arguments.seconds)], np.random.default_rng(1))
    recording = make_calls(url, [Target(function="f", body=b"x" * 200)], at_s)
    server.stdin.close()
    server.wait()
    server.stdout.close()
    report = {
        "calls": len(at_s),
        "answered": int((recording.status == 200).sum()),
        "calls_per_s": len(at_s) / float(recording.done_s.max()),
        "latency_ms": quantiles_ms(recording.latency_ms),
        "delay_ms": quantiles_ms(recording.delay_ms),
        "cpu_us_a_call": recording.cpu_s / len(at_s) * 1e6,
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
