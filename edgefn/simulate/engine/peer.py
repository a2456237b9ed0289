"""A gateway's link to the gateway of another site: calls, answers, probes and load reports."""

from typing import TYPE_CHECKING, Final

from edgefn.routing.events import (
    Connected,
    Disconnected,
    LoadReported,
    ProbeAnswered,
    ProbeSent,
)
from edgefn.simulate.engine.agenda import Agenda
from edgefn.simulate.engine.call import Flight
from edgefn.simulate.engine.ports import Path
from edgefn.simulate.engine.target import Target

if TYPE_CHECKING:
    from edgefn.simulate.engine.site import Site

REPLY_BYTES: Final = 512
PROBE_S: Final = 0.25  # without an answer for so long, a path is probed
PROBE_BYTES: Final = (64, 32 * 1024)  # in turn, so that time and rate can be told apart
REPORT_S: Final = 1.0


class Reply:
    """What comes back over the link: an answer, a refusal (no batch), or the news of a loss.

    Attributes:
        flight: With which the call was sent.
        queue_s: Time that it was there and did not run.
        service_s: Time that it ran.
        backlog_s: As the replica reported it.
        batch: Calls that ran together.
        lost: Whether it died with a box.
    """

    __slots__ = ("backlog_s", "batch", "flight", "lost", "queue_s", "service_s")

    def __init__(
        self,
        flight: Flight,
        queue_s: float,
        service_s: float = 0.0,
        backlog_s: float = 0.0,
        batch: int = 0,
        *,
        lost: bool = False,
    ) -> None:
        self.flight = flight
        self.queue_s = queue_s
        self.service_s = service_s
        self.backlog_s = backlog_s
        self.batch = batch
        self.lost = lost


