"""A Ray of the bench's own: temporary folder, ports and token of its own, and all of it ended."""

import contextlib
import importlib
import os
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

_MARK = "BENCH_RAY"
_END_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An application that Ray Serve serves.

    Attributes:
        handle: To it.
        url: At Serve's HTTP proxy.
        pids: All processes of this Ray, and this process, which asks handles.
    """

    handle: "DeploymentHandle[Any]"
    url: str
    pids: tuple[int, ...]


@contextlib.contextmanager
def serve_application(import_path: str, cpus: int) -> Iterator[Served]:
    """Serves an application in a Ray that is started for it, and ended.

    Args:
        import_path: Of the application, as `module:name`.
        cpus: That Ray may give out.
    """
    mark = secrets.token_hex(8)
    os.environ |= {  # before Ray is imported, which reads some of it then
        _MARK: mark,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    import ray
    from ray import serve

    module, _, name = import_path.partition(":")
    application = getattr(importlib.import_module(module), name)
    try:
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
            ray.init(
                num_cpus=cpus, include_dashboard=False, _temp_dir=folder, log_to_driver=False,
                _node_ip_address="127.0.0.1", object_store_memory=200 * 2**20,
            )  # fmt: skip
            try:
                port = _free_port()
                serve.start(http_options={"host": "127.0.0.1", "port": port})
                handle = serve.run(application, route_prefix="/call")
                pids = (os.getpid(), *_marked(mark))
                yield Served(handle=handle, url=f"http://127.0.0.1:{port}/call", pids=pids)
                serve.shutdown()
            finally:
                ray.shutdown()
    finally:
        _end_marked(mark)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _end_marked(mark: str) -> None:
    """Waits for the processes of this Ray to end, and kills what does not."""
    end_s = time.monotonic() + _END_TIMEOUT_S
    while (left := _marked(mark)) and time.monotonic() < end_s:
        time.sleep(0.1)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _marked(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if f"{_MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
