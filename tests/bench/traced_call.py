"""What traces cost a lone caller: `python tests/bench/traced_call.py [CHECKOUT]`.

Boxes that differ in nothing but what they trace, called in turn on one connection; an idle box
costs the others nothing. With another checkout of edgefn, that one does not trace either. The
gateway's time on a processor, all its threads', says the same where others use the machine, too.
"""

import contextlib
import http.server
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
from box import deploy, running_box
from run import FOLDER, sample
from wrk import Load, run_wrk

from edgefn_runtime.codecs import tensor_map

ROOT = Path(__file__).parents[2]
ROUNDS = 8
ROUND_S = 1.0


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans, and throws them away."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


def collect() -> None:
    """Prints its port, and takes spans until its standard input ends."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


@contextlib.contextmanager
def collector() -> Iterator[str]:
    """Starts a collector in a process of its own, and yields its URL."""
    process = subprocess.Popen(
        [sys.executable, __file__, "collect"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def boxes(url: str, other: Path | None) -> dict[str, dict[str, str]]:
    """Returns the environments of the boxes, by what they trace."""
    here = {"PYTHONPATH": f"{ROOT}:{ROOT}/runtime"}
    found = {"nothing": here}
    if other is not None:
        found["nothing, other checkout"] = {"PYTHONPATH": f"{other}:{other}/runtime"}
    traced = {**here, "OTEL_EXPORTER_OTLP_ENDPOINT": url, "NO_PROXY": "127.0.0.1"}
    found["no call of these"] = {**traced, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    found["each hundredth call"] = {
        **traced,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }
    found["each call"] = traced
    return found


def busy_s(pid: int) -> float:
    """Returns how long a process was on a processor until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(other: Path | None) -> None:
    """Prints a table."""
    body = msgspec.msgpack.encode({"features": tensor_map(sample())})
    found: dict[str, list[Load]] = {}
    pids, used_s, calls = {}, Counter[str](), Counter[str]()
    with contextlib.ExitStack() as stack:
        urls = {}
        for name, environ in boxes(stack.enter_context(collector()), other).items():
            admin = stack.enter_context(running_box(**environ))
            deploy(admin, FOLDER)
            urls[name] = f"{admin.url}/v1/functions/diagnosis"
            pids[name] = admin.status().gateways[0].pid
        for number in range(ROUNDS + 1):
            for name, url in urls.items():
                before_s = busy_s(pids[name])
                load = run_wrk(url, body, "application/msgpack", 1, ROUND_S)
                if number:  # the first calls of a process are not its usual ones
                    found.setdefault(name, []).append(load)
                    used_s[name] += busy_s(pids[name]) - before_s
                    calls[name] += round(load.calls_per_s * ROUND_S)
    ratio_of = "p50 over that of nothing, median of the rounds"
    print(f"| traced | p50, ms | p99, ms | {ratio_of} | gateway's processor, us a call |")
    print("|---|---:|---:|---:|---:|")
    for name, loads in found.items():
        pairs = zip(loads, found["nothing"], strict=True)
        ratio = statistics.median(one.p50_ms / base.p50_ms for one, base in pairs)
        p50_ms, p99_ms = (
            statistics.median(getattr(one, field) for one in loads)
            for field in ("p50_ms", "p99_ms")
        )
        used_us = used_s[name] / calls[name] * 1e6
        print(f"| {name} | {p50_ms:.3f} | {p99_ms:.3f} | {ratio:.3f} | {used_us:.0f} |")


if __name__ == "__main__":
    if sys.argv[1:] == ["collect"]:
        collect()
    elif len(sys.argv) > 2:
        raise SystemExit(__doc__)
    else:
        main(Path(sys.argv[1]).absolute() if len(sys.argv) == 2 else None)
