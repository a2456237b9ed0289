"""What compiled decisions are to a lone caller: `python tests/bench/lone_call.py FOLDER`.

Two boxes, one of them with both packages as `python hatch_build.py FOLDER` has compiled them, and
plain aiohttp, called in turn on one connection; an idle box costs the others nothing. The other box
runs from this checkout, which should be what was compiled.
"""

import contextlib
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from box import deploy, plain_server, running_box
from run import FOLDER, sample
from wrk import run_wrk

from edgefn_runtime.codecs import tensor_map

ROOT = Path(__file__).parents[2]
ROUNDS = 15
ROUND_S = 1.0


@contextlib.contextmanager
def box_url(path: str) -> Iterator[str]:
    """Starts a box with the packages that are on a path, and yields where the function is."""
    with running_box(PYTHONPATH=path) as admin:
        deploy(admin, FOLDER)
        yield f"{admin.url}/v1/functions/diagnosis"


def main(compiled: Path) -> None:
    body = msgspec.msgpack.encode({"features": tensor_map(sample())})
    with (
        box_url(f"{ROOT}:{ROOT}/runtime") as interpreted_url,
        box_url(str(compiled.absolute())) as compiled_url,
        plain_server(FOLDER, "application") as plain,
    ):
        urls = {
            "interpreted": interpreted_url,
            "compiled": compiled_url,
            "plain aiohttp": f"{plain}/v1/functions/diagnosis",
        }
        found: dict[str, list[float]] = {name: [] for name in urls}
        for number in range(ROUNDS + 1):
            for name, url in urls.items():
                load = run_wrk(url, body, "application/msgpack", 1, ROUND_S)
                if number:  # the first calls of a process are not its usual ones
                    found[name].append(load.p50_ms)
    print("| server | p50, ms | above plain aiohttp, median of the rounds |")
    print("|---|---:|---:|")
    for name, p50s_ms in found.items():
        pairs = zip(p50s_ms, found["plain aiohttp"], strict=True)
        above_ms = statistics.median(one - other for one, other in pairs)
        print(f"| {name} | {statistics.median(p50s_ms):.3f} | {above_ms:.3f} |")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
