"""What a gateway and a replica tell each other, and the frames that it travels in (`frames`).

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
there. Both ends refuse a frame by its announced length, before they allocate anything for it.
"""

import enum
from typing import Final

import msgspec

PROTOCOL: Final = 2
MAX_BODY_BYTES: Final = 16 * 1024 * 1024
MAX_HEAD_BYTES: Final = 16 * 1024
MAX_FRAME_BYTES: Final = MAX_BODY_BYTES + MAX_HEAD_BYTES + 64
NO_BUDGET: Final = 2**64 - 1
NO_CONFIDENCE: Final = 0xFFFF
_SURE: Final = 0xFFFE  # a confidence of 1


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


def pack_confidence(value: float) -> int:
    """Returns a confidence from 0 to 1 as replies carry it; what is no number counts as 0."""
    return int(min(value, 1.0) * _SURE + 0.5) if value > 0.0 else 0
