"""`edgefn dev`."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final

import typer
from rich.table import Table
from watchfiles import watch

from edgefn.box import BoxConfig
from edgefn.bundle.build import build
from edgefn.bundle.target import parse_target
from edgefn.cli import output
from edgefn.cli.box_process import BoxProcess
from edgefn.cli.failure import print_failure
from edgefn.cli.link import Jitter, Loss, Rate, Rtt, link_table, quantity
from edgefn.cli.served_box import ServedBox
from edgefn.cli.topology import LinkPlan, RunningTopology, running_topology
from edgefn.client.admin import AdminClient
from edgefn.config import settings
from edgefn.emulation.client import SESSION_PREFIX
from edgefn.emulation.links import check
from edgefn.emulation.path import Conditions
from edgefn.emulation.quantities import duration_s, rate_bps, share
from edgefn.errors import ConfigError, EdgefnError

_DEBOUNCE_MS: Final = 50  # an editor's save is several events
_STEP_MS: Final = 20
_LOOK_AT_BOX_MS: Final = 1000
_WITHIN_RTT: Final = "12ms"


def command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A folder with a function.py, or a .py file; with ::NAME for one function of it.",
        ),
    ] = ".",
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Default 8080; 0: any free one.")
    ] = None,
    topology: Annotated[
        str | None,
        typer.Option(
            metavar="TIER:N,...", help="Several boxes with emulated links, as in edge:2,cloud:1."
        ),
    ] = None,
    rtt: Rtt = None,
    jitter: Jitter = None,
    loss: Loss = None,
    rate: Rate = None,
    within_rtt: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            callback=quantity(duration_s),
            help="Round trip between boxes of one tier.",
        ),
    ] = _WITHIN_RTT,
    seed: Annotated[int, typer.Option(metavar="N", help="Of jitter and loss.")] = 0,
) -> None:
    """Serves functions from here on a box of its own, and reloads them when they are saved.

    With --topology on several boxes, linked by emulated networks; the options from --rtt to --rate
    are those of links between tiers, and `edgefn link` changes them while calls run.
    """
    across = Conditions(
        rtt_s=duration_s(rtt or "0"),
        jitter_s=duration_s(jitter or "0"),
        loss=share(loss or "0"),
        rate_bps=rate_bps(rate or "0"),
    )
    with TemporaryDirectory(prefix=SESSION_PREFIX) as folder:
        try:
            if topology is None:
                if across != Conditions():
                    raise ConfigError("--rtt, --jitter, --loss and --rate are for --topology")
                _dev(target, Path(folder), port)
                return
            check(across)
            within = Conditions(rtt_s=duration_s(within_rtt))
            _dev_topology(target, Path(folder), LinkPlan.parse(topology, across, within, seed))
        except KeyboardInterrupt:
            output.note("stopping")


def _dev(target: str, folder: Path, port: int | None) -> None:
    given = settings(port=port)
    watched = parse_target(target).file.parent
    config = BoxConfig(state_dir=folder, port=given.port, name="dev", tier=given.tier or "edge")
    with output.spinner("starting a box"):
        box = BoxProcess.start(config, outlives=False)
    try:
        with AdminClient(box.url) as admin:
            session = Session(target, [ServedBox(admin)])
            session.reload()
            output.note(f"box at {box.url}; watching {watched}; Ctrl-C ends it")
            _follow_files(session, watched, {"the box": box})
    finally:
        box.stop()


def _dev_topology(target: str, folder: Path, plan: LinkPlan) -> None:
    watched = parse_target(target).file.parent
    with ExitStack() as held:
        with output.spinner(f"starting {len(plan.boxes)} boxes"):
            running = held.enter_context(running_topology(plan, folder))
        session = Session(
            target,
            [
                ServedBox(
                    held.enter_context(AdminClient(process.url)),
                    name=box.name,
                    shows_example=box == plan.boxes[0],
                )
                for box, process in running.boxes.items()
            ],
        )
        session.reload()
        _show(running)
        output.note(f"watching {watched}; Ctrl-C ends it")
        named = {f"box {box.name}": process for box, process in running.boxes.items()}
        _follow_files(session, watched, named)


def _show(running: RunningTopology) -> None:
    boxes: Table = output.table("box", "tier", "url")
    for box, process in running.boxes.items():
        boxes.add_row(box.name, box.tier, process.url)
    output.out.print(boxes)
    if running.links:
        output.out.print(link_table(running.links))
        name = running.links[-1].name
        output.note(f"change a link: edgefn link set {name} --rtt 140ms")
        output.note(f"cut and restore it: edgefn link cut {name}; edgefn link restore {name}")


def _follow_files(session: "Session", folder: Path, boxes: Mapping[str, BoxProcess]) -> None:
    changes = watch(
        folder,
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        rust_timeout=_LOOK_AT_BOX_MS,
        yield_on_timeout=True,
    )
    for changed in changes:
        for name, box in boxes.items():
            if box.exit_code() is not None:
                raise EdgefnError(f"{name} ended by itself with exit status {box.exit_code()}")
        if changed:
            session.reload()


class Session:
    """What is served from a target, brought up to date by `reload`.

    Args:
        target: As the user named it.
        boxes: All that serve it.
    """

    def __init__(self, target: str, boxes: Sequence[ServedBox]) -> None:
        self._target = target
        self._boxes = boxes
        self._failed = False

    def reload(self) -> None:
        """Deploys what has changed. Errors are shown, and what served keeps serving."""
        started_s = time.monotonic()
        try:
            # Its boxes run in this very environment; what is installed here is there.
            bundles = build(self._target, locked=False)
        except EdgefnError as error:
            print_failure(error)
            self._failed = True
            for box in self._boxes:
                box.say_what_serves()
            return
        if self._failed and not any(box.lacks(bundles) for box in self._boxes):
            output.note("back to what serves")
        with ThreadPoolExecutor(len(self._boxes)) as threads:
            served = threads.map(lambda box: box.bring_up_to_date(bundles, started_s), self._boxes)
            self._failed = not all(list(served))
