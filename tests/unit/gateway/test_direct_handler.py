"""Requests that are answered beside aiohttp's task, and what that needs of aiohttp."""

import asyncio
import contextlib

from aiohttp import web

from edgefn.gateway import direct_handler
from edgefn.gateway.answer import Answer
from edgefn.gateway.direct_handler import DirectHandler


class Later:
    """A request that is answered when the test says so."""

    def __init__(self, path):
        self.path = path
        self.request = None
        self.gone = asyncio.Event()

    def begin(self, request):
        self.request = request
        return Answer(200, b"", b"direct " + self.path.encode()) if "now" in self.path else None

    def answer(self):
        body = b"direct " + self.path.encode()
        self.request.protocol.answered(self.request, Answer(200, b"", body))

    def left(self):
        self.gone.set()


class Handler(DirectHandler):
    draining = False

    def __init__(self, server):
        super().__init__(server, loop=asyncio.get_running_loop(), access_log=None)
        self.begun = []

    def direct(self, message):
        if message.method != "POST":
            return None
        self.begun.append(Later(message.path))
        return self.begun[-1]


async def by_task(request):
    return Answer(200, b"", b"task " + request.path.encode())


@contextlib.asynccontextmanager
async def connected():
    """Yields the server's end of a connection, and the caller's."""
    server, handlers = web.Server(by_task, handler_cancellation=True), []

    def protocol():
        handlers.append(Handler(server))
        return handlers[-1]

    loop = asyncio.get_running_loop()
    listening = await loop.create_server(protocol, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    try:
        writer.write(request("/first", "GET"))  # whatever comes first is the task's
        assert await read_body(reader) == b"task /first"
        await until(lambda: handlers[0]._waiter is not None)
        yield handlers[0], reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        listening.close()
        await server.shutdown(1.0)


async def until(holds):
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0)


def request(path, method="POST", more=""):
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n{more}\r\nx".encode()


async def read_body(reader):
    async with asyncio.timeout(5):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await reader.readexactly(length)


def test_aiohttp_has_all_that_direct_answers_need():
    """Without it, calls would be answered by aiohttp's task, as before, and later."""
    missing = [name for name in direct_handler._NEEDED if not hasattr(web.RequestHandler, name)]
    assert direct_handler.POSSIBLE, (
        f"this aiohttp has no {', '.join(missing) or 'HttpRequestParser.message_consumed'}: see "
        "how its RequestHandler.start() takes requests now, and follow in direct_handler"
    )


def test_requests_are_answered_in_order_whoever_does():
    """A request is not begun before the one ahead of it is answered."""

    async def main():
        async with connected() as (handler, reader, writer):
            writer.write(request("/a") + request("/b-now") + request("/c", "GET") + request("/d"))
            await until(lambda: handler.begun)
            handler.data_received(request("/e", "GET"))
            await asyncio.sleep(0)
            assert [one.path for one in handler.begun] == ["/a"]
            handler.begun[0].answer()
            bodies = [await read_body(reader) for _ in range(5)]
            assert bodies == [
                b"direct /a", b"direct /b-now", b"task /c", b"task /d", b"task /e",
            ]  # fmt: skip
            await until(lambda: handler._waiter is not None)
            writer.write(request("/f-now"))
            assert await read_body(reader) == b"direct /f-now"

    asyncio.run(main())


def test_what_is_read_before_the_task_has_woken_is_the_tasks():
    """Nobody takes the request for which the task was woken from under it."""

    async def main():
        async with connected() as (handler, reader, _):
            handler.data_received(request("/a", "GET"))
            handler.data_received(request("/b-now"))
            assert [await read_body(reader) for _ in range(2)] == [b"task /a", b"task /b-now"]

    asyncio.run(main())


def test_more_than_the_queue_takes_is_answered_too():
    """A caller who sends very many requests at once has all of them answered."""

    async def main():
        async with connected() as (handler, reader, writer):
            writer.write(b"".join(request(f"/{number}-now") for number in range(200)))
            bodies = [await read_body(reader) for _ in range(200)]
            assert [int(body.partition(b"/")[2][:-4]) for body in bodies] == list(range(200))

    asyncio.run(main())


def test_a_caller_who_leaves_ends_what_is_under_way():
    """The request hears of it, and aiohttp's task has ended as well."""

    async def main():
        async with connected() as (handler, _, writer):
            writer.write(request("/a"))
            await until(lambda: handler.begun)
            task = handler._task_handler
            writer.close()
            async with asyncio.timeout(5):
                await handler.begun[0].gone.wait()
            await until(task.done)

    asyncio.run(main())


def test_a_connection_ends_with_its_last_answer():
    """`Connection: close` is kept, and the task ends with the connection."""

    async def main():
        async with connected() as (handler, reader, writer):
            task = handler._task_handler
            writer.write(request("/a-now", more="Connection: close\r\n"))
            async with asyncio.timeout(5):
                assert (await reader.read()).endswith(b"direct /a-now")
            await until(task.done)

    asyncio.run(main())


def test_nothing_is_begun_while_the_caller_does_not_read():
    """Answers that nobody takes do not pile up."""

    async def main():
        async with connected() as (handler, reader, writer):
            handler.pause_writing()
            writer.write(request("/a-now"))
            await until(lambda: handler._messages)
            assert not handler.begun
            handler.resume_writing()
            assert await read_body(reader) == b"direct /a-now"

    asyncio.run(main())


def test_a_connection_at_rest_ends_in_time_after_a_long_request():
    """aiohttp's timer for quiet connections is set again if it rang during a request."""

    async def main():
        async with connected() as (handler, reader, writer):
            writer.write(request("/a"))
            await until(lambda: handler.begun)
            handler._next_keepalive_close_time = 0.0
            handler._keepalive_handle.cancel()
            handler._process_keepalive()
            assert handler._keepalive_handle is None
            handler.begun[0].answer()
            assert await read_body(reader) == b"direct /a"
            assert handler._keepalive_handle is not None
            handler._next_keepalive_close_time = 0.0
            handler._process_keepalive()
            async with asyncio.timeout(5):
                assert await reader.read() == b""

    asyncio.run(main())


def test_without_what_it_needs_the_task_does_all(monkeypatch):
    """A newer aiohttp costs some time and no call."""
    monkeypatch.setattr(direct_handler, "POSSIBLE", False)

    async def main():
        async with connected() as (_, reader, writer):
            writer.write(request("/a-now"))
            assert await read_body(reader) == b"task /a-now"

    asyncio.run(main())
