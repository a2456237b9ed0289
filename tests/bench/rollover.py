"""Replaces a function again and again while it is called, and counts the calls that fail.

    python tests/bench/rollover.py                              100,000 calls, 50 rollovers
    python tests/bench/rollover.py --calls 3000 --rollovers 5   a few seconds

Every answer carries the revision that gave it. On one connection revisions never go back: a
connection belongs to one gateway, which follows one routing table after the other.
"""

import argparse
import contextlib
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from edgefn.bundle.build import Bundle, build
from edgefn.bundle.content import Content
from edgefn.bundle.keys import config_dir, own_key
from edgefn.bundle.signing import sign
from edgefn.client.admin import AdminClient
from edgefn_runtime.manifest import BundleFile

FUNCTION = """
from edgefn import edge_function

REVISION = {revision}

@edge_function(name="rolled", deadline_ms=10_000, scale=(1, 2))
def rolled(x: int) -> int:
    return REVISION
"""
NEAR_S = 0.25  # calls that begin this close to a switch count as those of the rollover


@contextlib.contextmanager
def running_box(gateways: int) -> Iterator[AdminClient]:
    """Starts a box on a free port with a state directory of its own."""
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as state:
        up = subprocess.run(
            [
                sys.executable, "-m", "edgefn", "up", "--port", "0", "--state-dir", state,
                "--gateways", str(gateways), "--detach", "--json",
            ],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            yield AdminClient(json.loads(up.stdout)["url"])
        finally:
            subprocess.run(
                [sys.executable, "-m", "edgefn", "down", "--state-dir", state],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip


def bundle_of(folder: Path, revision: int, first: Bundle | None) -> Bundle:
    """Returns the bundle of a revision: built, or the first one with one changed file."""
    source = folder / "function.py"
    if first is None:
        source.write_text(FUNCTION.format(revision=revision))
        (bundle,) = build(str(folder))
        return bundle
    changed = folder.parent / f"function-{revision}.py"
    changed.write_text(FUNCTION.format(revision=revision))
    content = Content(path=changed, size=changed.stat().st_size)
    sha256 = _sha256(content)
    files = tuple(
        BundleFile(one.path, content.size, sha256) if one.path == source.name else one
        for one in first.manifest.files
    )
    manifest = msgspec.structs.replace(first.manifest, files=files)
    key = own_key(config_dir(os.environ))
    signature = sign(key, manifest.digest(), sequence=time.time_ns() // 1_000_000)
    return dataclasses.replace(
        first, manifest=manifest, files={**first.files, sha256: content}, signature=signature
    )


def _sha256(content: Content) -> str:
    return hashlib.sha256(content.read_bytes()).hexdigest()


def roll(admin: AdminClient, calls: int, rollovers: int) -> dict[str, Any]:
    """Runs the load beside the rollovers, and returns what came of both."""
    with tempfile.TemporaryDirectory(prefix="edgefn-bench-") as scratch:
        folder = Path(scratch, "rolled")
        folder.mkdir()
        first = bundle_of(folder, 1, None)
        admin.deploy(first)
        load = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("rollover_load.py")), admin.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert load.stdin is not None and load.stdout is not None
        switches, took_s = [], []
        try:
            for rollover in range(1, rollovers + 1):
                _wait_for(load.stdout, calls * rollover // (rollovers + 1))
                started_s = time.monotonic()
                admin.deploy(bundle_of(folder, rollover + 1, first))
                switches.append(time.monotonic())
                took_s.append(switches[-1] - started_s)
            _wait_for(load.stdout, calls)
            load.stdin.close()
            told = json.loads(load.stdout.read().splitlines()[-1])
        finally:
            load.kill()
            load.wait()
            load.stdout.close()
    return _report(told, switches, took_s)


def _wait_for(lines: Any, calls: int) -> None:
    """Reads how many calls were answered until it is enough."""
    for line in lines:
        if int(line) >= calls:
            return
    raise SystemExit("the load ended by itself; its standard error says why")


def _report(told: dict[str, Any], switches: list[float], took_s: list[float]) -> dict[str, Any]:
    near, steady = [], []
    for began_s, duration_s in told["durations"]:
        is_near = any(-NEAR_S < began_s - at_s < NEAR_S for at_s in switches)
        (near if is_near else steady).append(duration_s)
    return {
        "calls": told["calls"],
        "failed": told["failed"],
        "reasons": told["reasons"],
        "went_back": told["went_back"],
        "rollovers": len(switches),
        "revisions_seen": told["revisions"],
        "rollover_p50_s": sorted(took_s)[len(took_s) // 2],
        "steady_p50_ms": percentile_ms(steady, 50),
        "steady_p99_ms": percentile_ms(steady, 99),
        "near_p50_ms": percentile_ms(near, 50),
        "near_p99_ms": percentile_ms(near, 99),
        "near_calls": len(near),
    }


def percentile_ms(durations_s: list[float], percent: int) -> float:
    """Returns the smallest duration that is not below so many percent of all; 0 of none."""
    if not durations_s:
        return 0.0
    rank = max(-(-len(durations_s) * percent // 100), 1)
    return round(sorted(durations_s)[rank - 1] * 1000, 3)


def main() -> int:
    """Runs the bench and prints what came of it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--rollovers", type=int, default=50)
    parser.add_argument("--gateways", type=int, default=2)
    arguments = parser.parse_args()
    with running_box(arguments.gateways) as admin:
        report = roll(admin, arguments.calls, arguments.rollovers)
    print(json.dumps(report, indent=2))
    return 1 if report["failed"] or report["went_back"] else 0


if __name__ == "__main__":
    sys.exit(main())
