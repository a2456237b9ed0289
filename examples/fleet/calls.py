"""Calls of the fleet demo, and what became of them."""

import asyncio
import itertools
import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edgefn import Answer
from edgefn.client.asynchronous import AsyncClient
from edgefn.errors import EdgefnError

FUNCTIONS: Final = Path(__file__).resolve().parents[2] / "functions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is called: a function, its inputs by turns, and what the caller asks for."""

    function: str
    inputs: tuple[dict[str, Any], ...]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Seen:
    """What callers saw: answers, and the errors of those that got none."""

    answers: list[Answer] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """All of them."""
        return len(self.answers) + len(self.errors)

    def boxes(self) -> Counter[str]:
        """Returns how many answers each box is named in."""
        return Counter(answer.box for answer in self.answers)

    def by(self) -> Counter[tuple[str, str]]:
        """Returns how many answers each variant gave at each box."""
        return Counter((answer.box, answer.variant) for answer in self.answers)

    def median_ms(self) -> float:
        """Returns the median of what the callers waited."""
        return statistics.median(answer.elapsed_ms for answer in self.answers)


def samples_of(name: str, **options: Any) -> Wanted:
    """Returns calls of a ready-made function with its own samples."""
    folder = FUNCTIONS / name / "samples"
    inputs: list[dict[str, Any]] = [
        {"file": path} if path.suffix == ".wav" else json.loads(path.read_text())
        for path in sorted(folder.iterdir())
    ]
    return Wanted(function=name, inputs=tuple(inputs), options=options)


def call_at(url: str, wanted: Wanted, *, rate: float, seconds: float) -> Seen:
    """Makes calls at a steady rate, whatever becomes of the ones before, and waits for all."""
    ends_s = time.monotonic() + seconds
    return asyncio.run(_open_loop(url, wanted, rate, lambda: time.monotonic() >= ends_s))


@contextmanager
def calling(url: str, wanted: Wanted, *, rate: float) -> Iterator[Future[Seen]]:
    """Makes calls at a steady rate in the background; after the block there is what was seen."""
    stopped = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(lambda: asyncio.run(_open_loop(url, wanted, rate, stopped.is_set)))
        try:
            yield running
        finally:
            stopped.set()


async def _open_loop(url: str, wanted: Wanted, rate: float, is_over: Callable[[], bool]) -> Seen:
    seen = Seen()
    inputs = itertools.cycle(wanted.inputs)
    started_s = time.monotonic()
    async with AsyncClient(url) as client, asyncio.TaskGroup() as calls:
        for number in itertools.count():
            await asyncio.sleep(max(started_s + number / rate - time.monotonic(), 0.0))
            if is_over():
                return seen
            calls.create_task(_call(client, wanted, next(inputs), seen))


async def _call(client: AsyncClient, wanted: Wanted, inputs: dict[str, Any], seen: Seen) -> None:
    try:
        seen.answers.append(await client.call(wanted.function, **inputs, **wanted.options))
    except EdgefnError as error:
        seen.errors.append(f"{type(error).__name__}: {error}")
