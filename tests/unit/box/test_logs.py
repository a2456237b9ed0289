"""The logs of a box, as readers see them."""

import asyncio
from pathlib import Path

from edgefn.box.log_files import LogFiles
from edgefn.box.logs import Logs


async def test_a_reader_gets_the_line_that_it_waited_for(tmp_path: Path) -> None:
    """A waiting reader is woken by the next line."""
    logs = Logs(LogFiles(tmp_path))
    _, cursor = await logs.read("f", after=None, limit=10, wait_s=0)
    reader = asyncio.create_task(logs.read("f", after=cursor, limit=10, wait_s=60))
    await asyncio.sleep(0)
    logs.of("f").add("r1", "hello")
    lines, _ = await reader
    assert [line.text for line in lines] == ["hello"]
    await logs.aclose()


async def test_a_box_that_ends_lets_its_readers_go(tmp_path: Path) -> None:
    """Nobody who follows a log holds up the end of a box."""
    logs = Logs(LogFiles(tmp_path))
    _, cursor = await logs.read("f", after=None, limit=10, wait_s=0)
    reader = asyncio.create_task(logs.read("f", after=cursor, limit=10, wait_s=60))
    await asyncio.sleep(0)
    logs.release()
    assert await reader == ([], cursor)
    assert await logs.read("f", after=cursor, limit=10, wait_s=60) == ([], cursor)
    await logs.aclose()
