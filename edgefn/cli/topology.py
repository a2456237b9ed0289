"""Several boxes on this machine, with emulated links between their gateways."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from edgefn.box import BoxConfig
from edgefn.cli.box_process import BoxProcess, StartingBox, stop
from edgefn.client.admin import AdminClient
from edgefn.emulation.launch import LinkProcess
from edgefn.emulation.messages import Aim, LinkStatus, Open
from edgefn.emulation.path import Conditions
from edgefn.emulation.topology import TopologyBox, links_between, parse_boxes

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

    def __init__(self, boxes: dict[TopologyBox, BoxProcess], links: list[LinkStatus]) -> None:
        self.boxes = boxes
        self.links = links


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
        links = tuple(links_between(plan.boxes, plan.across, plan.within))
        opened = {
            link: emulation.control.ask(Open(link.name, link.conditions))[0] for link in links
        }
        configs = [
            _config(box, folder, [opened[link].port for link in links if link.dialler == box])
            for box in plan.boxes
        ]
        starting: list[StartingBox] = []
        running.callback(_stop_all, starting)
        starting += (StartingBox(each, outlives=False) for each in configs)
        boxes = {
            box: BoxProcess(each.process, each.url())
            for box, each in zip(plan.boxes, starting, strict=True)
        }
        for box, process in boxes.items():
            with AdminClient(process.url) as admin:
                host, _, port = admin.status().peer_address.rpartition(":")
            emulation.control.ask(Aim(box.name, host, int(port)))
        yield RunningTopology(boxes, list(opened.values()))


def _config(box: TopologyBox, folder: Path, ports: list[int]) -> BoxConfig:
    return BoxConfig(
        state_dir=folder / box.name,
        port=0,
        name=box.name,
        tier=box.tier,
        site=box.name,
        peer_port=0,
        peers=tuple(f"{_HOST}:{port}" for port in ports),
    )


def _stop_all(boxes: list[StartingBox]) -> None:
    for box in boxes:
        box.process.terminate()
    for box in boxes:
        stop(box.process)
