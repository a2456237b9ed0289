"""The box's request for a replica, with its descriptors."""

import os
import socket

import pytest

from edgefn_runtime.forkserver import MAX_FORK_BYTES, send_fork
from edgefn_runtime.lifecycle import Fork, MessageReader, ReplicaConfig


def fork(root: str = "/bundle") -> Fork:
    return Fork(
        ReplicaConfig(
            replica="r1", function="f", revision=1, variant="onnx", root=root, module="f.py",
            attribute="f", models={}, socket="/run/s", status="/run/p",
        )
    )  # fmt: skip


@pytest.fixture
def ends():
    box, forkserver = socket.socketpair()
    box.setblocking(False)
    with box, forkserver:
        yield box, forkserver


def test_request_and_descriptors_arrive_together(ends):
    """What is read is the request, and two descriptors of the same files."""
    read, write = os.pipe()
    send_fork(ends[0], fork(), (read, write))
    data, fds, _, _ = socket.recv_fds(ends[1], 65536, 8)
    assert MessageReader(Fork).feed(data) == [fork()]
    os.write(fds[1], b"through")
    assert os.read(read, 10) == b"through"
    for fd in (read, write, *fds):
        os.close(fd)


def test_a_full_socket_is_an_error_and_not_half_a_request(ends):
    """If the forkserver does not read, the request is refused as a whole, not cut short."""
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            send_fork(ends[0], fork("/" + "x" * 5000), (0, 0))
            sent += 1
    ends[0].close()
    reader, received = MessageReader(Fork), 0
    while True:
        data, fds, _, _ = socket.recv_fds(ends[1], 65536, 8)
        if not data:
            break
        received += len(reader.feed(data))
        for fd in fds:
            os.close(fd)
    assert received == sent > 0


def test_a_request_that_is_too_large_is_refused(ends):
    """A request that the kernel might cut in two is not sent."""
    with pytest.raises(OSError, match="at most"):
        send_fork(ends[0], fork("/" + "x" * MAX_FORK_BYTES), (0, 0))
