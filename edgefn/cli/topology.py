"""Several boxes on this machine, with emulated links between their gateways."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from edgefn.box import BoxConfig
from edgefn.cli.box_process import BoxProcess
from edgefn.client.admin import AdminClient
from edgefn.emulation.launch import LinkProcess
from edgefn.emulation.messages import LinkStatus, Open
from edgefn.emulation.path import Conditions
from edgefn.emulation.topology import TopologyBox, TopologyLink, links_between, parse_boxes

_HOST: Final = "127.0.0.1"


class LinkPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a session was asked for.

    Attributes:
        boxes: All of them.
        across: Of links between tiers.
        within: Of links between boxes of one tier.
        seed: Of jitter and loss.
    """

    boxes: tuple[TopologyBox, ...]
    across: Conditions
    within: Conditions
    seed: int

    @classmethod
    def parse(cls, text: str, across: Conditions, within: Conditions, seed: int) -> "LinkPlan":
        """Returns the plan of a text like `edge:2,cloud:1`.

        Raises:
            ConfigError: It is no such text.
        """
        return cls(boxes=parse_boxes(text), across=across, within=within, seed=seed)


class RunningTopology:
    """The boxes and links of a session.

    Attributes:
        boxes: That run, by their place in the topology.
        links: As they were opened.
    """

    def __init__(self) -> None:
        self.boxes: dict[TopologyBox, BoxProcess] = {}
        self.links: list[LinkStatus] = []


@contextmanager
def running_topology(plan: LinkPlan, folder: Path) -> Iterator[RunningTopology]:
    """Starts boxes and links, and ends them.

    Args:
        plan: Of them.
        folder: Of the session; nobody else may be able to enter it.

    Raises:
        EdgefnError: One did not start.
    """
    with ExitStack() as running:
        emulation = LinkProcess.start(folder, plan.seed)
        running.callback(emulation.stop)
        topology = RunningTopology()
        links = tuple(links_between(plan.boxes, plan.across, plan.within))
        peers: dict[TopologyBox, str] = {}
        for box in reversed(plan.boxes):  # who is dialled must be there to be dialled
            outwards = [link for link in links if link.dialler == box]
            opened = [_open(emulation, link, peers[link.dialled]) for link in outwards]
            topology.links += opened
            process = BoxProcess.start(_config(box, folder, opened), outlives=False)
            running.callback(process.stop)
            topology.boxes[box] = process
            with AdminClient(process.url) as admin:
                peers[box] = admin.status().peer_address
        topology.boxes = {box: topology.boxes[box] for box in plan.boxes}
        yield topology


def _open(emulation: LinkProcess, link: TopologyLink, address: str) -> LinkStatus:
    host, _, port = address.rpartition(":")
    (opened,) = emulation.control.ask(Open(link.name, host, int(port), link.conditions))
    return opened


def _config(box: TopologyBox, folder: Path, links: list[LinkStatus]) -> BoxConfig:
    return BoxConfig(
        state_dir=folder / box.name,
        port=0,
        name=box.name,
        tier=box.tier,
        site=box.name,
        peer_port=0,
        peers=tuple(f"{_HOST}:{link.port}" for link in links),
    )
