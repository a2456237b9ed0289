"""The least HTTP gateway over a Serve handle: a bare aiohttp handler, nothing checked."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

Ask = Callable[[bytes], Awaitable[bytes]]


@contextlib.asynccontextmanager
async def http_front(ask: Ask) -> AsyncIterator[str]:
    """Answers each request with what `ask` makes of its body; yields the URL."""

    async def handle(request: web.BaseRequest) -> web.Response:
        answer = await ask(await request.read())
        return web.Response(body=answer, content_type="application/msgpack")

    runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
