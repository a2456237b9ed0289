"""One variant of a function on a box: its queue, its runs, and what they report."""

from typing import TYPE_CHECKING, Protocol

from edgefn.simulate.engine.call import Flight
from edgefn.simulate.engine.function import Noise, noise_of
from edgefn.simulate.scenario import VariantModel
from edgefn_runtime.queue import Batch, Waiting

if TYPE_CHECKING:
    from edgefn.simulate.engine.device import Device


class Queue(Protocol):
    """What replicas queue with: the production `CallQueue`, or what a baseline has instead."""

    def __len__(self) -> int: ...

    def push(self, item: Flight, *, deadline_s: float, now_s: float) -> Waiting[Flight]:
        """Lets a call wait."""

    def cancel(self, waiting: Waiting[Flight]) -> bool:
        """Takes a call out; returns whether it still waited."""

    def take(self, now_s: float) -> Batch[Flight]:
        """Returns the calls to run now, and those to refuse."""

    def observe(self, batch: int, *, started_s: float, ended_s: float) -> None:
        """Learns how long a batch took."""

    def urgency_s(self) -> float:
        """Returns what orders the heads of several queues; the lowest comes first."""

    def backlog_s(self) -> float:
        """Returns how long all that waits is expected to take."""


class Run:
    """One batch: what it is now, and when it has ended, its load report.

    Attributes:
        replica: That runs it.
        calls: In it; none any more when they are answered.
        started_s: When it began,
        service_s: and how long it takes.
        backlog_s: What then waits still.
        lost: Whether its box died.
    """

    __slots__ = ("backlog_s", "calls", "lost", "replica", "service_s", "started_s")

    def __init__(
        self, replica: "Replica", calls: list[Waiting[Flight]], started_s: float, service_s: float
    ) -> None:
        self.replica = replica
        self.calls = calls
        self.started_s = started_s
        self.service_s = service_s
        self.backlog_s = 0.0
        self.lost = False


class Refusal:
    """A call that was dropped from a queue, or found it full.

    Attributes:
        flight: The call.
        backlog_s: What waits there still.
    """

    __slots__ = ("backlog_s", "flight")

    def __init__(self, flight: Flight, backlog_s: float) -> None:
        self.flight = flight
        self.backlog_s = backlog_s


class Replica:
    """One variant of a function on a box.

    Attributes:
        endpoint: Its name.
        arrive: Called with the time and a flight that gets there.
        queue: Of its calls.
        lanes: Batches that it may run at the same time.
        running: That it runs.
        queued: Calls that wait in it.
        listed: Whether its device has it among those that could run something.
        up: Whether it takes calls.
        retired: Whether it gets no more calls, and only answers what it has.
        answered: Calls that it ran so far.
        cost: Of a call,
        energy_j: and what it takes.
    """

    __slots__ = (
        "answered",
        "arrive",
        "cost",
        "device",
        "each_s",
        "endpoint",
        "energy_j",
        "fixed_s",
        "function",
        "lanes",
        "listed",
        "model",
        "noise",
        "queue",
        "queued",
        "retired",
        "running",
        "up",
    )

    def __init__(
        self,
        endpoint: str,
        device: "Device",
        function: str,
        model: VariantModel,
        queue: Queue,
        lanes: int,
    ) -> None:
        self.endpoint = endpoint
        self.device = device
        self.arrive = device.arrive
        self.function = function
        self.model = model
        self.fixed_s = model.fixed_s
        self.each_s = model.each_s
        self.cost = model.cost
        self.energy_j = model.energy_j
        self.noise: Noise | None = noise_of(model)
        self.queue = queue
        self.lanes = lanes
        self.running = 0
        self.queued = 0
        self.listed = False
        self.up = False
        self.retired = False
        self.answered = 0
