"""The box's sockets, pipes and children: real ones, one at a time."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from edgefn.box.channel import Channel
from edgefn.box.child import Child
from edgefn.box.gateway_link import GatewayLink
from edgefn.box.listen import Listeners
from edgefn.box.log_lines import MAX_LINE_BYTES
from edgefn.box.logs import PIPE_PAUSE_S, PIPE_READ_BYTES, LogPipe
from edgefn.errors import ConfigError
from edgefn.gateway.control import (
    FromGateway,
    FunctionRoute,
    Routes,
    Started,
    StopAccepting,
    ToGateway,
    VariantRoute,
)
from edgefn_runtime.lifecycle import Drain, Exited, Forked, FromForkserver, MessageReader, pack
from edgefn_runtime.manifest import FunctionSchema, FunctionSpec
from edgefn_runtime.variant import as_given

SCHEMA = FunctionSchema(input={"x": "y" * 100_000}, output={}, v2_inputs=(), v2_outputs=())


async def until(holds: Callable[[], object]) -> None:
    """Lets the loop turn until something holds."""
    async with asyncio.timeout(5.0):
        while not holds():  # noqa: ASYNC110 - what is tested has no event for it
            await asyncio.sleep(0.001)


class Heard:
    """A channel on one end of a socket pair, and what it heard."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.messages: list[Any] = []
        self.lost = asyncio.Event()
        self.losses = 0
        self.channel = Channel(
            ours, FromForkserver, on_message=self.messages.append, on_lost=self._lost
        )

    def _lost(self) -> None:
        self.losses += 1
        self.lost.set()

    async def until_lost(self) -> None:
        async with asyncio.timeout(5.0):
            await self.lost.wait()


async def test_messages_arrive_however_they_are_cut() -> None:
    """And the end of the stream is told once, after them."""
    heard = Heard()
    data = pack(Forked("r1", 7)) + pack(Exited("r1", -9))
    for i in range(0, len(data), 5):
        heard.theirs.sendall(data[i : i + 5])
        await asyncio.sleep(0)
    heard.theirs.close()
    await heard.until_lost()
    assert heard.messages == [Forked("r1", 7), Exited("r1", -9)]
    heard.channel.close()
    assert heard.losses == 1


async def test_nonsense_ends_a_channel() -> None:
    """Like the end of the stream."""
    heard = Heard()
    heard.theirs.sendall(b"\xff" * 16)
    await heard.until_lost()
    heard.theirs.close()


async def test_the_rest_can_be_read_at_once() -> None:
    """What a process said last is not lost because its end was heard of first."""
    heard = Heard()
    heard.theirs.sendall(pack(Forked("r1", 7)))
    heard.theirs.close()
    heard.channel.read_rest()
    assert heard.messages == [Forked("r1", 7)]
    assert heard.losses == 1


async def test_sending_never_waits() -> None:
    """To one who does not read, or is gone, it says so."""
    heard = Heard()
    assert heard.channel.send(Drain())
    assert MessageReader(Drain).feed(heard.theirs.recv(100)) == [Drain()]
    while heard.channel.send(Drain()):
        pass
    heard.theirs.close()
    assert not heard.channel.send(Drain())
    heard.channel.close()
    assert not heard.channel.send(Drain())
    assert heard.losses == 0


async def test_what_is_printed_arrives_line_by_line() -> None:
    """The last line too, if it was not ended, once the pipe is closed."""
    read_fd, write_fd = os.pipe()
    lines: list[str] = []
    pipe = LogPipe(read_fd, lines.append)
    os.write(write_fd, b"one\ntwo\nthr")
    await until(lambda: len(lines) == 2)
    os.write(write_fd, b"ee\nfour")
    pipe.close()
    pipe.close()
    os.close(write_fd)
    assert lines == ["one", "two", "three", "four"]


async def test_a_pipe_that_ends_by_itself_is_closed() -> None:
    """Nothing is left to read, and closing it again is fine."""
    read_fd, write_fd = os.pipe()
    lines: list[str] = []
    pipe = LogPipe(read_fd, lines.append)
    os.write(write_fd, b"last")
    os.close(write_fd)
    await until(lambda: lines)
    pipe.close()
    assert lines == ["last"]


