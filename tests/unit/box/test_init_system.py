"""What the init system hears of a box."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefn.box.init_system import READY, InitSystem


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of an init system; what is sent to it is there at once."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def test_it_hears_a_state(heard: socket.socket) -> None:
    """And functions do not inherit the way to it."""
    environ = {"NOTIFY_SOCKET": heard.getsockname()}
    InitSystem.asked_by(environ).tell(READY)
    assert heard.recv(100) == b"READY=1"
    assert environ == {}


def test_an_abstract_address_does() -> None:
    """As systemd writes it, with an @."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("")  # the kernel chooses an abstract one
        listener.setblocking(False)
        address = listener.getsockname().decode().replace("\0", "@", 1)
        InitSystem(address).tell(READY)
        assert listener.recv(100) == b"READY=1"


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "/no\0path", "x" * 200])
def test_nobody_listens(address: str) -> None:
    """The box goes on."""
    InitSystem(address).tell(READY)
