"""Whether somebody listens: asked before Ray is, whose start costs seconds of work."""

import asyncio
from typing import Final

ANSWERS_WITHIN_S: Final = 5.0


async def answers(address: str, within_s: float = ANSWERS_WITHIN_S) -> bool:
    """Returns whether a connection to `host:port` is accepted."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(within_s):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError):
        return False
    writer.close()
    return True
