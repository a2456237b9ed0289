"""Messages between a gateway and a replica to frames and back; `wire` says what is in them."""

import struct
from collections.abc import Callable

import msgspec

from edgefn_runtime.errors import ProtocolError
from edgefn_runtime.wire import (
    MAX_BODY_BYTES,
    MAX_FRAME_BYTES,
    MAX_HEAD_BYTES,
    PROTOCOL,
    Call,
    Cancel,
    Frame,
    Hello,
    Reply,
)

_LENGTH = struct.Struct("<I")
_CALL = struct.Struct("<IBBBxIIQQH")
_REPLY = struct.Struct("<IBBBBIIIIIHHH")
_MARKS = struct.Struct("<H")
_CANCEL = struct.Struct("<IBI")
_U32_MAX = 2**32 - 1


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
