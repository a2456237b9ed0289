"""Events over HTTP: many in one POST, one JSON object a line."""

import base64
from collections.abc import Sequence
from typing import Final

import urllib3
from urllib3.exceptions import HTTPError

from edgefn.alerts.destination import Destination
from edgefn.box.outbox.courier import NotDelivered, TooLarge
from edgefn.box.outbox.event import Event

CONNECT_TIMEOUT_S: Final = 5.0
TIMEOUT_S: Final = 15.0
_READ_BYTES: Final = 4096


class Webhook:
    """Sends events to one URL. An answer of 2xx means that the receiver has them all.

    Args:
        destination: Where to.
        box: Name of this box.
    """

    def __init__(self, destination: Destination, box: str) -> None:
        self._url = destination.url
        self._box = box
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, total=TIMEOUT_S),
        )
        self._headers = {"Content-Type": "application/x-ndjson"}
        if destination.user:
            secret = base64.b64encode(f"{destination.user}:{destination.password}".encode())
            self._headers["Authorization"] = f"Basic {secret.decode()}"

    def send(self, events: Sequence[Event]) -> None:
        """Posts events.

        Raises:
            NotDelivered: There was no answer, or another than 2xx.
            TooLarge: It was 413, and there is more than one event to send.
        """
        body = b"".join(event.line(self._box) + b"\n" for event in events)
        headers = {
            **self._headers,
            "Edgefn-Event-Id": _plain(events[0].id),
            "Edgefn-Event-Count": str(len(events)),
        }
        try:
            answer = self._pool.request(
                "POST", self._url, body=body, headers=headers, preload_content=False
            )
            try:
                text = answer.read(_READ_BYTES)
            finally:
                answer.close() if answer.length_remaining else answer.release_conn()
        except (HTTPError, OSError) as error:
            raise NotDelivered(f"no answer: {_first_line(error)}") from error
        if not 200 <= answer.status < 300:
            said = text[:200].decode("utf-8", "replace").strip()
            kind = TooLarge if answer.status == 413 and len(events) > 1 else NotDelivered
            raise kind(f"answered {answer.status}: {said}" if said else f"answered {answer.status}")

    def close(self) -> None:
        """Closes the connection."""
        self._pool.clear()


def _first_line(error: Exception) -> str:
    """Returns what went wrong, without the connection's own name in front."""
    text = (str(error) or type(error).__name__).splitlines()[0]
    return text.partition("): ")[2][:200] or text[:200]


def _plain(text: str) -> str:
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in text)
