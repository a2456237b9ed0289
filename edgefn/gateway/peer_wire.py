"""The frames between the gateways of two boxes.

Calls, replies and cancels are those of `edgefn_runtime.wire`, with a `PeerHead` as the head of a
call, and both sides may send each of them. Beside these:

    greeting  length u32 | 16 u8 | msgpack of `Greeting`; the first frame of each side
    summary   length u32 | 17 u8 | msgpack of `Summary`
    probe     length u32 | 18 u8 | id u32 | padding; to be answered at once
    echo      length u32 | 19 u8 | id u32; the answer to a probe
    ask       length u32 | 20 u8 | msgpack of `PeerAsk`
    answered  length u32 | 21 u8 | msgpack of `PeerAnswered`
"""

import struct
from typing import Annotated, Final

import msgspec

from edgefn.errors import ProtocolError
from edgefn.routing.table import USUAL_PRIORITY
from edgefn_runtime.frames import FrameCutter, parse_frame
from edgefn_runtime.wire import Call, Cancel, Reply

PEER_PROTOCOL: Final = 2
MAX_FORWARDS: Final = 2  # of a call
MAX_RESERVE: Final = 10_000  # replicas of a function that one box asks another for
MAX_ASK_BYTES: Final = 16 * 1024
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024

_GREETING, _SUMMARY, _PROBE, _ECHO, _ASK, _ANSWERED = 16, 17, 18, 19, 20, 21
_AROUND_BODY_BYTES: Final = 1024  # what an answer has around its body, at most
_LENGTH = struct.Struct("<I")
_NUMBERED = struct.Struct("<IBI")


class Greeting(msgspec.Struct, frozen=True, kw_only=True):
    """Who a gateway is.

    Attributes:
        protocol: `PEER_PROTOCOL`.
        box: Name of its box.
        tier: Of the box.
        site: Where the box stands.
        boot_id: Of this process; another one means that all it knew is gone.
    """

    protocol: int = PEER_PROTOCOL
    box: str
    tier: str
    site: str
    boot_id: str


class PeerHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a call needs at a peer, beside what its replica is told.

    Attributes:
        function: That is called.
        variant: That is to answer.
        digest: Of the bundle: no other one may answer.
        via: Boxes that forwarded it, this time included, the first one first.
        priority: From 0 to 9.
        idempotent: Whether its caller says that it may run twice.
        request_id: For logs.
        traceparent: Of its caller's trace (W3C), or empty.
        head: Msgpack of the replica's `CallHead`, or empty; handed on as it is.
    """

    function: str
    variant: str
    digest: str
    via: tuple[str, ...] = ()
    priority: int = USUAL_PRIORITY
    idempotent: bool = False
    request_id: str = ""
    traceparent: str = ""
    head: bytes = b""


class OfferedVariant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A variant that a box would answer calls with.

    Attributes:
        name: Of the variant.
        replicas: That answer now; 0: the next call starts one.
        load_s: How long that takes; 0 if not known.
        backlog_s: How long a call would wait.
        beyond_s: What it needs beyond the box that offers it, if another one answers.
    """

    name: str
    replicas: int = 0
    load_s: float = 0.0
    backlog_s: float = 0.0
    beyond_s: float = 0.0


class OfferedFunction(msgspec.Struct, frozen=True):
    """A function that a box serves, by its bundle's digest."""

    name: str
    digest: str
    variants: tuple[OfferedVariant, ...]


class Relay(msgspec.Struct, frozen=True):
    """What a box does not serve itself, but peers of it in one tier."""

    tier: str
    functions: tuple[OfferedFunction, ...]


class Summary(msgspec.Struct, frozen=True, omit_defaults=True):
    """All that a box serves for its peers now, what it would send on, and what it asks for.

    Attributes:
        functions: That it serves.
        relays: What it would send on.
        reserves: By function, how many replicas this peer should have ready for it.
    """

    functions: tuple[OfferedFunction, ...] = ()
    relays: tuple[Relay, ...] = ()
    reserves: dict[str, Annotated[int, msgspec.Meta(ge=0, le=MAX_RESERVE)]] = {}


class Probe(msgspec.Struct, frozen=True, gc=False):
    """Asks for an echo, to see how long the way takes."""

    id: int
    size_bytes: int


class Echo(msgspec.Struct, frozen=True, gc=False):
    """Answers a probe."""

    id: int


class PeerAsk(msgspec.Struct, frozen=True):
    """An operator's request that the hub hands to a box: `GET`, without a body.

    Attributes:
        id: Of the answer.
        path: As it was sent, without the query.
        query: By name.
        caller: As in `control.Ask`.
    """

    id: int
    path: str
    query: dict[str, str]
    caller: str = ""


class PeerAnswered(msgspec.Struct, frozen=True):
    """The answer to a `PeerAsk`: a status of HTTP, and what goes with it."""

    id: int
    status: int
    body: bytes
    content_type: str = "application/json"


PeerFrame = Call | Reply | Cancel | Greeting | Summary | Probe | Echo | PeerAsk | PeerAnswered


def encode_greeting(greeting: Greeting) -> bytes:
    """Returns the bytes of a greeting."""
    return _message(_GREETING, greeting)


def encode_summary(summary: Summary) -> bytes:
    """Returns the bytes of a summary."""
    return _message(_SUMMARY, summary)


def encode_probe(probe: Probe) -> bytes:
    """Returns the bytes of a probe, `size_bytes` in all."""
    padding = max(0, probe.size_bytes - _NUMBERED.size)
    return _NUMBERED.pack(5 + padding, _PROBE, probe.id) + bytes(padding)


def encode_echo(echo: Echo) -> bytes:
    """Returns the bytes of an echo."""
    return _NUMBERED.pack(5, _ECHO, echo.id)


def encode_ask(ask: PeerAsk) -> bytes:
    """Returns the bytes of a request.

    Raises:
        ProtocolError: It does not fit a frame.
    """
    frame = _message(_ASK, ask)
    if len(frame) > MAX_ASK_BYTES:
        raise ProtocolError(f"a request of {len(frame)} bytes; at most {MAX_ASK_BYTES} are sent on")
    return frame


def encode_answered(answered: PeerAnswered) -> bytes:
    """Returns the bytes of an answer.

    Raises:
        ProtocolError: It does not fit a frame.
    """
    size = len(answered.body)
    if size > MAX_ANSWER_BYTES:
        raise ProtocolError(f"an answer of {size} bytes; at most {MAX_ANSWER_BYTES} are sent on")
    return _message(_ANSWERED, answered)


def decode_head(call: Call) -> PeerHead:
    """Returns the head of a call that came from a peer.

    Raises:
        ProtocolError: It has none.
    """
    try:
        return msgspec.msgpack.decode(call.head, type=PeerHead)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"a call without a peer's head: {error}") from error


class PeerFrameReader:
    """Cuts a stream of bytes into the frames between two gateways."""

    def __init__(self) -> None:
        self._cutter = FrameCutter()

    def feed(self, data: bytes) -> list[PeerFrame]:
        """Returns the frames that `data` completes, in order.

        Raises:
            ProtocolError: A length beyond the limit, or bytes that are no frame. The stream cannot
                be followed any more: close the connection.
        """
        return [_parse(frame) for frame in self._cutter.cut(data)]


def _parse(frame: bytes) -> PeerFrame:
    kind = frame[4] if len(frame) > 4 else 0
    if kind >= _GREETING:
        return _parse_own(kind, frame)
    parsed = parse_frame(frame)
    if not isinstance(parsed, Call | Reply | Cancel):
        raise ProtocolError(f"a {type(parsed).__name__.lower()} is not for a peer")
    return parsed


def _parse_own(kind: int, frame: bytes) -> PeerFrame:
    """Returns a frame that only peers send each other."""
    try:
        match kind:
            case 16:
                return msgspec.msgpack.decode(frame[5:], type=Greeting)
            case 17:
                return msgspec.msgpack.decode(frame[5:], type=Summary)
            case 18:
                return Probe(_NUMBERED.unpack_from(frame)[2], len(frame))
            case 19:
                return Echo(_NUMBERED.unpack(frame)[2])
            case 20 if len(frame) <= MAX_ASK_BYTES:
                return msgspec.msgpack.decode(frame[5:], type=PeerAsk)
            case 21 if len(frame) <= MAX_ANSWER_BYTES + _AROUND_BODY_BYTES:
                return msgspec.msgpack.decode(frame[5:], type=PeerAnswered)
    except (struct.error, msgspec.MsgspecError) as error:
        raise ProtocolError(f"malformed frame of kind {kind}: {error}") from error
    raise ProtocolError(f"a frame of kind {kind} with {len(frame)} bytes is not for a peer")


def _message(kind: int, message: msgspec.Struct) -> bytes:
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(1 + len(body)) + bytes((kind,)) + body
