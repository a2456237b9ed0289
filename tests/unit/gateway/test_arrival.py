"""How long bytes lay in a socket before they were read."""

import socket
import time

import pytest

from edgefn.gateway.arrival import unread_s
from edgefn.gateway.connections import Connections
from edgefn.gateway.control import GatewayConfig


@pytest.fixture
def ends():
    """Both ends of a connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    with near, far:
        yield near, far


def test_the_kernel_tells_how_long_bytes_lay_there(ends):
    """Never more than it was, and more and more as long as nothing else comes."""
    near, far = ends
    sent_s = time.monotonic()
    near.sendall(b"x")
    assert unread_s(far) <= time.monotonic() - sent_s
    until_s = sent_s + 5.0
    while (lay_s := unread_s(far)) < 0.02 and time.monotonic() < until_s:
        pass
    assert 0.02 <= lay_s <= time.monotonic() - sent_s


def test_what_is_no_open_tcp_socket_is_taken_for_read_at_once(ends):
    """Unix sockets keep no such account."""
    one, other = socket.socketpair()
    with one, other:
        assert unread_s(one) == 0.0
    near, _ = ends
    near.close()
    assert unread_s(near) == unread_s(None) == 0.0


def test_a_loop_that_reads_another_connection_in_the_same_turn_was_busy():
    """One that reads the same connection again was not: its clock is to a millisecond only."""
    config = GatewayConfig(gateway=0, box="b", tier="edge", listen_fd=0, control_fd=0, store="")
    connections, one, other = Connections(config), object(), object()
    reads = ((one, 1.0), (one, 1.0), (other, 1.0), (one, 1.0), (other, 2.0))
    together = [connections.read_together(*read) for read in reads]
    assert together == [False, False, True, True, False]
