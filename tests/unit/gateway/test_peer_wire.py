"""The frames between gateways, and when paths are probed."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.errors import ProtocolError
from edgefn.gateway.peer_dial import pause_s
from edgefn.gateway.peer_place import endpoints_of, loads_of
from edgefn.gateway.peer_wire import (
    Echo,
    Greeting,
    OfferedFunction,
    OfferedVariant,
    PeerFrameReader,
    PeerHead,
    Probe,
    Summary,
    decode_head,
    encode_echo,
    encode_greeting,
    encode_probe,
    encode_summary,
)
from edgefn.gateway.prober import Prober
from edgefn_runtime.frames import encode_call, encode_cancel, encode_hello, encode_reply
from edgefn_runtime.wire import PROTOCOL, Call, Cancel, Hello, Outcome, Reply

GREETING = Greeting(box="edge-1", tier="edge", site="hall", boot_id="b")
SUMMARY = Summary((OfferedFunction("f", "d1", (OfferedVariant("int8", 2, 0.321, 0.05),)),))
HEAD = PeerHead("f", "int8", "d1", via=("edge-1",), priority=9, idempotent=True, head=b"inner")


def stream():
    call = encode_call(Call(7, 1, 2, 0, 5000, msgspec.msgpack.encode(HEAD), b"body"))
    return b"".join(
        (
            encode_greeting(GREETING),
            encode_summary(SUMMARY),
            call,
            encode_probe(Probe(1, 64)),
            encode_probe(Probe(2, 32768)),
            encode_echo(Echo(2)),
            encode_cancel(7),
        )
    )


@given(st.lists(st.integers(1, 40000), max_size=5))
def test_frames_come_out_as_they_went_in_however_they_are_cut(cuts):
    """A stream has no boundaries of its own."""
    data, reader, frames = stream(), PeerFrameReader(), []
    for cut in cuts:
        frames += reader.feed(data[:cut])
        data = data[cut:]
    frames += reader.feed(data)
    assert frames[:2] == [GREETING, SUMMARY]
    assert decode_head(frames[2]) == HEAD and frames[2].body == b"body"
    assert frames[3:] == [Probe(1, 64), Probe(2, 32768), Echo(2), Cancel(7)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x00\x00\x00\x63",
        b"\x02\x00\x00\x00\x10\xc1",
        b"\x01\x00\x00\x00\x12",
        b"\x00\x00\x00\x00",
        b"\xff\xff\xff\xff",
    ],
)
def test_what_is_no_frame_is_refused(data):
    """By its kind, its content or its announced length."""
    with pytest.raises(ProtocolError):
        PeerFrameReader().feed(data)


def test_a_hello_of_a_replica_is_not_for_a_peer():
    """Each wire has its own greeting."""
    with pytest.raises(ProtocolError, match="hello"):
        PeerFrameReader().feed(encode_hello(Hello(PROTOCOL, "r1", "b", "f", 1, "python")))


def test_a_call_must_say_for_which_function_it_is():
    """The head of a replica's call does not do."""
    with pytest.raises(ProtocolError, match="head"):
        decode_head(Call(1, 1, 1, 0, 0, b"", b""))


def test_an_idle_path_is_probed_by_turns_and_one_at_a_time():
    """Small and large, and never while one is under way."""
    prober = Prober(10.0, idle_s=0.25)
    assert prober.due(10.0) == Probe(1, 64)
    assert prober.due(99.0) is None
    assert prober.answered(10.06, 7) is None
    assert prober.answered(10.06, 1) == (pytest.approx(0.06), 64)
    assert prober.due(10.2) is None
    assert prober.due(10.32) == Probe(2, 32768)


def test_a_path_with_answers_is_not_probed():
    """They show how long it takes."""
    prober = Prober(10.0, idle_s=0.25)
    prober.measured(10.0)
    assert prober.due(10.2) is None
    prober.measured(10.2)
    assert prober.due(10.4) is None
    assert prober.due(10.5) is not None


def test_pauses_grow_to_a_limit_and_differ_between_boxes():
    """They double, and half of each is chance."""
    assert [pause_s(n, 0.5) for n in (0, 1, 2)] == [0.1, 0.2, 0.4]
    assert pause_s(50, 0.5) == 5.0
    assert (pause_s(50, 0.0), pause_s(50, 0.999)) == (2.5, pytest.approx(7.495))


def test_a_summary_becomes_endpoints_and_loads():
    """Named so that no two boxes' are confused."""
    (endpoint,) = endpoints_of("edge-1", SUMMARY.functions)
    assert (endpoint.function, endpoint.digest, endpoint.variant) == ("f", "d1", "int8")
    assert (endpoint.endpoint.name, endpoint.endpoint.place) == ("edge-1/f/int8", "edge-1")
    assert endpoint.endpoint.load_s == pytest.approx(0.3)
    (load,) = loads_of("edge-1", SUMMARY.functions)
    assert (load.endpoint, load.backlog_s, load.replicas) == ("edge-1/f/int8", 0.05, 2)


def test_marks_of_alerts_pass_through_a_link() -> None:
    """The box that took the call keeps their state, whichever box answered it."""
    reply = Reply(7, Outcome.RESULT, 1, 0, 1, 2, 3, 1, 0, b"body", marks=b"marks")
    assert PeerFrameReader().feed(encode_reply(reply)) == [reply]
