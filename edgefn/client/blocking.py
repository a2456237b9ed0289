"""The blocking client."""

import random
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgefn.client.answer import Answer
from edgefn.client.connections import Connections
from edgefn.client.credentials import credentials_of
from edgefn.client.errors import ConnectionLost, Unreachable
from edgefn.client.exchange import Again, Exchange, Limits
from edgefn.client.request import Encoding, request_of


class Client:
    """Calls the functions of one box. Connections are kept; threads may share a client.

    with Client() as client:
        answer = client.call("voice", audio=Path("yes.wav"), deadline_ms=100)
        print(answer.value, answer.compute_ms)

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
        """Makes a client; it connects at the first call.

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
        self._timeout_s = timeout_s
        self._connections = Connections(credentials)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()

    def call(
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
        """Calls a function and waits for its answer.

        Args:
            function: Its name.
            inputs: Values by parameter name; for names that this method uses itself.
            deadline_ms: From now; default: the function's own.
            file: One image or sound, for functions that take nothing else.
            encoding: Forces JSON or msgpack; by default what the inputs need.
            idempotent: It may run twice: send it again if the connection breaks under it, and let
                the box hedge it, and try it again elsewhere.
            variant: Name of the one that is to answer; default: the first that the box can serve.
            min_accuracy: From 0 to 1: only a variant that was measured to reach it may answer.
            source: Of what it tells, like a machine; for the function's alerts.
            priority: From 0 to 9, the more urgent the higher; default: the function's own.
            **named: Values by parameter name: JSON values, arrays, bytes, paths of files.

        Raises:
            InvalidInput: The inputs cannot be encoded, or the function refuses them.
            NotDeployed: No such function.
            UnknownVariant: It has no such variant.
            VariantUnavailable: The box cannot serve that variant.
            AccuracyUnattainable: No variant reaches `min_accuracy`.
            QueueFull: Too much work; try again later.
            DeadlineUnattainable: Refused before it ran: it would have come too late.
            DeadlineExceeded: The deadline passed.
            FunctionFailed: The function raised.
            ReplicaLost: The process that held the call died.
            Unreachable: No box at the URL; nothing was sent.
            ConnectionLost: It was sent, and no answer came.
            EdgefnError: Anything else; all of these are ones.
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
        while isinstance(outcome := self._attempt(exchange), Again):
            time.sleep(outcome.pause_s)
        return outcome

    def _attempt(self, exchange: Exchange) -> Answer | Again:
        now_s = time.monotonic()
        try:
            reply = self._connections.send(
                "POST",
                exchange.request.path,
                headers=exchange.headers(now_s),
                body=exchange.request.body,
                timeout_s=exchange.timeout_s(now_s),
            )
        except (Unreachable, ConnectionLost) as error:
            return exchange.failed(time.monotonic(), error)
        except TimeoutError as error:
            raise exchange.timed_out() from error
        return exchange.answered(time.monotonic(), reply.status, reply.headers, reply.body)
