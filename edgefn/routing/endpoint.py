"""One endpoint as a candidate: what it is worth, and all that its predictions are made of."""

from math import inf
from typing import Final

from edgefn.routing.calibration import Calibration, chance_of
from edgefn.routing.decisions import Purpose, Send
from edgefn.routing.health import Health
from edgefn.routing.network import Path
from edgefn.routing.price import Pool
from edgefn.routing.server import Server
from edgefn.routing.service import Service
from edgefn.routing.table import USUAL_PRIORITY

UNKNOWN_WORK_S: Final = 0.001  # of a call whose service time nobody measured yet: it must count
WAIT_NOISE: Final = 0.25  # standard deviation of a wait, relative to it


class Endpoint:
    """One endpoint that is connected.

    Attributes:
        name: Its id.
        function: Name of the function,
        variant: and of its variant that is served there.
        accuracy: Of the variant, if it was measured.
        here: Whether it is on this box.
        path: The network to it,
        server: what its calls queue for,
        service: how long they run there,
        calibration: how far that is to be trusted,
        pool: what work costs there,
        health: and whether it answers at all.
        worth: Of an answer in time.
        toll: Costs and handicaps, to be paid in any case.
        top: What its score can be at best.
        second_choice: Additional handicap of what has no deadline.
        replicas: How many answer there.
        prefix_s: Work that is done here before the call can go there.
        ahead_s: That, the start of a replica if there is none, and the way beyond its place.
        bytes_factor: What of a call's bytes goes over the network.
        limit: Calls that it may hold,
        most: and those that it gets at present.
        outstanding: Calls that it holds.
        shut: Whether no call may go there now: it is full, or is left alone.
        used_s: When the last call was sent there, or answered.
        gone: Whether it is no endpoint any more.
    """

    __slots__ = (
        "accuracy",
        "ahead_s",
        "bytes_factor",
        "calibration",
        "function",
        "gone",
        "health",
        "here",
        "limit",
        "most",
        "name",
        "outstanding",
        "path",
        "pool",
        "prefix_s",
        "replicas",
        "second_choice",
        "used_s",
        "server",
        "service",
        "shut",
        "toll",
        "top",
        "variant",
        "worth",
    )

    accuracy: float | None
    ahead_s: float
    bytes_factor: float
    calibration: Calibration
    here: bool
    limit: int
    most: int
    path: Path
    pool: Pool
    prefix_s: float
    second_choice: float
    service: Service
    toll: float
    top: float
    worth: float

    def __init__(
        self, name: str, function: str, variant: str, server: Server, now_s: float
    ) -> None:
        self.name = name
        self.replicas = 1
        self.function = function
        self.variant = variant
        self.server = server
        self.health = Health()
        self.outstanding = 0
        self.shut = False
        self.used_s = now_s
        self.gone = False

    def queued_s(self, now_s: float) -> float:
        """Returns how long it will take there to do all that is to be done.

        Elsewhere it is the network that is blamed for what is late.
        """
        queued_s = self.server.free_s - now_s
        if queued_s >= 0.0:
            return queued_s
        return self.server.late_s(now_s) if self.here else 0.0

    def wait_s(self, now_s: float) -> float:
        """Returns how long a call sent there now would wait."""
        return self.queued_s(now_s) * self.calibration.wait_share

    def prepare(
        self, now_s: float, deadline_s: float, size_bytes: int, purpose: Purpose = "first"
    ) -> Send:
        """Returns what sending a call there now would be; nothing is counted."""
        path, server, service = self.path, self.server, self.service
        send = Send()
        send.endpoint = self.name
        send.variant = self.variant
        send.place = path.place.name
        send.purpose = purpose
        send.sent_s = now_s
        send.deadline_s = deadline_s
        send.size_bytes = size = int(size_bytes * self.bytes_factor)
        send.network_s = network_s = path.base_s + path.each_s * size
        send.cold_s = cold_s = self.ahead_s
        calibration = self.calibration
        send.queued_s = queued_s = self.queued_s(now_s)
        send.wait_s = wait_s = queued_s * calibration.wait_share
        batch, slowness = server.batch, server.slowness
        send.service_s = run_s = (service.fixed_s + service.each_s * batch) * slowness
        noise_s, unsure_s = service.cv * run_s, WAIT_NOISE * wait_s
        sd_s = (path.variance + unsure_s * unsure_s + noise_s * noise_s) ** 0.5
        mean_s = network_s + cold_s + wait_s + run_s
        send.sd_s = sd_s
        send.bound_s = mean_s + calibration.z * sd_s
        send.chance = (
            1.0
            if deadline_s == inf
            else chance_of(deadline_s - now_s - mean_s, sd_s * calibration.scale)
        )
        work_s = (service.fixed_s / batch + service.each_s) * slowness
        send.work_s = work_s if work_s > 0.0 else UNKNOWN_WORK_S
        send.hedge_at_s = inf
        send.degraded = False
        send.priority = USUAL_PRIORITY
        send.wake = ""
        send.ledger = None
        return send

    def commit(self, now_s: float, send: Send) -> None:
        """Counts a call as sent there."""
        send.ledger = self
        self.used_s = now_s
        self.outstanding += 1
        if self.outstanding >= self.most:
            self.shut = True
        self.server.sent(now_s, send)
        self.pool.sent(send.work_s)
        if not self.here:
            self.path.sent(send)

    def resolve(self, send: Send) -> None:
        """Counts a call as not there any more."""
        send.ledger = None
        self.outstanding -= 1
        if self.shut:
            self.settle()
        self.server.resolved(send.work_s)

    def settle(self) -> None:
        """Brings `shut` up to date; one that was left alone gets one call to begin with."""
        self.most = 1 if self.health.on_trial else self.limit
        self.shut = self.outstanding >= self.most or self.health.until_s > 0.0
