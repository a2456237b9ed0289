"""Blocking HTTP connections to one box, kept and shared by threads."""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from edgefn.client.credentials import Credentials
from edgefn.client.errors import connection_lost, unreachable
from edgefn.client.exchange import CONNECT_TIMEOUT_S

MAX_IDLE_CONNECTIONS: Final = 16


class Reply(msgspec.Struct, frozen=True):
    """What came back. `headers` ignores the case of names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connections:
    """Sends requests, and says of each failure whether the request may have been received."""

    def __init__(self, credentials: Credentials) -> None:
        url = self._url = credentials.url
        context = credentials.context()
        options = {} if context is None else {"ssl_context": context}
        self._headers = credentials.headers
        self._prefix = urlsplit(url).path.rstrip("/")
        self._pool = urllib3.connection_from_url(url, maxsize=MAX_IDLE_CONNECTIONS, **options)

    def close(self) -> None:
        """Closes those that are idle; one in use is closed when its reply came."""
        self._pool.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Reply:
        """Sends one request, once, and returns its reply, whatever its status.

        Raises:
            Unreachable: It was not sent.
            ConnectionLost: It was sent, wholly or in part, and no reply came.
            TimeoutError: It was sent, and no reply came within `timeout_s`.
        """
        timeout = urllib3.Timeout(total=timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
        try:
            reply = self._pool.urlopen(
                method,
                self._prefix + path,
                body=body,
                headers={**self._headers, **(headers or {})},
                timeout=timeout,
                retries=False,
            )
        except (NewConnectionError, ConnectTimeoutError, SSLError) as error:
            raise unreachable(self._url, _reason(error)) from error
        except ReadTimeoutError as error:
            raise TimeoutError from error
        except HTTPError as error:
            raise connection_lost(self._url, _reason(error)) from error
        return Reply(reply.status, reply.headers, reply.data)


def _reason(error: HTTPError) -> str:
    """Returns the system's words, without urllib3's wrapping."""
    cause: BaseException = error
    while inner := cause.__cause__ or _wrapped(cause):
        cause = inner
    if isinstance(cause, ConnectTimeoutError):
        return "no connection in time"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return str(cause)


def _wrapped(error: BaseException) -> BaseException | None:
    return next((value for value in error.args if isinstance(value, BaseException)), None)
