"""Keeps one peer connected: dials, and dials again when the connection is lost."""

import asyncio
import logging
import random
import ssl
import time
from collections.abc import Callable
from typing import Final

from edgefn.access.tls import FLEET_NAME
from edgefn.errors import ProtocolError
from edgefn.gateway.peer_protocol import PeerProtocol

_TIMEOUT_S: Final = 3.0
_BACKOFF_S: Final = 0.1  # doubled after each failure
_LONGEST_BACKOFF_S: Final = 5.0
_SETTLED_S: Final = 2.0  # a link that held for so long was a good one

_LOG = logging.getLogger(__name__)


async def keep_dialled(
    host: str,
    port: int,
    make: Callable[[], PeerProtocol],
    context: ssl.SSLContext | None = None,
) -> None:
    """Keeps a peer connected until cancelled.

    Args:
        host: Address of the peer.
        port: Its port.
        make: Makes the protocol of a connection.
        context: Of TLS; None: the address is on this machine, and there is none.
    """
    failures = 0
    while True:
        try:
            protocol = await _connect(host, port, make, context)
        except (OSError, TimeoutError, ProtocolError) as error:
            failures += 1
            if failures == 1:
                why = str(error) or "it does not answer"
                _LOG.warning("no peer at %s:%d yet: %s", host, port, why)
        else:
            linked_s = time.monotonic()
            try:
                why = await asyncio.shield(protocol.closed)
            finally:
                protocol.abort("this side stops")
            # A peer that greets and then hangs up, as it does to whom it does not trust, is no
            # better than one that does not answer.
            failures = 0 if time.monotonic() - linked_s > _SETTLED_S else failures + 1
            _LOG.warning("the link to %s:%d was lost: %s", host, port, why)
        await asyncio.sleep(pause_s(failures, random.random()))


def pause_s(failures: int, chance: float) -> float:
    """Returns how long to wait after so many failures, `chance` being uniform in [0, 1).

    Half of it is left to chance: peers of a box that went away must not return in step.
    """
    return float(min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2.0 ** min(failures, 10)) * (0.5 + chance))


async def _connect(
    host: str, port: int, make: Callable[[], PeerProtocol], context: ssl.SSLContext | None
) -> PeerProtocol:
    protocol = make()
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await asyncio.get_running_loop().create_connection(
                lambda: protocol,
                host,
                port,
                ssl=context,
                server_hostname=None if context is None else FLEET_NAME,
            )
            await asyncio.shield(protocol.greeted)
    except BaseException:
        protocol.abort("it did not greet in time")
        raise
    return protocol
