"""Both clients against a real HTTP server that a test scripts."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from aiohttp import web

from edgefn.client import (
    Answer,
    AsyncClient,
    CallFailed,
    Client,
    ConnectionLost,
    Unreachable,
)
from edgefn.errors import ConfigError, DeadlineExceeded, EdgefnError, InvalidInput, TimedOut

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Server:
    """Answers from a script, one entry a request; remembers what came."""

    def __init__(self) -> None:
        self.script: list[Handler] = []
        self.seen: list[tuple[web.BaseRequest, bytes]] = []
        self.connections: set[Any] = set()
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append((request, await request.read()))
        self.connections.add(request.transport.get_extra_info("peername"))
        return await (self.script.pop(0) if self.script else echo)(request)


async def echo(request: web.BaseRequest) -> web.Response:
    return web.Response(body=await request.read(), content_type=request.content_type)


async def hang_up(request: web.BaseRequest) -> web.Response:
    request.transport.abort()
    return web.Response()


async def silence(request: web.BaseRequest) -> web.Response:
    await asyncio.sleep(3600)
    return web.Response()


def refusing(retry_after: str) -> Handler:
    async def handler(request: web.BaseRequest) -> web.Response:
        error = {"code": "queue_full", "message": "full"}
        return web.json_response(
            {"error": error, "request_id": "r"}, status=429, headers={"Retry-After": retry_after}
        )

    return handler


class Caller:
    """One of the two clients, behind the same blocking face."""

    def __init__(self, call: Callable[..., Answer]) -> None:
        self.call = call

    def error(self, *args: Any, **options: Any) -> EdgefnError:
        with pytest.raises(EdgefnError) as caught:
            self.call(*args, **options)
        return caught.value


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def server(loop: asyncio.AbstractEventLoop) -> Iterator[Server]:
    server = Server()

    async def start() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        server.url = f"http://127.0.0.1:{port}"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(5)
    yield server
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(5)


@pytest.fixture(params=["blocking", "asyncio"])
def caller(
    request: pytest.FixtureRequest, server: Server, loop: asyncio.AbstractEventLoop
) -> Iterator[Caller]:
    if request.param == "blocking":
        with Client(server.url, timeout_s=5) as client:
            yield Caller(client.call)
        return
    asynchronous = AsyncClient(server.url, timeout_s=5)

    def call(*args: Any, **options: Any) -> Answer:
        running = asyncio.run_coroutine_threadsafe(asynchronous.call(*args, **options), loop)
        return running.result(10)

    yield Caller(call)
    asyncio.run_coroutine_threadsafe(asynchronous.aclose(), loop).result(5)


def test_values_go_and_come_as_json(caller: Caller, server: Server) -> None:
    """The request is what the API documents, and the reply's body is the answer's value."""
    answer = caller.call("double", x=2.5, deadline_ms=500)
    assert answer.value == {"x": 2.5}
    assert 0 < answer.elapsed_ms < 500
    request, body = server.seen[0]
    assert (request.method, request.path, body) == ("POST", "/v1/functions/double", b'{"x":2.5}')
    assert request.headers["Content-Type"] == request.headers["Accept"] == "application/json"
    assert 400 < float(request.headers["Edgefn-Deadline-Ms"]) <= 500


def test_arrays_go_and_come_as_typed_tensors(caller: Caller) -> None:
    """An array that is echoed is equal to the one that was sent."""
    array = np.random.default_rng(0).standard_normal((49, 10)).astype("float32")
    value = caller.call("voice", {"window": array}).value
    np.testing.assert_array_equal(value["window"], array)


def test_a_file_is_the_body(caller: Caller, server: Server, tmp_path: Path) -> None:
    """Sent as it is under its own media type; the answer may be in msgpack."""
    path = tmp_path / "yes.wav"
    path.write_bytes(b"RIFF\0\0\0\0WAVE")

    async def handler(request: web.BaseRequest) -> web.Response:
        assert request.headers["Accept"] == "application/msgpack"
        body = msgspec.msgpack.encode({"word": "yes"})
        return web.Response(body=body, content_type="application/msgpack")

    server.script.append(handler)
    assert caller.call("voice", file=path).value == {"word": "yes"}
    assert server.seen[0][1] == path.read_bytes()
    assert server.seen[0][0].headers["Content-Type"] == "audio/wav"


def test_a_connection_is_used_again(caller: Caller, server: Server) -> None:
    """Calls one after another share one connection."""
    for _ in range(5):
        caller.call("f", x=1)
    assert len(server.connections) == 1


def test_inputs_named_like_options_can_be_passed(caller: Caller) -> None:
    """The mapping takes names that the method uses itself."""
    assert caller.call("f", {"deadline_ms": 3, "file": "x"}, y=1).value == {
        "deadline_ms": 3,
        "file": "x",
        "y": 1,
    }


def test_an_error_reply_raises_its_class(caller: Caller, server: Server) -> None:
    """With the box's words and details."""

    async def handler(request: web.BaseRequest) -> web.Response:
        error = {"code": "invalid_input", "message": "x: too hot", "detail": {"path": "$.x"}}
        return web.json_response({"error": error, "request_id": "r9"}, status=400)

    server.script.append(handler)
    error = caller.error("f", x=1)
    assert (type(error), error.message) == (InvalidInput, "x: too hot")
    assert error.detail == {"path": "$.x", "request_id": "r9"}


