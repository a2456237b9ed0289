"""A deployment over a network that cuts connections."""

import contextlib
import random
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from edgefn.bundle.build import Bundle, build
from edgefn.client import AdminClient

CODE = """
from edgefn import edge_function

@edge_function
def heavy(x: int) -> int:
    return x
"""
MIB = 1 << 20


class Cutter(socketserver.ThreadingTCPServer):
    """Passes bytes on to a box; the first connections only as many as `cuts` says, one each."""

    daemon_threads = True

    def __init__(self, url: str, cuts: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        parts = urlsplit(url)
        self.target = (parts.hostname, parts.port)
        self.cuts = cuts
        self.passed = 0


class _Passing(socketserver.BaseRequestHandler):
    server: Cutter

    def handle(self) -> None:
        left = self.server.cuts.pop(0) if self.server.cuts else None
        with socket.create_connection(self.server.target) as box:
            back = threading.Thread(target=_copy_back, args=(box, self.request))
            back.start()
            with contextlib.suppress(OSError):
                while data := self.request.recv(65536 if left is None else min(65536, left)):
                    box.sendall(data)
                    self.server.passed += len(data)
                    if left is not None and not (left := left - len(data)):
                        break
            for end in (self.request, box):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            back.join()


def _copy_back(box: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := box.recv(65536):
            client.sendall(data)


@pytest.fixture
def start_cutter(shared_box: Any) -> Iterator[Callable[[list[int]], Cutter]]:
    with contextlib.ExitStack() as stack:

        def start(cuts: list[int]) -> Cutter:
            cutter = stack.enter_context(Cutter(shared_box.url, cuts))
            serving = threading.Thread(target=cutter.serve_forever, args=(0.01,))
            serving.start()
            stack.callback(serving.join)
            stack.callback(cutter.shutdown)
            return cutter

        yield start


@pytest.fixture
def heavy(tmp_path: Any) -> Bundle:
    (tmp_path / "function.py").write_text(CODE)
    (tmp_path / "data.bin").write_bytes(random.Random(8).randbytes(6 * MIB))
    (bundle,) = build(str(tmp_path))
    return bundle


def test_an_upload_over_a_network_that_cuts_goes_on(
    start_cutter: Callable[[list[int]], Cutter], heavy: Bundle
) -> None:
    """Each connection ends somewhere else; what came is not sent again."""
    cutter = start_cutter([MIB, 2 * MIB, 2 * MIB])
    host, port = cutter.server_address[:2]
    with AdminClient(f"http://{host}:{port}") as admin:
        status = admin.deploy(heavy)
        assert (status.name, status.state) == ("heavy", "serving")
    assert cutter.cuts == []
    # Anew each time it would be more; a chunk that comes before the one that was cut is written
    # is refused, and goes twice.
    assert cutter.passed < (1 + 2 + 2 + 6) * MIB
