"""Events to an MQTT broker: one message each, QoS 1, delivered when the broker has acknowledged it.

The client library is driven from the courier's thread, without one of its own: a lost connection is
seen at once, and nothing is sent again but by the courier. So keep-alives are not sent between
deliveries, and a connection that was quiet for long is made anew.
"""

import secrets
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from edgefn.alerts.destination import Destination
from edgefn.box.outbox.courier import NotDelivered
from edgefn.box.outbox.event import Event

if TYPE_CHECKING:
    from paho.mqtt.client import Client

TIMEOUT_S: Final = 10.0
KEEP_ALIVE_S: Final = 60
FRESH_S: Final = 20.0  # a connection that was used so lately is used again
IN_FLIGHT: Final = 100
_TURN_S: Final = 0.1


class MqttTopic:
    """Publishes events to one topic.

    Args:
        destination: Where to.
        box: Name of this box.
    """

    def __init__(self, destination: Destination, box: str) -> None:
        self._to = destination
        self._box = box
        self._client: Client | None = None
        self._used_s = 0.0

    def send(self, events: Sequence[Event]) -> None:
        """Publishes events, and returns when the broker has acknowledged each.

        Raises:
            NotDelivered: It could not be reached, refused, or did not acknowledge all in time.
        """
        until_s = time.monotonic() + TIMEOUT_S
        if time.monotonic() - self._used_s > FRESH_S:
            self.close()
        try:
            client = self._client or self._connect(until_s)
            unacknowledged = deque(
                client.publish(self._to.topic, event.line(self._box), qos=1) for event in events
            )
            while unacknowledged:
                if unacknowledged[0].is_published():
                    unacknowledged.popleft()
                else:
                    _turn(client, until_s)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError | ValueError | RuntimeError):
                raise NotDelivered(f"{self._to.host}: {error}") from error
            raise
        self._client, self._used_s = client, time.monotonic()

    def close(self) -> None:
        """Gives up the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()

    def _connect(self, until_s: float) -> "Client":
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError as error:
            raise NotDelivered(
                "MQTT needs the extra: pip install 'edgefn[mqtt]', and restart the box"
            ) from error
        client = self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"edgefn-{secrets.token_hex(8)}"
        )
        client.connect_timeout = TIMEOUT_S / 2
        client.max_inflight_messages_set(IN_FLIGHT)
        answers: list[str] = []
        client.on_connect = lambda client, data, flags, reason, properties: answers.append(
            str(reason) if reason.is_failure else ""
        )
        if self._to.user:
            client.username_pw_set(self._to.user, self._to.password or None)
        if self._to.tls:
            client.tls_set()
        client.connect(self._to.host, self._to.port, KEEP_ALIVE_S)
        while not answers:
            _turn(client, until_s)
        if answers[0]:
            raise NotDelivered(f"{self._to.host} refused the connection: {answers[0]}")
        return client


def _turn(client: "Client", until_s: float) -> None:
    """Reads and writes what there is.

    Raises:
        NotDelivered: The connection is lost, or the time is up.
    """
    if time.monotonic() > until_s:
        raise NotDelivered(f"the broker did not acknowledge within {TIMEOUT_S:g} s")
    if status := client.loop(timeout=_TURN_S):
        from paho.mqtt.client import error_string

        raise NotDelivered(f"the connection to the broker is lost: {error_string(status)}")
