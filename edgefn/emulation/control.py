"""The control socket of emulated links, as the process that has them serves it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from edgefn.emulation.messages import MAX_LINE_BYTES, Links, Order
from edgefn.errors import ConfigError

_ORDER = msgspec.json.Decoder(Order)


async def serve_control(
    path: Path, carry_out: Callable[[Order], Awaitable[Links]]
) -> asyncio.Server:
    """Starts to answer orders on a Unix socket that only this user can reach.

    Args:
        path: Of the socket; its folder must be this user's alone.
        carry_out: Does what is asked; raises ConfigError if that cannot be.
    """

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, ValueError):  # ValueError: a line beyond the limit
                while line := await reader.readline():
                    writer.write(msgspec.json.encode(await _answer(line, carry_out)) + b"\n")
                    await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_unix_server(talk, path, limit=MAX_LINE_BYTES)
    os.chmod(path, 0o600)
    return server


async def _answer(line: bytes, carry_out: Callable[[Order], Awaitable[Links]]) -> Links:
    try:
        return await carry_out(_ORDER.decode(line))
    except msgspec.MsgspecError as error:
        return Links(error=f"not an order for emulated links: {error}")
    except (ConfigError, OSError) as error:
        return Links(error=str(error))
