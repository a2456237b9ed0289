"""Where events go: `webhook:http://...`, `mqtt://host/topic` or `file:name.jsonl`."""

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from edgefn.errors import InvalidInput
from edgefn_runtime.manifest import InvalidManifest, check_path

Kind = Literal["webhook", "mqtt", "file"]

MAX_CHARS: Final = 500
MQTT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_SPELLED: Final = (
    'write "webhook:https://host/path", "mqtt://host/topic", "mqtts://host/topic" or '
    '"file:name.jsonl"'
)
_SECRET: Final = re.compile(r"(?<=://)[^/@]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where events go, taken apart.

    Attributes:
        text: As it was written.
        kind: How they get there.
        url: Of a webhook, without user and password.
        path: Of a file, relative to the folder for such files.
        host: Of an MQTT broker.
        port: Of an MQTT broker.
        tls: Whether the broker is spoken to over TLS.
        topic: Of an MQTT broker.
        user: To sign in with, or empty.
        password: To sign in with, or empty.
    """

    text: str
    kind: Kind
    url: str = ""
    path: str = ""
    host: str = ""
    port: int = 0
    tls: bool = False
    topic: str = ""
    user: str = ""
    password: str = ""

    @property
    def shown(self) -> str:
        """How it is shown to people: without user and password."""
        return shown(self.text)


def shown(text: str) -> str:
    """Returns a destination as it is shown to people: without user and password."""
    return _SECRET.sub("", text)


def parse_destination(text: str) -> Destination:
    """Takes a destination apart.

    Raises:
        InvalidInput: It is none.
    """
    if len(text) > MAX_CHARS or not text.isprintable():
        raise InvalidInput(f"{text[:80]!r} is no destination of events: {_SPELLED}")
    scheme, _, rest = text.partition(":")
    try:
        if scheme == "webhook":
            return _webhook(text, rest)
        if scheme in MQTT_PORTS:
            return _mqtt(text)
        if scheme == "file":
            check_path(rest)
            return Destination(text=text, kind="file", path=rest)
    except InvalidManifest:
        raise InvalidInput(
            f"{text!r}: a file of events lies in the box's folder for them; write its plain "
            "relative path, as in file:alerts.jsonl"
        ) from None
    except ValueError as error:
        raise InvalidInput(f"{shown(text)!r} is no destination of events: {error}") from None
    raise InvalidInput(f"{shown(text)!r} is no destination of events: {_SPELLED}")


def _webhook(text: str, url: str) -> Destination:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(_SPELLED)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return Destination(
        text=text,
        kind="webhook",
        url=parts._replace(netloc=host + port, fragment="").geturl(),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


def _mqtt(text: str) -> Destination:
    parts = urlsplit(text)
    topic = parts.path.removeprefix("/")
    if not parts.hostname or not topic:
        raise ValueError("write mqtt://host/topic")
    if parts.query or "#" in text or "+" in topic:
        raise ValueError("a topic to publish to has no wildcards and no query")
    return Destination(
        text=text,
        kind="mqtt",
        host=parts.hostname,
        port=parts.port or MQTT_PORTS[parts.scheme],
        tls=parts.scheme == "mqtts",
        topic=unquote(topic),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )
