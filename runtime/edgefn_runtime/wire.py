"""The frames between a gateway and a replica.

A frame is a little-endian header, then an optional head (msgpack, see `CallHead`), then the body,
which no one between the caller and the replica decodes:

    call    length u32 | 1 u8 | content u8 | accept u8 | 0 u8 | id u32 | aux u32 | budget_us u64
            | sent_us u64 | head length u16 | head | body
    reply   length u32 | 2 u8 | outcome u8 | content u8 | marked u8 | id u32 | aux u32
            | queue_us u32 | service_us u32 | backlog_us u32 | batch u16 | queued u16
            | confidence u16 | marks length u16, marks (if marked) | body
    hello   length u32 | 3 u8 | msgpack of `Hello`; the first frame of a replica
    cancel  length u32 | 4 u8 | id u32; no one waits for this call any more

`length` counts what follows it. On the wire travels the budget that is left, since clocks of
different machines do not agree. Beside it, between processes of one machine, travels when the call
was sent: a replica reads its socket between runs, and could not tell otherwise how long a call lay
there. Both ends refuse a frame by its announced length, before
they allocate anything for it.
"""

import enum
import struct
from collections.abc import Callable
from typing import Final

import msgspec

from edgefn_runtime.errors import ProtocolError

PROTOCOL: Final = 2
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_HEAD_BYTES: Final = 16 * 1024
MAX_FRAME_BYTES: Final = MAX_BODY_BYTES + MAX_HEAD_BYTES + 64
NO_BUDGET: Final = 2**64 - 1
NO_CONFIDENCE: Final = 0xFFFF
_SURE: Final = 0xFFFE  # a confidence of 1

_LENGTH = struct.Struct("<I")
_CALL = struct.Struct("<IBBBxIIQQH")
_REPLY = struct.Struct("<IBBBBIIIIIHHH")
_MARKS = struct.Struct("<H")
_CANCEL = struct.Struct("<IBI")
_U32_MAX = 2**32 - 1


class Content(enum.IntEnum):
    """How a body is encoded."""

    JSON = 1
    MSGPACK = 2
    V2 = (
        3  # Open Inference Protocol: `aux` bytes of JSON, then binary tensors; 0: all of it is JSON
    )
    MEDIA = 4  # the bytes of one image or sound


class Outcome(enum.IntEnum):
    """What a reply carries."""

    RESULT = 0
    ERROR = 1  # the body is the msgpack of an `ErrorBody`


class CallHead(msgspec.Struct, frozen=True, omit_defaults=True):
    """What only some calls carry. Most have none of it, and then no bytes for it."""

    request_id: str = ""
    media_type: str = ""
    traceparent: str = ""


class Call(msgspec.Struct, gc=False):
    """One call, from a gateway to a replica.

    Attributes:
        id: Chosen by the sender, unique among its unanswered calls on this connection.
        content: How `body` is encoded (`Content`).
        accept: How the reply is to be encoded (`Content`).
        aux: For `Content.V2` the bytes of its JSON part, or 0.
        budget_us: Time left until the deadline, in microseconds; `NO_BUDGET` for none.
        head: Msgpack of a `CallHead`, or empty.
        body: The caller's bytes.
        sent_us: When it was sent, in microseconds of the machine's monotonic clock; 0 for unknown.
            The budget counts from then.
    """

    id: int
    content: int
    accept: int
    aux: int
    budget_us: int
    head: bytes
    body: bytes
    sent_us: int = 0


class Reply(msgspec.Struct, gc=False):
    """One answer, from a replica to a gateway, with the replica's load report.

    Attributes:
        id: That of the call.
        outcome: `Outcome`.
        content: How `body` is encoded (`Content`).
        aux: For `Content.V2` the bytes of its JSON part, or 0.
        queue_us: Time that the call waited in the replica.
        service_us: Time that its batch ran: decode, function, encode.
        backlog_us: Estimated time of the work that still waits in the replica.
        batch: Calls that ran together with this one, itself included; 0 if it never ran.
        queued: Calls that still wait in the replica.
        body: The answer.
        confidence: How sure the function is of it, if it is one that says so; see
            `pack_confidence`. The one who passes the answer on never decodes it.
        marks: What the function's alerts see in it, if it has any (`alert_marks`): msgpack.
    """

    id: int
    outcome: int
    content: int
    aux: int
    queue_us: int
    service_us: int
    backlog_us: int
    batch: int
    queued: int
    body: bytes
    confidence: int = NO_CONFIDENCE
    marks: bytes = b""


class Hello(msgspec.Struct, frozen=True):
    """Who a replica is. A changed `boot_id` means that all it knew is gone."""

    protocol: int
    replica: str
    boot_id: str
    function: str
    revision: int
    variant: str


class Cancel(msgspec.Struct, gc=False):
    """No one waits for this call any more."""

    id: int


Frame = Call | Reply | Hello | Cancel


def encode_call(call: Call) -> bytes:
    """Returns the bytes of a call; see `call_frame`."""
    return call_frame(
        call.id,
        call.content,
        call.accept,
        call.aux,
        call.budget_us,
        call.head,
        call.body,
        call.sent_us,
    )


def call_frame(
    call_id: int,
    content: int,
    accept: int,
    aux: int,
    budget_us: int,
    head: bytes,
    body: bytes,
    sent_us: int = 0,
) -> bytes:
    """Returns the bytes of a call, whose parts `Call` describes.

    Raises:
        ProtocolError: The body or the head is larger than a frame may be.
    """
    if len(body) > MAX_BODY_BYTES or len(head) > MAX_HEAD_BYTES:
        raise ProtocolError(
            f"a call of {len(body)} bytes does not fit a frame; at most {MAX_BODY_BYTES} do"
        )
    length = _CALL.size - 4 + len(head) + len(body)
    fixed = _CALL.pack(length, 1, content, accept, call_id, aux, budget_us, sent_us, len(head))
    return fixed + head + body if head else fixed + body


def encode_reply(reply: Reply) -> bytes:
    """Returns the bytes of a reply. Times beyond 71 minutes are clipped.

    Raises:
        ProtocolError: The body is larger than a frame may be.
    """
    body, marks = reply.body, reply.marks
    if len(body) > MAX_BODY_BYTES:
        raise ProtocolError(
            f"an answer of {len(body)} bytes does not fit a frame; at most {MAX_BODY_BYTES} do"
        )
    if marks:
        body = _MARKS.pack(len(marks)) + marks + body
    return (
        _REPLY.pack(
            _REPLY.size - 4 + len(body),
            2,
            reply.outcome,
            reply.content,
            1 if marks else 0,
            reply.id,
            reply.aux,
            min(reply.queue_us, _U32_MAX),
            min(reply.service_us, _U32_MAX),
            min(reply.backlog_us, _U32_MAX),
            min(reply.batch, 0xFFFF),
            min(reply.queued, 0xFFFF),
            reply.confidence,
        )
        + body
    )


def pack_confidence(value: float) -> int:
    """Returns a confidence from 0 to 1 as replies carry it; what is no number counts as 0."""
    return int(min(value, 1.0) * _SURE + 0.5) if value > 0.0 else 0


def encode_hello(hello: Hello) -> bytes:
    """Returns the bytes of a hello."""
    body = msgspec.msgpack.encode(hello)
    return _LENGTH.pack(1 + len(body)) + b"\x03" + body


def encode_cancel(call_id: int) -> bytes:
    """Returns the bytes of a cancel."""
    return _CANCEL.pack(5, 4, call_id)


