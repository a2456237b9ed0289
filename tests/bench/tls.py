"""What TLS and a key cost a call, on a connection that is kept, and what a handshake costs.

    python tests/bench/tls.py [calls]

One box with a function that does nothing, called over one connection: by turns on the loopback port
without TLS, and on the port with TLS and with a key. Both clients are `http.client`.
On a busy machine, the processor time of the gateway says more than the latency.
"""

import http.client
import os
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edgefn.access.files import AccessFiles
from edgefn.access.orders import NewKey
from edgefn.box import BoxConfig
from edgefn.bundle.build import build
from edgefn.cli.box_process import BoxProcess
from edgefn.client.admin import AdminClient

CALLS: Final = 2000
ROUNDS: Final = 6
HANDSHAKES: Final = 100
CODE: Final = """
from edgefn import edge_function

@edge_function()
def nothing(x: int) -> int:
    return x
"""


def main() -> None:
    """Measures, and prints one line for each way."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else CALLS
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.mkdir()
        (source / "function.py").write_text(CODE)
        state = Path(folder) / "state"
        box = BoxProcess.start(
            BoxConfig(state_dir=state, port=0, name="bench", hub=True, listen="127.0.0.1:0"),
            outlives=False,
        )
        try:
            with AdminClient(box.url) as admin:
                for bundle in build(str(source)):
                    admin.deploy(bundle)
                key = admin.make_key(NewKey(name="bench")).text
                status = admin.status()
                secure = urlsplit(status.secure_url)
            gateway = status.gateways[0].pid
            context = ssl.create_default_context(cafile=str(AccessFiles(state).fleet))
            _measure(urlsplit(box.url).port or 0, secure.port or 0, context, key, calls, gateway)
        finally:
            box.stop()


def _measure(
    plain: int, secure: int, context: ssl.SSLContext, key: str, calls: int, gateway: int
) -> None:
    ways = {
        "http": (http.client.HTTPConnection("127.0.0.1", plain), {}),
        "https + key": (
            http.client.HTTPSConnection("localhost", secure, context=context),
            {"Authorization": f"Bearer {key}"},
        ),
    }
    cpu_s = dict.fromkeys(ways, 0.0)
    took_us: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for name, (connection, headers) in ways.items():
            began_s = _cpu_s(gateway)
            samples = [_call_us(connection, headers) for _ in range(calls // ROUNDS)]
            if turn:  # the first round warms up
                took_us[name] += samples
                cpu_s[name] += _cpu_s(gateway) - began_s
    for name, samples in took_us.items():
        cuts = statistics.quantiles(samples, n=100)
        print(
            f"{name:12} p50 {cuts[49]:.0f} us  p95 {cuts[94]:.0f} us  p99 {cuts[98]:.0f} us  "
            f"processor time of the gateway {cpu_s[name] / len(samples) * 1e6:.0f} us"
        )
    for connection, _ in ways.values():
        connection.close()
    print(f"a handshake  p50 {_handshake_ms(secure, context):.2f} ms, client's half included")
    print(f"on {os.cpu_count()} processors, {ssl.OPENSSL_VERSION}, Python {sys.version.split()[0]}")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _call_us(connection: http.client.HTTPConnection, headers: dict[str, str]) -> float:
    began_s = time.perf_counter()
    connection.request(
        "POST", "/v1/functions/nothing", b'{"x":1}', {"Content-Type": "application/json", **headers}
    )
    reply = connection.getresponse()
    reply.read()
    assert reply.status == 200, reply.status
    return (time.perf_counter() - began_s) * 1e6


def _handshake_ms(port: int, context: ssl.SSLContext) -> float:
    took_ms = []
    for _ in range(HANDSHAKES):
        began_s = time.perf_counter()
        connection = http.client.HTTPSConnection("localhost", port, context=context)
        connection.connect()
        took_ms.append((time.perf_counter() - began_s) * 1e3)
        connection.close()
    return statistics.median(took_ms)


if __name__ == "__main__":
    main()
