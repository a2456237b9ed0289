"""The same function without edgefn: in a plain aiohttp handler, no isolation, nothing checked.

    python tests/bench/plain.py FOLDER application|low-level

`application` is what one would write: a `web.Application` with a route. `low-level` is the least
that aiohttp can do: a bare handler. Prints the port and serves until its standard input ends.
"""

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import uvloop
from aiohttp import web


def load(folder: Path) -> Any:
    """Returns the declared function of a folder."""
    spec = importlib.util.spec_from_file_location("function", folder / "function.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    spec.loader.exec_module(module)
    return module.diagnosis


async def serve(folder: Path, kind: str) -> None:
    """Serves the function on a free port."""
    function = load(folder)

    async def handle(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        if request.content_type == "application/json":
            features = np.array(msgspec.json.decode(body)["features"], dtype=np.float32)
            answer = function([features])[0].model_dump()
            return web.Response(body=msgspec.json.encode(answer), content_type="application/json")
        tensor = msgspec.msgpack.decode(body)["features"]
        features = np.frombuffer(tensor["data"], tensor["dtype"]).reshape(tensor["shape"])
        answer = function([features])[0].model_dump()
        return web.Response(body=msgspec.msgpack.encode(answer), content_type="application/msgpack")

    if kind == "application":
        application = web.Application()
        application.router.add_post("/v1/functions/diagnosis", handle)
        runner: web.BaseRunner[Any] = web.AppRunner(application, access_log=None)
    else:
        runner = web.ServerRunner(web.Server(handle, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1]), sys.argv[2]))