def _parse_call(frame: bytes) -> Call:
    _, _, content, accept, call_id, aux, budget_us, sent_us, head_length = _CALL.unpack_from(frame)
    start = _CALL.size + head_length
    if start > len(frame):
        raise ProtocolError(f"a head of {head_length} bytes does not fit its frame")
    head, body = frame[_CALL.size : start], frame[start:]
    return Call(call_id, content, accept, aux, budget_us, head, body, sent_us)


def _parse_reply(frame: bytes) -> Reply:
    (
        _, _, outcome, content, marked, call_id, aux, queue_us, service_us, backlog_us, batch,
        queued, confidence,
    ) = _REPLY.unpack_from(frame)  # fmt: skip
    start, marks = _REPLY.size, b""
    if marked:
        start += _MARKS.size + _MARKS.unpack_from(frame, start)[0]
        if start > len(frame):
            raise ProtocolError("the marks of an answer do not fit its frame")
        marks = frame[_REPLY.size + _MARKS.size : start]
    return Reply(
        call_id,
        outcome,
        content,
        aux,
        queue_us,
        service_us,
        backlog_us,
        batch,
        queued,
        frame[start:],
        confidence,
        marks,
    )


def _parse_hello(frame: bytes) -> Hello:
    hello = msgspec.msgpack.decode(frame[5:], type=Hello)
    if hello.protocol != PROTOCOL:
        raise ProtocolError(
            f"replica {hello.replica} speaks protocol {hello.protocol}, this side {PROTOCOL}"
        )
    return hello


def _parse_cancel(frame: bytes) -> Cancel:
    return Cancel(_CANCEL.unpack(frame)[2])


_PARSERS: dict[int, Callable[[bytes], Frame]] = {
    1: _parse_call,
    2: _parse_reply,
    3: _parse_hello,
    4: _parse_cancel,
}


def parse_frame(frame: bytes) -> Frame:
    """Parses one whole frame, its length included.

    Raises:
        ProtocolError: It is none of ours, or cut short.
    """
    parser = _PARSERS.get(frame[4]) if len(frame) > 4 else None
    if parser is None:
        raise ProtocolError(f"unknown frame: {frame[:5].hex()}")
    try:
        return parser(frame)
    except (struct.error, msgspec.MsgspecError) as error:
        raise ProtocolError(f"malformed frame of kind {frame[4]}: {error}") from error


class FrameCutter:
    """Cuts a stream of bytes into frames, whatever they mean.

    Feed it what a read returned; it hands back every frame that is complete, and keeps the rest.
    """

    def __init__(self, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._rest = bytearray()
        self._wanted = 4  # bytes that `_rest` must hold before another look pays

    def cut(self, data: bytes) -> list[bytes]:
        """Returns the frames that `data` completes, in order, each with its length.

        Raises:
            ProtocolError: A length beyond the limit. The stream cannot be followed any more: close
                the connection.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._wanted:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        frames: list[bytes] = []
        position, available = 0, len(data)
        self._wanted = 4
        while available - position >= 4:
            size = self._frame_size(data, position)
            if available - position < size:
                self._wanted = size
                break
            frames.append(data[position : position + size])
            position += size
        if position < available:
            self._rest += data[position:]
        return frames

    def at_boundary(self) -> bool:
        """Whether no half frame is left: an end of stream here is a clean one."""
        return not self._rest

    def _frame_size(self, data: bytes, position: int) -> int:
        (length,) = _LENGTH.unpack_from(data, position)
        if length + 4 > self._max_frame_bytes:
            raise ProtocolError(
                f"a frame of {length} bytes was announced; at most {self._max_frame_bytes} may be"
            )
        return int(length) + 4


class FrameReader(FrameCutter):
    """Cuts a stream of bytes into the frames between a gateway and a replica."""

    def feed(self, data: bytes) -> list[Frame]:
        """Returns the frames that `data` completes, in order.

        Raises:
            ProtocolError: A length beyond the limit, or bytes that are no frame. The stream cannot
                be followed any more: close the connection.
        """
        return [parse_frame(frame) for frame in self.cut(data)]
