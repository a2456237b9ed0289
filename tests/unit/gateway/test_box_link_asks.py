"""How much a gateway asks of its box at once."""

import asyncio
import socket

import pytest

from edgefn.gateway.box_link import BoxLink
from edgefn.gateway.control import DESIRED_PATH, Answered, FromGateway, most_asks
from edgefn.gateway.errors import Unavailable
from edgefn_runtime.lifecycle import MessageReader, pack

STATUS = "/admin/v1/status"


@pytest.fixture
async def ends():
    """A link, and the box's end of its socket."""
    ours, theirs = socket.socketpair()
    link = BoxLink(on_message=lambda message: None, on_lost=lambda why: None)
    await link.connect(ours)
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    yield link, reader, writer
    writer.close()
    await writer.wait_closed()
    await link.aclose()


async def filled(link, path):
    """Returns as many asks as may wait, which do."""
    tasks = [
        asyncio.create_task(link.ask("GET", path, {}, b"", 30.0)) for _ in range(most_asks(path))
    ]
    await asyncio.sleep(0)
    return tasks


async def answered(reader, writer, count):
    messages = MessageReader(FromGateway)
    while count:
        for ask in messages.feed(await reader.read(65536)):
            writer.write(pack(Answered(ask.id, 200, ask.path.encode())))
            count -= 1


@pytest.mark.parametrize(("many", "other"), [(DESIRED_PATH, STATUS), (STATUS, DESIRED_PATH)])
async def test_boxes_that_wait_and_operators_do_not_keep_each_other_out(ends, many, other):
    """One too many of a kind is refused, and there is room again after an answer."""
    link, reader, writer = ends
    tasks = await filled(link, many)
    with pytest.raises(Unavailable, match=str(most_asks(many))):
        await link.ask("GET", many, {}, b"", 30.0)
    tasks.append(asyncio.create_task(link.ask("GET", other, {}, b"", 30.0)))
    await asyncio.sleep(0)
    await answered(reader, writer, len(tasks))
    replies = [(await task).body for task in tasks]
    assert replies == [many.encode()] * (len(tasks) - 1) + [other.encode()]
    again = asyncio.create_task(link.ask("GET", many, {}, b"", 30.0))
    await answered(reader, writer, 1)
    assert (await again).status == 200
