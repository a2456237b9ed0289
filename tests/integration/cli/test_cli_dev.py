"""`edgefn dev`: a box of its own that follows the files."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefn.client import Client

CODE = """
from edgefn import edge_function

@edge_function
def doubled(x: int) -> int:
    print("doubling", x)
    return 2 * x
"""


class Session:
    """A running `edgefn dev`, read line by line."""

    def __init__(self, target: Path, environment: dict[str, str]) -> None:
        self.source = target / "function.py"
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "edgefn", "dev", str(target), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment, "TMPDIR": str(target.parent)},
            start_new_session=True,
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self._lines.put(line)
        self._lines.put("")

    def until(self, text: str, within_s: float = 20.0) -> str:
        """Returns the next line with `text` in it."""
        end_s, seen = time.monotonic() + within_s, []
        while True:
            seen.append(self._lines.get(timeout=max(end_s - time.monotonic(), 0.01)))
            if text in seen[-1]:
                return seen[-1]
            assert seen[-1], f"it ended before {text!r}: {seen}"

    def end(self) -> int:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        status = self.process.wait(30)
        self._reading.join()
        return status


@pytest.fixture
def session(tmp_path: Path, environment: dict[str, str]) -> Iterator[Session]:
    folder = tmp_path / "doubled"
    folder.mkdir()
    (folder / "function.py").write_text(CODE)
    session = Session(folder, environment)
    yield session
    session.end()


def test_a_save_is_served_and_a_mistake_is_shown_while_the_old_one_serves(
    session: Session, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    """Edit, break, repair, end: the terminal tells all of it, and nothing is left behind."""
    url = session.until("curl ").split("/v1/")[0].removeprefix("curl ")
    session.until("doubled revision 1 serves")
    session.until("watching")
    with Client(url) as client:
        assert client.call("doubled", x=2).value == 4
        session.until("doubling 2")

        session.source.write_text(CODE.replace("2 * x", "3 * x"))
        session.until("doubled revision 2 serves")
        assert client.call("doubled", x=2).value == 6

        session.source.write_text(CODE.replace("2 * x", "2 *"))
        session.until("does not import: SyntaxError")
        session.until("function.py")
        session.until("revision 2 of doubled keeps serving")
        assert client.call("doubled", x=2).value == 6

        session.source.write_text(CODE.replace("def doubled", "def renamed"))
        session.until("renamed revision 1 serves")
        session.until("doubled is no longer declared")
        assert client.call("renamed", x=2).value == 4
    assert session.end() == 0
    assert [path.name for path in tmp_path.iterdir()] == ["doubled"]


def test_its_box_does_not_outlive_it(session: Session, eventually: Callable[..., Any]) -> None:
    """Even when it is killed."""
    url = session.until("curl ").split("/v1/")[0].removeprefix("curl ")
    session.until("watching")
    session.process.kill()

    def is_gone() -> bool:
        try:
            with Client(url) as client:
                client.call("doubled", x=1, deadline_ms=100)
        except Exception as error:
            return type(error).__name__ == "Unreachable"
        return False

    eventually(is_gone, within_s=5.0)
