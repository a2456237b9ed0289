"""Real boxes for tests: started as processes, on a free port, with a state directory of their own.

A test asks for `start_box` and gets as many as it wants; each is killed at the end of the test if
it still runs, and nothing of it may be left.
"""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import urllib3

from edgefn.bundle.build import Bundle, build
from edgefn.client.admin import AdminClient

READY_TIMEOUT_S = 30.0

RUN = """
import json, logging, pathlib, sys
from edgefn.box import BoxConfig, run_box
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
config = json.loads(sys.argv[1])
for name in {"state_dir", "tls_cert", "tls_key"} & config.keys():
    config[name] = pathlib.Path(config[name])
sys.exit(run_box(BoxConfig(**config), on_ready=lambda url: print(url, flush=True)))
"""


def eventually(holds: Callable[[], Any], within_s: float = 10.0) -> Any:
    """Returns what `holds` returns as soon as that is true; fails after a time."""
    end_s = time.monotonic() + within_s
    while not (value := holds()):
        assert time.monotonic() < end_s, f"not within {within_s} s"
        time.sleep(0.02)
    return value


def processes_of(mark: str) -> list[int]:
    """Returns the processes that have a variable of this value in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                environ = (entry / "environ").read_bytes()
            except OSError:
                continue
            if state != "Z" and mark.encode() in environ.split(b"\0"):
                found.append(int(entry.name))
    return found


class RunningBox:
    """A box in a process of its own.

    Attributes:
        url: Where it answers.
        state_dir: Its state directory.
        admin: A client of its admin API.
        http: A connection pool for calls.
    """

    def __init__(self, state_dir: Path, mark: str, **config: Any) -> None:
        self.state_dir = state_dir
        self._mark = mark
        arguments = {"state_dir": str(state_dir), "port": 0, **config}
        name, _, value = mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", RUN, json.dumps(arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, name: value},
        )
        self.http: Any = None
        self._errors: list[str] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._lines.put)),
            threading.Thread(target=self._read, args=(self.process.stderr, self._errors.append)),
        ]
        for thread in self._threads:
            thread.start()

    def until_ready(self) -> "RunningBox":
        """Waits for the URL."""
        line = self._lines.get(timeout=READY_TIMEOUT_S)
        assert line, f"the box did not start: {self.errors}"
        self.url = line.strip()
        self.admin = AdminClient(self.url)
        self.http = urllib3.PoolManager(retries=False, timeout=20.0, maxsize=8)
        return self

    @property
    def errors(self) -> str:
        """What it wrote to its standard error so far."""
        return "".join(self._errors)

    def call(self, name: str, deadline_ms: float | None = None, **fields: Any) -> Any:
        """Calls a function with JSON; returns the response, read."""
        headers = {} if deadline_ms is None else {"Edgefn-Deadline-Ms": str(deadline_ms)}
        return self.http.request(
            "POST", f"{self.url}/v1/functions/{name}", json=fields, headers=headers
        )

    def replicas(self, name: str, state: str = "ready") -> list[Any]:
        """Returns a function's replicas in a state."""
        return [one for one in self.admin.function(name).replicas if one.state == state]

    def processes(self) -> list[int]:
        """Returns all its processes that live."""
        return processes_of(self._mark)

    def end(self, number: int = signal.SIGTERM, within_s: float = 20.0) -> int:
        """Sends a signal and returns the exit status."""
        self.process.send_signal(number)
        return self.wait(within_s)

    def wait(self, within_s: float = 20.0) -> int:
        """Waits for the end and returns the exit status."""
        status = self.process.wait(within_s)
        self.close()
        return status

    def close(self) -> None:
        """Kills what is left, and frees what the test holds."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join(5.0)  # the pipes close when its last process is gone
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        if self.http is not None:
            self.http.clear()
            self.admin.__exit__(None, None, None)
            self.http = None

    @staticmethod
    def _read(stream: Any, take: Callable[[str], None]) -> None:
        for line in stream:
            take(line)
        take("")


class Boxes:
    """Starts boxes on one folder, and sees to it that nothing of them is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = f"BOX_OF_TEST={folder}"
        self._boxes: list[RunningBox] = []

    def start(
        self, *, state_dir: Path | None = None, ready: bool = True, **config: Any
    ) -> RunningBox:
        """Starts a box; by default each on the same state directory."""
        box = RunningBox(state_dir or self._folder / "state", self._mark, **config)
        self._boxes.append(box)
        return box.until_ready() if ready else box

    def close(self) -> None:
        """Kills those that still run, and removes what a killed one leaves to the next."""
        for box in self._boxes:
            box.close()
            with suppress(FileNotFoundError):
                shutil.rmtree((box.state_dir / "run").read_text(), ignore_errors=True)
        eventually(lambda: not processes_of(self._mark), within_s=3.0)


@pytest.fixture
def start_box(tmp_path: Path) -> Iterator[Callable[..., RunningBox]]:
    """Starts boxes for one test; see `Boxes.start`."""
    boxes = Boxes(tmp_path)
    yield boxes.start
    boxes.close()


@pytest.fixture(scope="module")
def start_shared_box(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., RunningBox]]:
    """Starts boxes for all tests of a module; see `Boxes.start`."""
    boxes = Boxes(tmp_path_factory.mktemp("boxes"))
    yield boxes.start
    boxes.close()


@pytest.fixture(scope="module")
def shared_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBox]:
    """One box for all tests of a module, which give their functions names of their own."""
    boxes = Boxes(tmp_path_factory.mktemp("box"))
    yield boxes.start()
    boxes.close()


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """Builds a bundle from the text of a module that declares one function; options as `build`."""
    numbers = iter(range(1000))

    def make(code: str, **options: bool) -> Bundle:
        folder = tmp_path / f"source-{next(numbers)}"
        folder.mkdir()
        (folder / "function.py").write_text(textwrap.dedent(code))
        (bundle,) = build(str(folder), **options)
        return bundle

    return make


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    """`eventually`, for tests in folders that cannot import it."""
    return eventually
