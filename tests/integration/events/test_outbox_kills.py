"""An outbox whose process is killed fifty times, while events come and go."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefn.box.outbox.outbox import Outbox

KILLS = 50
LIVES = """
import asyncio, os, sys
from pathlib import Path
from edgefn.box.outbox.event import NewEvent, encode_data
from edgefn.box.outbox.outbox import Outbox

async def live(folder, life):
    outbox = await Outbox.open(folder / "outbox.db", folder / "events", "box")
    async def put(source):
        number = 0
        while True:
            number += 1
            data = encode_data([life, source, number])
            await outbox.put([NewEvent(to=("file:all.jsonl",), source=source, data=data)])
            os.write(1, b"%s\\n" % bytes(data))
    await asyncio.gather(*(put(source) for source in "abcd"))

for life, _ in enumerate(sys.stdin):
    if (child := os.fork()) == 0:
        asyncio.run(live(Path(sys.argv[1]), life))
    os.write(1, b"pid %d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that begins a life for each line that it reads, when the last one has ended."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", LIVES, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def one_life(nursery: subprocess.Popen[bytes], acknowledgements: int) -> list[Any]:
    """Returns what was acknowledged until a kill, which comes after so many."""
    assert nursery.stdin is not None and nursery.stdout is not None
    nursery.stdin.write(b"\n")
    nursery.stdin.flush()
    acknowledged, pid = [], 0
    for line in nursery.stdout:
        if line.startswith(b"pid"):
            pid = int(line.split()[1])
        elif line == b"dead\n":
            break
        else:
            acknowledged.append(json.loads(line))
        if pid and len(acknowledged) >= acknowledgements:
            os.kill(pid, signal.SIGKILL)
            acknowledgements = sys.maxsize
    return acknowledged


async def drain(folder: Path) -> None:
    """Returns when nothing waits any more."""
    outbox = await Outbox.open(folder / "outbox.db", folder / "events", "box")
    while any(each["waiting"] for each in await outbox.status()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await outbox.aclose()


def test_nothing_that_was_acknowledged_is_lost_in_fifty_kills(
    nursery: subprocess.Popen[bytes], tmp_path: Path, make_ledger: Any
) -> None:
    """Each event arrives, in the order of its source; those that come twice bear the same id."""
    draw = random.Random(50)
    acknowledged = [
        event for _ in range(KILLS) for event in one_life(nursery, draw.randrange(1, 60))
    ]
    asyncio.run(drain(tmp_path))
    ledger = make_ledger()
    ledger.apply((tmp_path / "events" / "all.jsonl").read_bytes())
    arrived = ledger.data()
    assert len(acknowledged) > KILLS
    assert [event for event in acknowledged if event not in arrived] == []
    assert len({tuple(event) for event in arrived}) == len(arrived)
    for source in "abcd":
        of_source = [event for event in arrived if event[1] == source]
        assert of_source == sorted(of_source)
