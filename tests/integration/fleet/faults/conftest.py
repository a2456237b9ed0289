"""A fleet of real boxes with Ray, under a steady load, for tests that break it.

A hub and another box of the cloud, and one at an edge; each started as in production, with a state
directory of its own. Ray is told to give its head up sooner than it would.
"""

import asyncio
import importlib.util
import math
import os
import shutil
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import aiohttp
import numpy as np
import pytest

from edgefn.access.files import AccessFiles
from edgefn.access.joining import join
from edgefn.access.orders import NewToken
from edgefn.bundle.build import build

if importlib.util.find_spec("ray") is None:
    collect_ignore_glob = ["test_*.py"]

LONG: Final = bool(os.environ.get("TEST_LONG"))
IMPATIENT: Final = {
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}
PER_S: Final = 25.0  # calls of each stream
READY_S: Final = 240.0
BOXES: Final[dict[str, dict[str, Any]]] = {
    "hub": {"hub": True, "tier": "cloud"},
    "cloud-2": {"tier": "cloud"},
    "plant-1": {"tier": "edge", "site": "plant"},
}
ANSWERED_S: Final = aiohttp.ClientTimeout(total=10.0)
SETTLED_S: Final = 1.0  # of load after what a case waited for

# Each answers with its version.
CODE: Final = """
import time
from edgefn import edge_function

@edge_function(name="{name}", deadline_ms=5_000, scale=({least}, 4), **{options})
def answer(x: int) -> int:
    time.sleep(0.005)
    return {version}
"""


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one of its number."""

    pid: int
    started: str
    title: str

    @property
    def lives(self) -> bool:
        """Whether it still runs."""
        found = _stat(self.pid)
        return found is not None and found.started == self.started and found.state != "Z"


class _Stat(NamedTuple):
    state: str
    parent: int
    session: int
    started: str


def _stat(pid: int) -> _Stat | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return _Stat(fields[0], int(fields[1]), int(fields[3]), fields[19])


def descendants(root: int) -> list[Process]:
    """Returns a process, all that it started, and all in the sessions of these."""
    stats = {
        int(entry.name): found
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and (found := _stat(int(entry.name))) is not None
    }
    family, own = {root}, stats[root].session
    while True:
        sessions = {stats[pid].session for pid in family if pid in stats} - {own}
        more = {
            pid for pid, stat in stats.items() if stat.parent in family or stat.session in sessions
        } - family
        if not more:
            break
        family |= more
    return [Process(pid, stats[pid].started, _title(pid)) for pid in sorted(family & stats.keys())]


def _title(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""


@dataclass(slots=True)
class Call:
    """One call of a stream. Times are of the monotonic clock."""

    stream: str
    at_s: float
    done_s: float = math.inf
    outcome: str = "unanswered"

    @property
    def failed(self) -> bool:
        """Whether it has an answer other than its result."""
        return self.outcome != "200"


@dataclass(slots=True)
class Seen:
    """What came of the calls while something was done to the fleet."""

    calls: list[Call] = field(default_factory=list)
    struck_s: float = math.inf

    def of(self, stream: str) -> list[Call]:
        """Returns those of a stream."""
        return [call for call in self.calls if call.stream == stream]

    def failed(self, stream: str) -> list[Call]:
        """Returns those of a stream that failed."""
        return [call for call in self.of(stream) if call.failed]

    def longest_gap_s(self, stream: str) -> float:
        """Returns the longest time in which no call of a stream was answered well."""
        done = sorted(call.done_s for call in self.of(stream) if not call.failed)
        return max(
            (later - before for before, later in zip(done, done[1:], strict=False)), default=0
        )

    def p99_ms(self, stream: str) -> float:
        """Returns how long the slowest of a hundred took."""
        took = [call.done_s - call.at_s for call in self.of(stream) if not call.failed]
        return float(np.percentile(took, 99) * 1000) if took else math.nan


class Load:
    """Calls at a steady pace, whatever becomes of those before; in a thread of its own."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.urls: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> None:
        """Begins; `urls` may be changed at any time."""
        self._thread.start()

    def stop(self) -> None:
        """Ends."""
        self._stop.set()
        self._thread.join()

    @contextmanager
    def watched(self) -> Iterator[Seen]:
        """Takes note of the calls that begin within it, and waits for their answers."""
        seen = Seen()
        first = len(self.calls)
        yield seen
        seen.calls = self.calls[first:]
        end_s = time.monotonic() + 12.0
        while any(call.outcome == "unanswered" for call in seen.calls):
            assert time.monotonic() < end_s, "calls are without an answer"
            time.sleep(0.02)

    @contextmanager
    def more(self, stream: str, times: int) -> Iterator[None]:
        """Makes that many times the calls of a stream."""
        self.urls = {f"{stream} {n}": self.urls[stream] for n in range(2, times + 1)} | self.urls
        try:
            yield
        finally:
            self.urls = {name: url for name, url in self.urls.items() if not name[-1].isdigit()}

    async def _run(self) -> None:
        next_s = time.monotonic()
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            asyncio.TaskGroup() as calls,
        ):
            while not self._stop.is_set():
                for stream, url in tuple(self.urls.items()):
                    call = Call(stream, next_s)
                    self.calls.append(call)
                    calls.create_task(self._call(session, call, url))
                next_s += 1.0 / PER_S
                await asyncio.sleep(max(next_s - time.monotonic(), 0.0))

    @staticmethod
    async def _call(session: aiohttp.ClientSession, call: Call, url: str) -> None:
        try:
            async with session.post(url, json={"x": 1}, timeout=ANSWERED_S) as answer:
                body = await answer.text()
                outcome = str(answer.status) if answer.status == 200 else f"{answer.status} {body}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            outcome = repr(error)
        call.done_s, call.outcome = time.monotonic(), outcome


