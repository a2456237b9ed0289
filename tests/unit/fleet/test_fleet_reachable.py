"""Whether somebody listens where the head of Ray was."""

import asyncio
import socket

from edgefn.fleet.reachable import answers


async def test_who_listens_answers_and_who_ended_does_not():
    """Nor does what is no address."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    assert await answers(f"{host}:{port}")
    server.close()
    await server.wait_closed()
    assert not await answers(f"{host}:{port}")
    assert not await answers("somewhere")


async def test_who_never_answers_is_not_waited_for():
    """A machine that is gone refuses nothing."""
    with socket.socket() as crowded:
        crowded.bind(("127.0.0.1", 0))
        crowded.listen(0)
        address = "{}:{}".format(*crowded.getsockname())
        waiting = [socket.socket() for _ in range(2)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(crowded.getsockname())
        assert not await answers(address, within_s=0.05)
        for one in waiting:
            one.close()
