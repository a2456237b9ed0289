"""A fleet as a new user runs it first: what `make fleet-demo` shows, and that it leaves nothing."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EDGE, CLOUD = ("plant-1", "plant-2"), ("cloud-1", "cloud-2")
GONE_WITHIN_S = 20.0
LONG = bool(os.environ.get("TEST_LONG"))


@pytest.fixture
def mark() -> Iterator[dict[str, str]]:
    """An environment by which all processes are known that a demo starts; none may be left."""
    name, value = "EDGE_DEMO_MARK", uuid.uuid4().hex
    yield {**os.environ, name: value}
    ends_s = time.monotonic() + GONE_WITHIN_S
    while left := _with(f"{name}={value}"):
        assert time.monotonic() < ends_s, f"left behind: {left}"
        time.sleep(0.1)


def _with(variable: str) -> dict[int, str]:
    """Returns the processes that have a variable of this value, and their titles."""
    found = {}
    for entry in filter(lambda one: one.name.isdigit(), Path("/proc").iterdir()):
        with suppress(OSError):
            if variable.encode() in (entry / "environ").read_bytes().split(b"\0"):
                title = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(entry.name)] = title.decode(errors="replace")
    return found


def _demo(*arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "examples" / "fleet_demo.py"), *arguments]


@pytest.mark.timeout(240)
def test_the_demo_of_a_fleet_shows_what_it_says(mark: dict[str, str], tmp_path: Path) -> None:
    """Near calls, accurate calls, too many calls, and a cut; the small boxes' way, without Ray."""
    _check(_seen(mark, tmp_path, "--no-ray", timeout_s=220))


# Ray starts twice on each of three machines that are one, with an actor for each function.
@pytest.mark.timeout(700)
@pytest.mark.skipif(not LONG, reason="takes minutes; TEST_LONG=1 runs it")
def test_the_demo_shows_what_the_loss_of_rays_head_does(
    mark: dict[str, str], tmp_path: Path
) -> None:
    """All calls are answered, by the replicas that were there before; leases are taken again."""
    saw = _seen(mark, tmp_path, timeout_s=660)
    _check(saw)
    assert set(saw["leases"]) == {"cloud-1", "cloud-2", "plant-1"}
    assert saw["head_answered"] == saw["head_calls"] > 0
    assert saw["head_kept"]
    assert 0 < saw["leases_lost_s"] < saw["leases_again_s"]


def _seen(mark: dict[str, str], folder: Path, *arguments: str, timeout_s: float) -> dict[str, Any]:
    facts = folder / "facts.json"
    result = subprocess.run(
        _demo("--once", "--facts", str(facts), *arguments), env=mark,
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    for expected in ("edgefn status", "up, the hub", "What this run showed"):
        assert expected in result.stdout
    return dict(json.loads(facts.read_text()))


def _check(saw: dict[str, Any]) -> None:
    for plant in EDGE:
        assert _most(saw[f"calls_{plant}"]) == plant
    assert _most(saw["any_accuracy"]) == "plant-1"
    assert saw["accurate"] and set(saw["accurate"]) <= set(CLOUD)
    assert _at(saw["rush"], CLOUD) > _at(saw["calm"], CLOUD)
    assert _at(saw["rush"], EDGE) > 0
    assert _most(saw["calm_again"]) == "plant-1"
    assert saw["cut_answered"] == saw["cut_calls"] > 0
    assert not saw["cut_had_it"]


def test_the_demo_of_a_fleet_ends_when_it_is_told_to(mark: dict[str, str]) -> None:
    """Ctrl-C while its boxes start: no process stays, and there is no stack trace."""
    demo = subprocess.Popen(
        _demo("--no-ray"), env={**mark, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with demo:
        assert demo.stdout is not None
        assert "starting a hub" in demo.stdout.readline()
        demo.send_signal(signal.SIGINT)
        said, errors = demo.communicate(timeout=60)
    assert (demo.returncode, errors) == (0, ""), said


def _most(counts: dict[str, int]) -> str:
    return max(counts, key=lambda box: counts[box])


def _at(counts: dict[str, Any], boxes: tuple[str, ...]) -> int:
    return sum(counts.get(box, 0) for box in boxes)
