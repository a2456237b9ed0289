"""A fleet on this machine: a hub, another box in the cloud, two at the edge, one Ray cluster.

make fleet-demo                   the fleet stays up until Ctrl-C
make fleet-demo ARGS=--once       it ends by itself
make fleet-demo ARGS=--no-ray     without Ray, which is then not installed

The links of the edge boxes are emulated. Everything that is printed was seen in this run.
"""

import argparse
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from fleet.boxes import HUB, PLANTS, UPLINK, Fleet, running_fleet
from fleet.scenes import SCENES, WITH_RAY, Demo, deploy
from rich.console import Console
from rich.table import Table

from edgefn.cli.box_process import LOG_FILE
from edgefn.emulation.client import SESSION_PREFIX
from edgefn.errors import EdgefnError

LAST_LINES = 20  # of a log, when something went wrong
console = Console(highlight=False)


def show_status(fleet: Fleet) -> None:
    """Prints what `edgefn status` says of the fleet."""
    console.print(f"\n$ edgefn status --url {fleet.urls[HUB]}\n", style="dim", markup=False)
    subprocess.run([sys.executable, "-m", "edgefn", "status", "--url", fleet.urls[HUB]], check=True)


def show_what_was_seen(demo: Demo) -> None:
    """Prints the table at the end."""
    table = Table("what", "was seen", title="What this run showed")
    for what, seen in demo.rows:
        table.add_row(what, seen)
    console.print("", table, sep="\n")


def say_how_to_look_around(fleet: Fleet) -> None:
    """Prints what to type next."""
    hub, edge = fleet.urls[HUB], fleet.urls[PLANTS[0]]
    lines = (
        f"edgefn status --url {hub}",
        f"edgefn logs voice --box {PLANTS[0]} --url {hub}",
        f"edgefn top --url {edge}",
        f"edgefn route explain voice --url {edge} --deadline-ms 100",
        f"edgefn call voice --file functions/voice/samples/yes-1.wav --url {edge}",
        f"edgefn link cut {PLANTS[0]}:{HUB} --session {fleet.folder}",
        f"edgefn link restore {PLANTS[0]}:{HUB} --session {fleet.folder}",
    )
    console.print("\n[bold]The fleet is up.[/] Look around, with .venv/bin/edgefn:\n")
    for line in lines:
        console.print(f"  {line}", markup=False, soft_wrap=True)
    console.print("\nCtrl-C ends it.")


def play(demo: Demo) -> None:
    """Plays all scenes that there are for this fleet."""
    deploy(demo)
    for title, scene in SCENES:
        if demo.fleet.has_ray or scene not in WITH_RAY:
            console.print(f"\n[bold]{title}[/]")
            scene(demo)


def show_logs(fleet: Fleet) -> None:
    """Prints the last that each box wrote, before its log is gone."""
    for box in fleet.urls:
        lines = (fleet.folder / box / LOG_FILE).read_text(errors="replace").splitlines()
        for line in lines[-LAST_LINES:]:
            console.print(f"{box}: {line}", style="dim", markup=False, soft_wrap=True)


def run(options: argparse.Namespace) -> None:
    """Starts the fleet, plays all scenes, and ends it."""
    for module, extra in (("ai_edge_litert", "litert"), ("ray", "ray")):
        if importlib.util.find_spec(module) is None and (extra != "ray" or options.ray):
            raise EdgefnError(f"{module} is not installed: pip install 'edgefn[{extra}]'")
    with tempfile.TemporaryDirectory(prefix=SESSION_PREFIX) as folder:
        console.print(
            "starting a hub, another box in the cloud, and two at the edge, which are "
            f"{UPLINK.rtt_s * 1000:g} ms away and have no LiteRT", style="dim",
        )  # fmt: skip
        with running_fleet(Path(folder), has_ray=options.ray) as fleet:
            demo = Demo(fleet, console, Path(folder), seconds=1.5 if options.once else 4.0)
            try:
                play(demo)
            except EdgefnError:
                show_logs(fleet)
                raise
            show_status(fleet)
            show_what_was_seen(demo)
            if options.facts is not None:
                options.facts.write_text(json.dumps(demo.facts, indent=1) + "\n")
            if not options.once:
                say_how_to_look_around(fleet)
                threading.Event().wait()


def main() -> int:
    """Runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end after the scenes")
    parser.add_argument("--no-ray", dest="ray", action="store_false", help="without Ray")
    parser.add_argument("--facts", type=Path, metavar="FILE", help="write what was seen as JSON")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it, it ends in order
    try:
        run(parser.parse_args())
    except KeyboardInterrupt:
        console.print("ended", style="dim")
    except EdgefnError as error:
        console.print(f"fleet-demo: {error}", style="red", markup=False)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
