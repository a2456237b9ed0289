"""The boxes of the fleet demo and the emulated links of those at the edge."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from edgefn.access.files import AccessFiles
from edgefn.access.joining import join
from edgefn.access.orders import NewToken
from edgefn.box import BoxConfig
from edgefn.cli.box_process import StartingBox, stop
from edgefn.client.admin import AdminClient
from edgefn.desired.fleet import FleetBox, FleetStatus
from edgefn.emulation.launch import LinkProcess
from edgefn.emulation.messages import Aim, Change, Open
from edgefn.emulation.path import Conditions
from edgefn.errors import EdgefnError

HUB: Final = "cloud-1"
CLOUD: Final = "cloud-2"
PLANTS: Final = ("plant-1", "plant-2")
UPLINK: Final = Conditions(rtt_s=0.03, jitter_s=0.01)
_SMALL: Final = "plant-2"  # without Ray
_LOOK_S: Final = 0.1

# What `pip install edgefn` leaves: ONNX Runtime, and no LiteRT.
_WITHOUT_LITERT: Final = 'import sys\n\nsys.modules["ai_edge_litert"] = None\n'

T = TypeVar("T")


class Fleet:
    """A hub, another box in the cloud, and two at the edge.

    Attributes:
        folder: Of the session, for `edgefn link`.
        urls: Where each box answers on this machine, by name.
        has_ray: Whether the boxes are a Ray cluster, but for the small one.
    """

    def __init__(self, folder: Path, links: LinkProcess, *, has_ray: bool) -> None:
        self.folder = folder
        self.urls: dict[str, str] = {}
        self.has_ray = has_ray
        self._links = links

    def admin(self, box: str = HUB) -> AdminClient:
        """Returns a client of the admin API of a box."""
        return AdminClient(self.urls[box])

    def status(self) -> FleetStatus:
        """Returns what the hub knows of the fleet."""
        with self.admin() as admin:
            return admin.fleet()

    def box(self, name: str) -> FleetBox:
        """Returns what the hub knows of a box."""
        return next(one for one in self.status().boxes if one.box == name)

    def cut(self, *, is_cut: bool) -> None:
        """Cuts the links of the boxes at the edge, or restores them."""
        self._links.control.ask(Change(cut=is_cut))

    def with_ray(self) -> tuple[str, ...]:
        """Returns the boxes that are in the Ray cluster, if there is one."""
        return (HUB, CLOUD, *(one for one in PLANTS if one != _SMALL)) if self.has_ray else ()

    def replicas(self, box: str) -> dict[int, str]:
        """Returns the processes of a box that answer calls, and of which function each is."""
        with self.admin(box) as admin:
            return {
                replica.pid: function.name
                for function in admin.status().functions
                for replica in function.replicas
                if replica.state == "ready"
            }

    def kill_head(self) -> None:
        """Kills the process that is the head of the Ray cluster."""
        os.kill(self._pid_of(HUB, "gcs_server"), signal.SIGKILL)

    def _pid_of(self, box: str, title: str) -> int:
        mark = f"EDGEFN_STATE_DIR={self.folder / box}".encode()
        for entry in filter(lambda one: one.name.isdigit(), Path("/proc").iterdir()):
            with suppress(OSError):
                is_of_box = mark in (entry / "environ").read_bytes().split(b"\0")
                if is_of_box and title.encode() in (entry / "cmdline").read_bytes():
                    return int(entry.name)
        raise EdgefnError(f"{box} has no process {title}")


def until(holds: Callable[[], T], *, what: str, within_s: float = 60.0) -> T:
    """Returns what `holds` returns as soon as it counts as true.

    Raises:
        EdgefnError: It did not within a time; the message says what was waited for.
    """
    ends_s = time.monotonic() + within_s
    while not (value := holds()):
        if time.monotonic() > ends_s:
            raise EdgefnError(f"not within {within_s:g} s: {what}")
        time.sleep(_LOOK_S)
    return value


@contextmanager
def running_fleet(folder: Path, *, has_ray: bool) -> Iterator[Fleet]:
    """Starts the fleet, and ends it: the boxes are processes that end with this one in any case.

    Args:
        folder: Of the session; nobody else may be able to enter it.
        has_ray: Whether there is a Ray cluster.

    Raises:
        EdgefnError: One did not start, or join.
    """
    with ExitStack() as running:
        links = LinkProcess.start(folder, seed=1)
        running.callback(links.stop)
        starting: list[StartingBox] = []
        running.callback(_stop_all, starting)
        fleet = Fleet(folder, links, has_ray=has_ray)

        def begin(name: str, **config: object) -> None:
            starting.append(_start(fleet, name, **config))

        begin(HUB, tier="cloud", hub=True, listen="127.0.0.1:0")
        fleet.urls[HUB] = starting[0].url()
        with fleet.admin() as admin:
            hub_url = admin.status().secure_url
            tokens = {
                name: admin.make_join_token(NewToken(name=name)).text for name in (CLOUD, *PLANTS)
            }
        join(hub_url, tokens[CLOUD], CLOUD, AccessFiles(folder / CLOUD))
        begin(CLOUD, tier="cloud")
        for name in PLANTS:
            port = links.control.ask(Open(f"{name}:{HUB}", UPLINK))[0].port
            host, _, hub_port = hub_url.removeprefix("https://").rpartition(":")
            links.control.ask(Aim(HUB, host, int(hub_port)))
            join(f"https://127.0.0.1:{port}", tokens[name], name, AccessFiles(folder / name))
            begin(name, tier="edge", site=name)
        for name, box in zip((CLOUD, *PLANTS), starting[1:], strict=True):
            fleet.urls[name] = box.url()
        yield fleet


def _start(fleet: Fleet, name: str, **config: object) -> StartingBox:
    environ = dict(os.environ)
    if name in PLANTS:
        without = fleet.folder / "without-litert"
        without.mkdir(exist_ok=True)
        (without / "sitecustomize.py").write_text(_WITHOUT_LITERT)
        environ["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(without), environ.get("PYTHONPATH")))
        )
    made = BoxConfig(
        state_dir=fleet.folder / name, port=0, name=name, ray=name in fleet.with_ray(), **config
    )
    return StartingBox(made, outlives=False, environ=environ)


def _stop_all(boxes: list[StartingBox]) -> None:
    for box in boxes:
        box.process.terminate()
    for box in boxes:
        stop(box.process)
