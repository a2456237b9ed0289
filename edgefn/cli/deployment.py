"""Builds and deploys one target, and shows on a terminal how far it is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from edgefn.bundle.build import Bundle, build
from edgefn.bundle.file import read_bundle
from edgefn.bundle.reading import Reading
from edgefn.bundle.target import is_bundle
from edgefn.cli.output import err, note, plain, size
from edgefn.client.admin import AdminClient
from edgefn.client.status import FunctionStatus


class Deployed(msgspec.Struct, frozen=True):
    """What one deployment came to."""

    function: FunctionStatus
    seconds: float


class Steps:
    """The steps of a deployment, one line each while they are under way."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @contextmanager
    def step(self, text: str) -> Iterator[TaskID]:
        """Shows a step until it is over."""
        task = self._progress.add_task(text, total=None, amount="")
        try:
            yield task
        finally:
            self._progress.remove_task(task)

    def build(self, target: str, reading: Reading | None = None) -> list[Bundle]:
        """Builds a target, or reads it if it is a bundle; raises as these do."""
        with self.step(f"build {target}"):
            if is_bundle(target):
                bundles = [read_bundle(Path(target))]
            else:
                bundles = build(target, reading=reading)
        for bundle in bundles:
            for text in bundle.notes:
                note(plain(text))
        return bundles

    def deploy(self, admin: AdminClient, bundle: Bundle) -> Deployed:
        """Deploys a bundle; raises as `AdminClient.deploy`."""
        name = bundle.manifest.spec.name
        started_s = time.monotonic()
        with self.step(f"upload {name}") as task:

            def on_progress(sent_bytes: int, total_bytes: int) -> None:
                done = sent_bytes == total_bytes
                text = f"start {name}" if done else f"upload {name}"
                total = None if done else total_bytes
                amount = "" if done else f"{size(sent_bytes)} of {size(total_bytes)}"
                self._progress.update(
                    task, description=text, completed=sent_bytes, total=total, amount=amount
                )

            status = admin.deploy(bundle, on_progress)
        return Deployed(status, time.monotonic() - started_s)


@contextmanager
def steps() -> Iterator[Steps]:
    """Shows steps on standard error, if that is a terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", style="dim"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]}", style="dim"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield Steps(progress)
