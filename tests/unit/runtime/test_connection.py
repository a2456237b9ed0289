"""A gateway's connection, over a transport that the test plays."""

import pytest

from edgefn_runtime.connection import MAX_UNREAD_BYTES, Connection
from edgefn_runtime.errors import ProtocolError
from edgefn_runtime.frames import encode_call, encode_cancel
from edgefn_runtime.wire import Call, Cancel


class FakeTransport:
    """Keeps what was written; `unread_bytes` is what the other side has not read."""

    def __init__(self):
        self.written = []
        self.unread_bytes = 0
        self.reading = True
        self.aborted = False

    def set_write_buffer_limits(self, high):
        assert high < MAX_UNREAD_BYTES

    def write(self, data):
        self.written.append(data)

    def get_write_buffer_size(self):
        return self.unread_bytes

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def abort(self):
        self.aborted = True


class FakeServer:
    """Keeps what it is told; refuses frames if `strict`."""

    hello = b"hello"
    strict = False

    def __init__(self):
        self.told = []

    def opened(self, connection):
        self.told.append("opened")

    def received(self, connection, frames):
        if self.strict:
            raise ProtocolError("not from a gateway")
        self.told += frames

    def closed(self, connection):
        self.told.append("closed")


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def transport():
    return FakeTransport()


@pytest.fixture
def connection(server, transport):
    made = Connection(server)
    made.connection_made(transport)
    return made


def test_says_hello_and_hands_frames_over(connection, server, transport):
    """The hello goes out first; all frames that a read completes are handed over."""
    call = Call(1, 1, 1, 0, 0, b"", b"body")
    data = encode_call(call) + encode_cancel(1)
    connection.data_received(data[:20])
    connection.data_received(data[20:])
    assert transport.written == [b"hello"]
    assert server.told == ["opened", call, Cancel(1)]


def test_answers_of_a_turn_are_one_write(connection, transport):
    """What is sent before a flush goes out together, once."""
    connection.send(b"a")
    connection.send(b"b")
    assert not connection.is_quiet()
    connection.flush()
    connection.flush()
    assert transport.written == [b"hello", b"ab"]
    assert connection.is_quiet()


def test_a_gateway_that_does_not_read_is_not_read_from(connection, transport):
    """Back-pressure is passed on, and ends when the gateway reads again."""
    connection.pause_writing()
    assert not transport.reading
    connection.resume_writing()
    assert transport.reading


def test_a_gateway_that_never_reads_is_cut_off(connection, transport, caplog):
    """More unread answers than may be are not added to."""
    transport.unread_bytes = MAX_UNREAD_BYTES + 1
    connection.send(b"one more")
    connection.flush()
    assert transport.aborted
    assert transport.written == [b"hello"]
    assert "does not read its answers" in caplog.text


@pytest.mark.parametrize("strict", [True, False])
def test_a_protocol_error_closes_the_connection(connection, server, transport, caplog, strict):
    """Bytes that are no frame, and frames that the server refuses, end the connection."""
    server.strict = strict
    connection.data_received(encode_cancel(1) if strict else b"\xff" * 8)
    assert transport.aborted
    assert "no frame of ours" in caplog.text


def test_nothing_is_sent_to_a_gateway_that_is_gone(connection, server, transport):
    """After the end of a connection answers are dropped and the server is told."""
    connection.send(b"unsent")
    connection.connection_lost(None)
    connection.send(b"late")
    connection.flush()
    connection.pause_writing()
    connection.close()
    assert transport.written == [b"hello"]
    assert server.told == ["opened", "closed"]
    assert connection.is_quiet()
