"""Starts a box, deploys the three ready-made functions, and calls each on its real samples.

make demo                   the box stays up until Ctrl-C
make demo ARGS=--once       it ends by itself
"""

import argparse
import contextlib
import json
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from edgefn import Answer, Client
from edgefn.box import BoxConfig
from edgefn.bundle.build import build
from edgefn.cli.box_process import BoxProcess
from edgefn.client.admin import AdminClient

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
NAMES = ("diagnosis", "monitoring", "voice")
console = Console()


@contextlib.contextmanager
def running_box() -> Iterator[str]:
    """Runs a box, as `edgefn up` does, for as long as this process needs it; yields its URL."""
    with tempfile.TemporaryDirectory(prefix="edgefn-demo-") as state:
        box = BoxProcess.start(BoxConfig(state_dir=Path(state), port=0), outlives=False)
        try:
            yield box.url
        finally:
            box.stop()


def deploy_all(url: str) -> None:
    """Deploys each folder, with a line of progress for each."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with AdminClient(url) as admin, Progress(*columns, console=console) as progress:
        for name in NAMES:
            task = progress.add_task(f"deploying functions/{name}", total=1)
            for bundle in build(str(FUNCTIONS / name)):
                status = admin.deploy(bundle)
                progress.update(
                    task, description=f"deployed {status.name}, revision {status.revision}",
                    advance=1,
                )  # fmt: skip


def call_sample(client: Client, name: str, sample: Path) -> Answer:
    """Sends one sample: a sound as it is, anything else as JSON."""
    if sample.suffix == ".wav":
        return client.call(name, file=sample)
    return client.call(name, json.loads(sample.read_text()))


def shorten(value: Any) -> str:
    """Returns an answer in one line: its plain parts, and dots for what is nested."""
    if not isinstance(value, dict):
        return str(value)
    plain = {key: part for key, part in value.items() if not isinstance(part, dict | list)}
    parts = [
        f"{key} {part:.3f}" if isinstance(part, float) else f"{key} {part}"
        for key, part in plain.items()
    ]
    return ", ".join(parts) + (", ..." if len(plain) < len(value) else "")


def call_all(url: str) -> None:
    """Calls every function on every sample and prints what came back."""
    with Client(url) as client:
        for name in NAMES:
            table = Table(
                "sample", "answer", "variant", "queue ms", "compute ms", "deadline", title=name
            )
            for sample in sorted((FUNCTIONS / name / "samples").iterdir()):
                answer = call_sample(client, name, sample)
                table.add_row(
                    sample.name,
                    shorten(answer.value),
                    answer.variant,
                    f"{answer.queue_ms:.2f}",
                    f"{answer.compute_ms:.2f}",
                    "[green]met" if answer.sla == "met" else f"[red]{answer.sla}",
                )
            console.print(table)


def say_how_to_call(url: str) -> None:
    """Prints what to type next."""
    sample = next((FUNCTIONS / "voice" / "samples").glob("yes*.wav"))
    shown = sample.relative_to(FUNCTIONS.parent)
    console.print("\n[bold]The box is up.[/] Call it with curl:\n")
    console.print(
        f"  curl -i {url}/v1/functions/voice -H 'content-type: audio/wav' "
        f"--data-binary @{shown}\n",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print("or from Python (.venv/bin/python):\n", markup=False)
    console.print(
        "  from pathlib import Path\n  from edgefn import Client\n"
        f'  print(Client("{url}").call("voice", file=Path("{shown}")))\n',
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    console.print(f"See {url}/openapi.json and {url}/metrics. Ctrl-C ends it.", markup=False)


def main() -> int:
    """Runs the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--once", action="store_true", help="end after the calls")
    once = parser.parse_args().once
    with running_box() as url:
        deploy_all(url)
        call_all(url)
        if not once:
            say_how_to_call(url)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