def test_a_refused_call_is_sent_again_when_told(caller: Caller, server: Server) -> None:
    """Two refusals that say `now`, then the answer."""
    server.script += [refusing("0"), refusing("0")]
    assert caller.call("f", x=1, deadline_ms=2000).value == {"x": 1}
    budgets = [float(request.headers["Edgefn-Deadline-Ms"]) for request, _ in server.seen]
    assert len(budgets) == 3
    assert budgets == sorted(budgets, reverse=True)


def test_a_refusal_beyond_the_deadline_is_final(caller: Caller, server: Server) -> None:
    """No pause is begun that the deadline does not cover."""
    server.script.append(refusing("1"))
    assert caller.error("f", x=1, deadline_ms=200).code == "queue_full"
    assert len(server.seen) == 1


def test_a_lost_call_is_an_error_and_is_not_sent_again(caller: Caller, server: Server) -> None:
    """It may have run."""
    server.script.append(hang_up)
    assert isinstance(caller.error("f", x=1), ConnectionLost)
    assert len(server.seen) == 1


def test_a_lost_idempotent_call_is_sent_again(caller: Caller, server: Server) -> None:
    """The caller said that it may run twice."""
    server.script.append(hang_up)
    assert caller.call("f", x=1, idempotent=True).value == {"x": 1}
    assert len(server.seen) == 2


def test_a_silent_box_costs_the_deadline_and_no_more(caller: Caller, server: Server) -> None:
    """The deadline is the client's own limit too."""
    server.script.append(silence)
    started_s = time.monotonic()
    error = caller.error("f", x=1, deadline_ms=50)
    assert isinstance(error, DeadlineExceeded)
    assert 0.05 < time.monotonic() - started_s < 10


def test_a_page_that_is_not_of_a_box_says_so(caller: Caller, server: Server) -> None:
    """HTML, and redirects, are not followed or guessed at."""

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, text="over there", headers={"Location": "/login"})

    server.script.append(handler)
    assert isinstance(caller.error("f", x=1), CallFailed)
    assert len(server.seen) == 1


@pytest.fixture
def closed_url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_without_a_box_the_error_names_the_url_and_the_way_out(closed_url: str) -> None:
    """Refused connections are tried a few times, then said plainly."""
    with (
        Client(closed_url) as client,
        pytest.raises(Unreachable, match=f"{closed_url}: connection refused.*edgefn up"),
    ):
        client.call("f", x=1)


async def test_without_a_box_the_asyncio_client_says_the_same(closed_url: str) -> None:
    """The same words from the other client."""
    async with AsyncClient(closed_url) as client:
        with pytest.raises(Unreachable, match=f"{closed_url}:.*edgefn up"):
            await client.call("f", x=1)


def test_a_call_waits_for_a_box_that_is_just_starting(closed_url: str) -> None:
    """The first connections are refused, a later one is not."""
    port = int(closed_url.rpartition(":")[2])

    def serve_once() -> None:
        with socket.create_server(("127.0.0.1", port)) as listener:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1"
                connection.sendall(f"{head}\r\n\r\n7".encode())

    starting = threading.Timer(0.03, serve_once)
    starting.start()
    with Client(closed_url) as client:
        assert client.call("f", x=1).value == 7
    starting.join()


def test_without_a_deadline_the_clients_own_limit_holds(server: Server) -> None:
    """A call that nobody answers ends all the same."""
    server.script.append(silence)
    with Client(server.url, timeout_s=0.05) as client, pytest.raises(TimedOut, match="0.05 s"):
        client.call("f", x=1)


def test_the_url_comes_from_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EDGEFN_URL is the default; a wrong one is a configuration error."""
    monkeypatch.setenv("EDGEFN_URL", server.url)
    with Client() as client:
        assert client.call("f", x=1).value == {"x": 1}
    monkeypatch.setenv("EDGEFN_URL", "box:8080")
    with pytest.raises(ConfigError, match="EDGEFN_URL=box:8080"):
        Client()


async def test_many_calls_at_once_all_come_back(server: Server) -> None:
    """Each with its own answer."""
    async with AsyncClient(server.url) as client:
        answers = await asyncio.gather(*(client.call("f", n=n) for n in range(100)))
    assert [answer.value["n"] for answer in answers] == list(range(100))
