"""Shows the steps of a build: bars on a terminal, else a line a step."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from edgefn.cli import output
from edgefn.compress.progress import OnShare

_QUICK_S = 0.2


class Bars:
    """A bar for the step that is under way; nothing of it stays."""

    def __init__(self, progress: Progress, subject: str) -> None:
        self._progress = progress
        self._subject = subject

    @contextmanager
    def step(self, text: str) -> Iterator[OnShare]:
        """Shows a step while it lasts."""
        task = self._progress.add_task(f"{self._subject}: {text}", total=None)

        def on_share(share: float) -> None:
            self._progress.update(task, completed=share, total=1.0)

        try:
            yield on_share
        finally:
            self._progress.remove_task(task)

    def note(self, text: str) -> None:
        """Shows a line that stays."""
        self._progress.console.print(output.plain(f"{self._subject}: {text}", "dim"))


class Lines:
    """A line for each step that took a while, once it is over."""

    def __init__(self, subject: str) -> None:
        self._subject = subject

    @contextmanager
    def step(self, text: str) -> Iterator[OnShare]:
        """Says how long a step took."""
        started_s = time.monotonic()
        yield lambda share: None
        elapsed_s = time.monotonic() - started_s
        if elapsed_s >= _QUICK_S:
            self.note(f"{text}: {elapsed_s:.1f} s")

    def note(self, text: str) -> None:
        """Shows a line."""
        output.note(output.plain(f"{self._subject}: {text}"))


@contextmanager
def steps_of(subject: str) -> Iterator[Bars | Lines]:
    """Shows steps on standard error.

    Args:
        subject: What is built; begins every line.
    """
    if not output.err.is_terminal:
        yield Lines(subject)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", style="dim"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=output.err, transient=True) as progress:
        yield Bars(progress, subject)