class Peer:
    """One direction of a link: who calls, and who answers.

    Attributes:
        name: Of the place, for the policy of the one who calls.
        there: The path to the one who answers,
        back: and back.
        other: Who answers.
        targets: What can be called there, by the name of its endpoint.
        endpoints: These names, by the keys of the targets.
    """

    __slots__ = (
        "_agenda",
        "_heard_s",
        "_idle_changes",
        "_probes",
        "_reported",
        "_site",
        "_until_s",
        "_waits_for_probe",
        "back",
        "endpoints",
        "name",
        "other",
        "targets",
        "there",
    )

    def __init__(
        self, site: "Site", other: "Site", there: Path, back: Path, agenda: Agenda, until_s: float
    ) -> None:
        self.name = other.name
        self.other = other
        self.there = there
        self.back = back
        self.targets: dict[str, Target] = {}
        self.endpoints: dict[tuple[str, str], str] = {}
        self._site = site
        self._agenda = agenda
        self._until_s = until_s
        self._heard_s = 0.0
        self._idle_changes = 0  # of the other side's replicas, if it idled
        self._probes = 0
        self._waits_for_probe = False
        self._reported: dict[str, tuple[float, int]] = {}

    def offer(self, endpoint: str, target: Target) -> None:
        """Adds what can be called there."""
        self.targets[endpoint] = target
        self.endpoints[target.key] = endpoint

    def replicas_at(self, endpoint: str) -> int:
        """Returns how many replicas an endpoint has, as far as the other side told.

        Boxes that start none have each of them from the beginning.
        """
        if not self.other.serving.starts:
            return len(self.other.devices)
        return self._reported.get(endpoint, (0.0, 0))[1]

    def start(self) -> None:
        """Begins to probe and to report."""
        self._agenda.at(PROBE_S, self._probe, None)
        self._agenda.at(REPORT_S, self._report, None)

    def forward(self, now_s: float, flight: Flight) -> None:
        """Sends a call, after what has to be worked on it here."""
        if flight.target.model.prefix_s:
            self._agenda.at(now_s + flight.target.model.prefix_s, self._leave, flight)
        else:
            self._leave(now_s, flight)

    def reply(self, now_s: float, reply: Reply) -> None:
        """Sends back what came of a call."""
        visit = reply.flight.visit
        trip_s = self.back.trip_s(now_s, REPLY_BYTES, visit.network_luck)
        self._agenda.at(now_s + trip_s, self._heard, reply)

    def cancel(self, now_s: float, flight: Flight) -> None:
        """Tells the other side that no one waits any more."""
        trip_s = self.there.trip_s(now_s, PROBE_BYTES[0], flight.visit.network_luck)
        self._agenda.at(now_s + trip_s, self.other.cancelled, flight)

    def changed(self, now_s: float, endpoint: str) -> None:
        """The other side tells that it serves a variant now, or no longer."""
        trip_s = self.back.trip_s(now_s, REPLY_BYTES, 0.0)
        self._agenda.at(now_s + trip_s, self._told, endpoint)

    def _leave(self, now_s: float, flight: Flight) -> None:
        visit, send = flight.visit, flight.send
        if visit.deadline_s is not None:
            # The other side counts from when the call gets there: the time of the way is taken off
            # before, as far as it is known.
            network_s = max(send.network_s, self.there.base_rtt_s)
            flight.budget_s = visit.deadline_s - now_s - network_s
        size_bytes = int(visit.size_bytes * flight.target.model.bytes_factor)
        trip_s = self.there.trip_s(now_s, size_bytes, visit.network_luck)
        self._agenda.at(now_s + trip_s, self.other.visited, flight)

    def _heard(self, now_s: float, reply: Reply) -> None:
        self._heard_s = now_s
        self._site.heard(now_s, reply)

    def _told(self, now_s: float, endpoint: str) -> None:
        serves = self.other.serving.serves(self.targets[endpoint].key)
        self._site.policy.observe(now_s, Connected(endpoint) if serves else Disconnected(endpoint))

    def _probe(self, now_s: float, _: object) -> None:
        if now_s >= self._until_s:
            return
        self._agenda.at(now_s + PROBE_S, self._probe, None)
        if self._waits_for_probe or now_s - self._heard_s < PROBE_S:
            return
        self._waits_for_probe = True
        self._site.policy.observe(now_s, ProbeSent(self.name))
        self._probes += 1
        size_bytes = PROBE_BYTES[self._probes % 2]
        trip_s = self.there.trip_s(now_s, size_bytes, self._site.luck())
        self._agenda.at(now_s + trip_s, self._probed, (now_s, size_bytes))

    def _probed(self, now_s: float, probe: tuple[float, int]) -> None:
        trip_s = self.back.trip_s(now_s, PROBE_BYTES[0], self._site.luck())
        self._agenda.at(now_s + trip_s, self._probe_heard, probe)

    def _probe_heard(self, now_s: float, probe: tuple[float, int]) -> None:
        sent_s, size_bytes = probe
        self._waits_for_probe = False
        self._site.policy.observe(now_s, ProbeAnswered(self.name, now_s - sent_s, size_bytes))

    def _report(self, now_s: float, _: object) -> None:
        if now_s >= self._until_s:
            return
        self._agenda.at(now_s + REPORT_S, self._report, None)
        if self._nothing_to_report():
            return
        reports: list[LoadReported] = []
        for endpoint, target in self.targets.items():
            load = self.other.serving.load(target.key)
            if load != self._reported.get(endpoint):
                self._reported[endpoint] = load
                reports.append(LoadReported(endpoint, *load))
        if reports:
            trip_s = self.back.trip_s(now_s, len(reports) * PROBE_BYTES[0], self._site.luck())
            self._agenda.at(now_s + trip_s, self._reports_heard, reports)

    def _nothing_to_report(self) -> bool:
        """Whether the other side idles with the replicas that it had when it last reported so."""
        before = self._idle_changes
        busy = any(device.backlog_s() for device in self.other.devices)
        self._idle_changes = 0 if busy else self.other.serving.changes
        return not busy and self._idle_changes == before

    def _reports_heard(self, now_s: float, reports: list[LoadReported]) -> None:
        for report in reports:
            self._site.policy.observe(now_s, report)
