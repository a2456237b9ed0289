"""The load generator: wrk, a C program that takes as little of the machine as it can."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """
local file = io.open(os.getenv("BENCH_BODY"), "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["Content-Type"] = os.getenv("BENCH_CONTENT_TYPE")
done = function(summary, latency, requests)
  io.write(string.format("BENCH calls=%d us=%d p50=%d p95=%d p99=%d status=%d socket=%d\\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(95),
    latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one run of the load generator saw."""

    calls_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def ensure_wrk() -> str:
    """Returns the path of wrk, and installs it first where that is possible.

    Raises:
        SystemExit: It is missing and cannot be installed from here.
    """
    if shutil.which("wrk") is None and shutil.which("apt-get") and os.geteuid() == 0:
        print("installing wrk ...", flush=True)
        quiet = {"check": False, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "wrk"], **quiet)
    path = shutil.which("wrk")
    if path is None:
        raise SystemExit("the bench needs the load generator wrk; install it: apt-get install wrk")
    return path


def run_wrk(url: str, body: bytes, content_type: str, connections: int, duration_s: float) -> Load:
    """Calls `url` over and over on so many connections, each one call at a time.

    Raises:
        RuntimeError: A call failed: figures of failed calls mean nothing.
    """
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as folder:
        script, payload = Path(folder, "post.lua"), Path(folder, "body")
        script.write_text(_SCRIPT)
        payload.write_bytes(body)
        result = subprocess.run(
            [
                ensure_wrk(), "-t1", f"-c{connections}", f"-d{round(duration_s)}s", "--timeout",
                "10s", "-s", str(script), url,
            ],
            env={**os.environ, "BENCH_BODY": str(payload), "BENCH_CONTENT_TYPE": content_type},
            check=True, capture_output=True, text=True, timeout=duration_s + 60,
        )  # fmt: skip
    found = re.search(r"^BENCH (.*)$", result.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk said nothing of its run: {result.stdout}")
    values = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", found[1])}
    if values["status"] or values["socket"] or not values["calls"]:
        raise RuntimeError(f"calls failed at {url}: {found[1]}")
    return Load(
        calls_per_s=values["calls"] / values["us"] * 1e6,
        p50_ms=values["p50"] / 1000,
        p95_ms=values["p95"] / 1000,
        p99_ms=values["p99"] / 1000,
    )
