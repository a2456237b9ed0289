"""The frames between a gateway and a replica."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn_runtime import frames, wire
from edgefn_runtime.errors import ProtocolError

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
CODES = st.integers(0, 255)
CALLS = st.builds(
    wire.Call,
    id=U32,
    content=CODES,
    accept=CODES,
    aux=U32,
    budget_us=U64,
    head=st.binary(max_size=64),
    body=st.binary(max_size=2048),
)
REPLIES = st.builds(
    wire.Reply,
    id=U32,
    outcome=CODES,
    content=CODES,
    aux=U32,
    queue_us=U32,
    service_us=U32,
    backlog_us=U32,
    batch=U16,
    queued=U16,
    body=st.binary(max_size=2048),
    confidence=U16,
)
HELLOS = st.builds(
    wire.Hello,
    protocol=st.just(wire.PROTOCOL),
    replica=st.text(max_size=20),
    boot_id=st.text(max_size=20),
    function=st.text(max_size=20),
    revision=U32,
    variant=st.text(max_size=20),
)


def encode(frame: wire.Frame) -> bytes:
    match frame:
        case wire.Call():
            return frames.encode_call(frame)
        case wire.Reply():
            return frames.encode_reply(frame)
        case wire.Hello():
            return frames.encode_hello(frame)
        case wire.Cancel():
            return frames.encode_cancel(frame.id)


@given(
    sent=st.lists(CALLS | REPLIES | HELLOS | st.builds(wire.Cancel, id=U32), max_size=8),
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=40),
)
def test_frames_survive_any_cutting_of_the_stream(sent: list[wire.Frame], cuts: list[int]) -> None:
    """What was written is read, in order, however the bytes arrive."""
    stream = b"".join(encode(frame) for frame in sent)
    reader, read, position, turn = frames.FrameReader(), [], 0, 0
    while position < len(stream):
        size = cuts[turn % len(cuts)]
        read += reader.feed(stream[position : position + size])
        position, turn = position + size, turn + 1
    assert read == sent
    assert reader.at_boundary()


@given(st.binary(max_size=300))
def test_noise_is_refused_or_waited_for_but_never_crashes(noise: bytes) -> None:
    """Bytes that are no frames raise `ProtocolError` and nothing else."""
    reader = frames.FrameReader(max_frame_bytes=1024)
    try:
        reader.feed(noise)
    except ProtocolError:
        return
    assert len(noise) < 1024 or not reader.at_boundary()


def test_a_frame_is_refused_by_its_announced_length() -> None:
    """No byte beyond the length has to arrive, or be allocated, for the refusal."""
    reader = frames.FrameReader(max_frame_bytes=1000)
    with pytest.raises(ProtocolError, match="a frame of 4294967295 bytes was announced"):
        reader.feed(struct.pack("<I", 2**32 - 1))


def test_a_half_frame_is_no_boundary() -> None:
    """The end of the stream in the middle of a frame can be told from a clean one."""
    reader = frames.FrameReader()
    assert reader.feed(frames.encode_cancel(7)[:-1]) == []
    assert not reader.at_boundary()


def test_a_body_beyond_the_limit_is_not_sent() -> None:
    """The sender refuses what the receiver would refuse."""
    body = bytes(wire.MAX_BODY_BYTES + 1)
    with pytest.raises(ProtocolError, match="does not fit a frame"):
        frames.encode_call(wire.Call(1, 1, 1, 0, 0, b"", body))
    with pytest.raises(ProtocolError, match="does not fit a frame"):
        frames.encode_reply(wire.Reply(1, 0, 1, 0, 0, 0, 0, 1, 0, body))


def test_the_largest_body_fits() -> None:
    """A body of exactly the limit arrives."""
    call = wire.Call(1, 1, 1, 0, 0, b"", bytes(wire.MAX_BODY_BYTES))
    assert frames.FrameReader().feed(frames.encode_call(call)) == [call]


def test_a_replica_of_another_protocol_is_refused() -> None:
    """Versions that do not match are said, not guessed around."""
    hello = wire.Hello(wire.PROTOCOL + 1, "r", "b", "f", 1, "v")
    with pytest.raises(
        ProtocolError, match=f"speaks protocol {wire.PROTOCOL + 1}, this side {wire.PROTOCOL}"
    ):
        frames.FrameReader().feed(frames.encode_hello(hello))


def test_a_head_longer_than_its_frame_is_refused() -> None:
    """A lying head length does not read into the next frame."""
    frame = bytearray(frames.encode_call(wire.Call(1, 1, 1, 0, 0, b"", b"")))
    frame[-2:] = struct.pack("<H", 9)
    with pytest.raises(ProtocolError, match="does not fit its frame"):
        frames.FrameReader().feed(bytes(frame))


def test_times_beyond_the_field_are_clipped() -> None:
    """A long service time does not break the reply that reports it."""
    reply = wire.Reply(1, 0, 1, 0, 2**40, 2**40, 2**40, 2**20, 2**20, b"")
    (read,) = frames.FrameReader().feed(frames.encode_reply(reply))
    assert isinstance(read, wire.Reply)
    assert (read.queue_us, read.batch) == (2**32 - 1, 2**16 - 1)


def test_a_confidence_keeps_its_order() -> None:
    """Packed as 16 bits; certainty is below the mark for none."""
    packed = [wire.pack_confidence(value) for value in (-1.0, 0.0, 0.5, 0.799, 0.8, 1.0, 7.0)]
    assert packed == sorted(packed)
    assert packed[0] == packed[1] == 0
    assert packed[-1] == packed[-2] == wire.NO_CONFIDENCE - 1
    assert wire.pack_confidence(float("nan")) == 0
