"""What a compiled wheel is to a lone caller: `python tests/bench/lone_call.py FOLDER`.

Two boxes, one of them with both packages as `python hatch_build.py FOLDER` has compiled them, and
plain aiohttp, called in turn on one connection; an idle box costs the others nothing. The other box
runs from this checkout, which should be what was compiled. On a machine that others use, too, the
processor time that a box's processes take for a call says more than how long a call takes.
"""

import contextlib
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from box import deploy, plain_server, running_box
from processes import cpu_s, serving
from run import FOLDER, sample
from wrk import run_wrk

from edgefn_runtime.codecs import tensor_map

ROOT = Path(__file__).parents[2]
ROUNDS = 15
ROUND_S = 1.0
PLAIN = "plain aiohttp"


@contextlib.contextmanager
def box_at_work(path: str) -> Iterator[tuple[str, list[int]]]:
    """Starts a box with the packages on a path; yields its function's URL, and its processes."""
    with running_box(PYTHONPATH=path) as admin:
        deploy(admin, FOLDER)
        yield f"{admin.url}/v1/functions/diagnosis", serving(admin.status().pid)


def main(compiled: Path) -> None:
    body = msgspec.msgpack.encode({"features": tensor_map(sample())})
    with (
        box_at_work(f"{ROOT}:{ROOT}/runtime") as interpreted,
        box_at_work(str(compiled.absolute())) as compiled_box,
        plain_server(FOLDER, "application") as plain,
    ):
        servers: dict[str, tuple[str, list[int]]] = {
            "interpreted": interpreted,
            "compiled": compiled_box,
            PLAIN: (f"{plain}/v1/functions/diagnosis", []),
        }
        p50s_ms: dict[str, list[float]] = {name: [] for name in servers}
        took_us: dict[str, list[float]] = {name: [] for name in servers}
        for number in range(ROUNDS + 1):
            for name, (url, pids) in servers.items():
                began_s = cpu_s(pids)
                load = run_wrk(url, body, "application/msgpack", 1, ROUND_S)
                if number:  # the first calls of a process are not its usual ones
                    p50s_ms[name].append(load.p50_ms)
                    took_us[name].append((cpu_s(pids) - began_s) / load.calls_per_s / ROUND_S * 1e6)
    print("| server | p50, ms | above plain aiohttp, ms | processor, us a call |")
    print("|---|---:|---:|---:|")
    for name, ours_ms in p50s_ms.items():
        pairs = zip(ours_ms, p50s_ms[PLAIN], strict=True)
        above_ms = statistics.median(one - other for one, other in pairs)
        took = f"{statistics.median(took_us[name]):.0f}" if servers[name][1] else ""
        print(f"| {name} | {statistics.median(ours_ms):.3f} | {above_ms:.3f} | {took} |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