async def test_a_flood_is_read_at_a_limited_pace() -> None:
    """Its writer waits, and not the box."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    pipe = LogPipe(read_fd, lambda line: None)
    line = b"x" * MAX_LINE_BYTES + b"\n"
    written, started_s = 0, time.monotonic()
    while (elapsed_s := time.monotonic() - started_s) < 0.3:
        try:
            written += os.write(write_fd, line)
        except BlockingIOError:
            await asyncio.sleep(0.001)
    pipe.close()
    os.close(write_fd)
    assert written <= 2 * (elapsed_s / PIPE_PAUSE_S + 2) * PIPE_READ_BYTES


def test_gateways_share_one_port() -> None:
    """Which is found if none is asked for; the URL names it."""
    listeners = Listeners.bind("127.0.0.1", 0, 3, insecure=False)
    ports = {sock.getsockname()[1] for sock in listeners.sockets}
    assert len(listeners.sockets) == 3
    assert len(ports) == 1
    assert listeners.url == f"http://127.0.0.1:{ports.pop()}"
    listeners.close()


def test_a_url_leads_to_this_machine() -> None:
    """Whatever address is listened on."""
    listeners = Listeners.bind("0.0.0.0", 0, 1, insecure=True)
    assert listeners.url.startswith("http://127.0.0.1:")
    listeners.close()
    if socket.has_ipv6:
        listeners = Listeners.bind("::1", 0, 1, insecure=False)
        assert listeners.url.startswith("http://[::1]:")
        listeners.close()


def test_an_address_of_another_machine_is_refused() -> None:
    """With the reason of the system."""
    with pytest.raises(ConfigError, match="cannot listen on port 0 of 192.0.2.1"):
        Listeners.bind("192.0.2.1", 0, 1, insecure=True)


async def test_a_child_is_awaited() -> None:
    """Its exit status is that of the process; killing it afterwards does nothing."""
    child = Child("this", [], pass_fds=[], environ={})  # the Zen of Python, on standard error
    assert child.pid != os.getpid()
    assert await child.wait() == 0
    child.kill()
    assert await child.wait_at_most(0.0)


async def test_a_killed_child_says_so() -> None:
    """With the negative number of the signal."""
    read_fd, write_fd = os.pipe()
    child = Child("timeit", ["-n1", "-r1", "import time; time.sleep(60)"], pass_fds=[], environ={})
    assert not await child.wait_at_most(0.01)
    child.kill()
    assert await child.wait() == -9
    os.close(read_fd)
    os.close(write_fd)


def routes(version: int) -> Routes:
    function = FunctionRoute(
        name="f",
        revision=version,
        spec=FunctionSpec(name="f"),
        schema=SCHEMA,
        variants=(VariantRoute(variant=as_given({})),),
        default="python",
        replicas=(),
    )
    return Routes(version, (function,))


async def linked() -> tuple[GatewayLink, socket.socket, list[FromGateway], asyncio.Event]:
    """Returns a link, its other end, what it heard, and its loss."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    heard: list[FromGateway] = []
    lost = asyncio.Event()
    _, link = await asyncio.get_running_loop().create_unix_connection(
        lambda: GatewayLink(on_message=heard.append, on_lost=lost.set), sock=ours
    )
    return link, theirs, heard, lost


async def test_a_gateway_that_does_not_read_gets_the_newest_routes_only() -> None:
    """What is kept for it does not grow; the order to stop still comes last."""
    link, theirs, _, lost = await linked()
    for version in range(1, 101):
        link.send_routes(routes(version))
    loop, reader = asyncio.get_running_loop(), MessageReader(ToGateway)
    versions: list[int] = []
    async with asyncio.timeout(5.0):
        while not versions or versions[-1] < 100:
            versions += [one.version for one in reader.feed(await loop.sock_recv(theirs, 65536))]
        assert len(versions) < 20
        link.send_stop()
        assert reader.feed(await loop.sock_recv(theirs, 65536)) == [StopAccepting()]
        theirs.close()
        await lost.wait()
    link.send_routes(routes(101))


async def test_a_gateway_that_talks_nonsense_is_given_up() -> None:
    """Even if it began well."""
    _, theirs, heard, lost = await linked()
    theirs.send(pack(Started(0, 7)))
    async with asyncio.timeout(5.0):
        await until(lambda: heard == [Started(0, 7)])
        theirs.send(b"\xff" * 16)
        await lost.wait()
    theirs.close()
