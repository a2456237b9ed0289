"""The asyncio client."""

import asyncio
import random
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from edgefn.client.answer import Answer
from edgefn.client.credentials import credentials_of
from edgefn.client.errors import ConnectionLost, Unreachable, connection_lost, unreachable
from edgefn.client.exchange import CONNECT_TIMEOUT_S, Again, Exchange, Limits
from edgefn.client.request import Encoding, request_of

MAX_CONNECTIONS: Final = 256


class AsyncClient:
    """Calls the functions of one box from asyncio. Connections are kept; tasks may share a client.

    async with AsyncClient() as client:
        answer = await client.call("diagnosis", features=array, deadline_ms=50)

    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        ca: Path | str | None = None,
        certificate: Path | str | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        """Makes a client; it connects at the first call, and belongs to that call's event loop.

        Args:
            url: Of a box; default: `EDGEFN_URL`, else http://127.0.0.1:8080.
            key: Access key, as `edgefn key create` showed it; default: `EDGEFN_KEY`, else that of
                `edgefn login`. It is sent over https only.
            ca: File with the certificate of the authority that signed the box's; default:
                `EDGEFN_CA`, else that of `edgefn login`, else those of the system.
            certificate: File of a private key and certificate of the fleet, to show instead of a
                key.
            timeout_s: How long it waits for the answer of a call without a deadline.

        Raises:
            ConfigError: An argument, or a variable of the environment, is wrong.
        """
        credentials = credentials_of(url, key, ca, certificate)
        self.url = credentials.url
        self._credentials = credentials
        self._context = credentials.context()
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(
        self,
        function: str,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        deadline_ms: float | None = None,
        file: Path | bytes | None = None,
        encoding: Encoding | None = None,
        idempotent: bool = False,
        variant: str = "",
        min_accuracy: float | None = None,
        source: str = "",
        priority: int | None = None,
        **named: Any,
    ) -> Answer:
        """Calls a function and waits for its answer; everything is as in `Client.call`.

        A `Path` among the inputs is read on the event loop: for files on slow disks, read them
        elsewhere and pass the bytes.
        """
        request = request_of(function, {**(inputs or {}), **named}, file=file, encoding=encoding)
        limits = Limits(
            deadline_ms=deadline_ms,
            timeout_s=self._timeout_s,
            idempotent=idempotent,
            variant=variant,
            min_accuracy=min_accuracy,
            source=source,
            priority=priority,
        )
        exchange = Exchange(
            self.url, request, limits, now_s=time.monotonic(), jitter=random.random()
        )
        while True:
            outcome = await self._attempt(exchange)
            if isinstance(outcome, Answer):
                return outcome
            await asyncio.sleep(outcome.pause_s)

    async def _attempt(self, exchange: Exchange) -> Answer | Again:
        now_s = time.monotonic()
        timeout_s = exchange.timeout_s(now_s)
        try:
            async with self._open_session().post(
                self.url + exchange.request.path,
                data=exchange.request.body,
                headers=exchange.headers(now_s),
                timeout=aiohttp.ClientTimeout(
                    total=timeout_s, sock_connect=min(timeout_s, CONNECT_TIMEOUT_S)
                ),
                allow_redirects=False,
            ) as reply:
                body = await reply.read()
                return exchange.answered(time.monotonic(), reply.status, reply.headers, body)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            return exchange.failed(time.monotonic(), self._unreachable(error))
        except TimeoutError as error:
            raise exchange.timed_out() from error
        except aiohttp.ClientError as error:
            return exchange.failed(time.monotonic(), self._lost(error))

    def _unreachable(self, error: aiohttp.ClientError) -> Unreachable:
        if isinstance(error, aiohttp.ClientConnectorError):
            return unreachable(self.url, (error.strerror or str(error)).lower())
        return unreachable(self.url, "no connection in time")

    def _lost(self, error: aiohttp.ClientError) -> ConnectionLost:
        return connection_lost(self.url, str(error) or type(error).__name__)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=MAX_CONNECTIONS, ssl=True if self._context is None else self._context
                ),
                headers=self._credentials.headers,
                skip_auto_headers=("Accept-Encoding", "User-Agent"),
            )
        return self._session