class Fleet:
    """The boxes, by name, and what is done to them."""

    def __init__(self, start: Callable[..., Any], folder: Path) -> None:
        self._start = start
        self._folder = folder
        self._listens: defaultdict[str, str] = defaultdict(lambda: "127.0.0.1:0")
        self._ports: defaultdict[str, int] = defaultdict(int)
        self._versions = 0
        self.headless_s = 300.0 if LONG else 15.0
        self.boxes: dict[str, Any] = {}
        self.streams = ("edge near", "edge far", "hub near")
        self.load = Load()

    def start(self, name: str) -> Any:
        """Starts a box, or starts it again where it was."""
        config = dict(BOXES[name])
        files = AccessFiles(self._folder / name)
        if name != "hub" and not files.hub():
            token = self.boxes["hub"].admin.make_join_token(NewToken()).text
            join(f"https://{self._listens['hub']}", token, name, files)
        if name != "plant-1":
            config["listen"] = self._listens[name]
        box = self._start(
            state_dir=self._folder / name, name=name, ray=True, ray_host="127.0.0.1",
            port=self._ports[name], **config,
        )  # fmt: skip
        self.boxes[name] = box
        self._ports[name] = int(box.url.rpartition(":")[2])
        if name != "plant-1":
            self._listens[name] = box.admin.status().secure_url.removeprefix("https://")
        return box

    def deploy(self, least: int = 1, name: str = "near", **options: Any) -> int:
        """Deploys a new version of a function on the hub, and returns its number."""
        self._versions += 1
        (folder := self._folder / f"source-{self._versions}").mkdir()
        options = {"tiers": ("edge", "cloud"), **options}
        code = CODE.format(version=self._versions, least=least, name=name, options=options)
        (folder / "function.py").write_text(code)
        (bundle,) = build(str(folder))
        self.boxes["hub"].admin.deploy(bundle)
        return self._versions

    def answers(self, name: str, function: str = "near") -> Any:
        """Returns what a box answers; None while it does not."""
        answer = self.boxes[name].call(function, 5000, x=1)
        return answer.json() if answer.status == 200 else None

    def until(self, holds: Callable[[], Any], within_s: float = READY_S) -> Any:
        """Returns what `holds` returns as soon as that is true; fails after a time."""
        end_s = time.monotonic() + within_s
        while not (value := holds()):
            assert time.monotonic() < end_s, f"not within {within_s} s"
            time.sleep(0.1)
        return value

    def variant(self, name: str, function: str = "near") -> Any:
        """Returns the one variant of a function at a box."""
        (variant,) = self.boxes[name].admin.function(function).variants
        return variant

    def leased(self, *names: str, function: str = "near") -> bool:
        """Whether Ray holds all replicas of a function at each of some boxes, or of all."""
        found = [self.variant(name, function) for name in names or self.boxes]
        return all(one.leases and one.leases >= one.replicas for one in found)

    def replica_pids(self, name: str, function: str = "near") -> set[int]:
        """Returns the processes that answer calls at a box."""
        return {replica.pid for replica in self.boxes[name].replicas(function)}

    def family(self, name: str) -> list[Process]:
        """Returns all processes of a box."""
        return descendants(self.boxes[name].process.pid)

    def process(self, name: str, title: str) -> int:
        """Returns the one process of a box with this in its title; 0 if there is not one."""
        found = [one.pid for one in self.family(name) if title in one.title]
        return found[0] if len(found) == 1 else 0

    def kill(self, name: str, title: str) -> int:
        """Kills the one process of a box with this in its title, and returns which it was."""
        pid = self.process(name, title)
        assert pid, [one.title for one in self.family(name)]
        os.kill(pid, signal.SIGKILL)
        return pid

    def strike(self, seen: Seen, name: str, title: str) -> int:
        """Kills as `kill` does, and takes note of when."""
        pid = self.kill(name, title)
        seen.struck_s = time.monotonic()
        return pid

    @contextmanager
    def frozen(self, name: str, title: str) -> Iterator[None]:
        """Has a process of a box do nothing for a while."""
        pid = self.process(name, title)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def is_linked(self, name: str, other: str) -> bool:
        """Whether a box has a link with another one."""
        return other in {one.name for one in self.boxes[name].admin.status().places if one.up}

    def ray_folder(self, name: str) -> Path:
        """Returns where the Ray of a box has its sockets and logs."""
        return Path((self._folder / name / "ray" / "folder").read_text())

    def end(self, name: str) -> int:
        """Tells a box to end, and returns its exit status."""
        return int(self.boxes.pop(name).end(within_s=40.0))

    def cut_power(self, name: str) -> None:
        """Kills all that a box is."""
        for one in self.family(name):
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
        self.boxes.pop(name).wait()

    @contextmanager
    def case(self, title: str) -> Iterator[Seen]:
        """Watches the load while something is done, and a while longer; prints what came of it."""
        with self.load.watched() as seen:
            time.sleep(SETTLED_S)
            yield seen
            time.sleep(SETTLED_S)
        for stream in self.streams:
            failed = seen.failed(stream)
            print(
                f"{title:42} {stream:10} {len(seen.of(stream)):5} calls {len(failed):3} failed, "
                f"longest gap {seen.longest_gap_s(stream) * 1000:6.0f} ms, "
                f"p99 {seen.p99_ms(stream):6.1f} ms {sorted({call.outcome for call in failed})}"
            )

    def close(self) -> None:
        """Ends the load, and what is left of the boxes where a test failed."""
        if self.load.urls:
            self.load.stop()
        for name in tuple(self.boxes):
            self.cut_power(name)
        for note in self._folder.glob("*/ray/folder"):
            shutil.rmtree(note.read_text(), ignore_errors=True)

    def begin(self) -> None:
        """Starts everything, and returns when Ray holds a replica of each box."""
        for name in BOXES:
            self.start(name)
        self.deploy()
        self.deploy(name="far", tiers=("cloud",), idempotent=True)
        self.until(lambda: all(self.answers(name) for name in self.boxes))
        self.until(lambda: all(self.answers(name, "far") for name in self.boxes))
        self.until(self.leased)
        edge, hub = self.boxes["plant-1"].url, self.boxes["hub"].url
        urls = [f"{edge}/v1/functions/near", f"{edge}/v1/functions/far", f"{hub}/v1/functions/near"]
        self.load.urls = dict(zip(self.streams, urls, strict=True))
        self.load.start()


@pytest.fixture(scope="module")
def fleet(
    start_shared_box: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    """One for all tests of a module, under load."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in () if LONG else IMPATIENT.items():
            patch.setenv(name, value)
        fleet = Fleet(start_shared_box, tmp_path_factory.mktemp("f"))
        try:
            fleet.begin()
            yield fleet
        finally:
            fleet.close()
