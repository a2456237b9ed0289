"""What systemd hears of a box that runs."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_box_says_when_it_is_ready_and_when_it_stops(
    start_box: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ready with its first call, and nothing of the way to say so is left for functions."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10.0)
        monkeypatch.setenv("NOTIFY_SOCKET", listener.getsockname())
        box = start_box()
        assert listener.recv(100) == b"READY=1"
        children = [pid for pid in box.processes() if pid != box.process.pid]
        environs = [Path(f"/proc/{pid}/environ").read_bytes() for pid in children]
        assert environs and not any(b"NOTIFY_SOCKET" in environ for environ in environs)
        assert box.end() == 0
        assert listener.recv(100) == b"STOPPING=1"
