"""Brings calls to where they are answered: does what the router decides, and tells it what came."""

import logging
import random
import time
from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, Final

from edgefn.errors import EdgefnError, NotDeployed
from edgefn.gateway.alarms import Alarms
from edgefn.gateway.call import PendingCall
from edgefn.gateway.control import FunctionReport, Routes, Suspect, Wake
from edgefn.gateway.decision_log import DecisionLog
from edgefn.gateway.endpoints import Endpoints
from edgefn.gateway.errors import Unavailable
from edgefn.gateway.flight import Carrier, Flight
from edgefn.gateway.flights import Flights
from edgefn.gateway.function import Function
from edgefn.gateway.peer_wire import MAX_FORWARDS
from edgefn.gateway.replica_link import ReplicaLink
from edgefn.gateway.replica_links import ReplicaLinks
from edgefn.gateway.table import PeerEndpoint
from edgefn.routing.decisions import Decision, Refuse, Send, Wait
from edgefn.routing.events import Abandoned, Event
from edgefn.routing.explanation import Explanation
from edgefn.routing.router import Router
from edgefn.routing.table import Place

if TYPE_CHECKING:
    from edgefn.gateway.spans import Tracing

_LOG = logging.getLogger(__name__)
_WAKE_AGAIN_S: Final = 0.2
_SILENT_CALLS: Final = 3  # overdue in a row, without any answer: the box should look


class Dispatcher:
    """The functions of a gateway, and all ways to where their calls are answered.

    Args:
        tell: Sends a message to the box.
        here: Where this box is.

    Attributes:
        alarms: Of calls: whoever submits one watches it, and unwatches it when it is answered.
        flights: Told by carriers what becomes of what they carry (`flight.Control`).
        functions: By name, as of the last routes.
        carriers: By endpoint that takes calls.
        decisions: What became of the last calls.
        places: By name.
        silent: Of carriers over which nothing was answered since then: calls that were overdue.
        routed: Whether there were routes yet.
        tracing: Begins the spans of calls; None: calls are not traced.
        version: Of the last routes.
    """

    def __init__(self, tell: Callable[[Wake | Suspect], None], here: Place | None = None) -> None:
        self._tell = tell
        self._router = Router(max_forwards=MAX_FORWARDS)
        self._endpoints = Endpoints(self._router, here or Place())
        self.silent: dict[Carrier, int] = {}
        self.alarms = Alarms(self._ring)
        self.flights = Flights(self._router, self.alarms, self)
        self._replicas = ReplicaLinks(self, self.flights)
        self.functions: dict[str, Function] = {}
        self.carriers = self._endpoints.carriers
        self.decisions = DecisionLog()
        self.places = self._endpoints.places
        self.routed = False
        self.tracing: Tracing | None = None
        self.version = 0

    def function(self, name: str) -> Function:
        """Returns a deployed function.

        Raises:
            NotDeployed: There is none of that name.
            Unavailable: The gateway has just started and was not told yet what there is.
        """
        function = self.functions.get(name)
        if function is not None:
            return function
        if not self.routed:
            raise Unavailable("the gateway was not told yet what is deployed; try again")
        raise NotDeployed(f"no function {name!r} is deployed on this box; see GET /v1/functions")

    def has_replica(self, name: str) -> bool:
        """Whether a function has a replica of its default variant that takes calls."""
        route = self.functions[name].route
        return any(
            replica.variant == route.default and replica.replica in self.carriers
            for replica in route.replicas
        )

    def update(self, routes: Routes) -> None:
        """Takes the whole routing table: connects what is new, retires what is gone."""
        previous, self.functions = self.functions, {}
        for route in routes.functions:
            function = previous.pop(route.name, None) or Function(route)
            function.route = route
            self.functions[route.name] = function
        self.routed = True
        self.version = routes.version
        self._endpoints.update(routes)
        for replica in self._replicas.retire_unlisted(routes):
            self.carriers.pop(replica, None)
        for route in routes.functions:
            self._replicas.connect_new(route)
        self._reconsider((*previous.values(), *self.functions.values()))

    def set_place(self, place: Place, endpoints: Iterable[PeerEndpoint]) -> None:
        """Adds a peer, or replaces what it has (`Endpoints.set_place`)."""
        self._endpoints.set_place(place, endpoints)

    def remove_place(self, name: str) -> None:
        """Sends nothing more to a peer. Its carrier says next which flights are lost."""
        self._endpoints.remove_place(name)

    def connected(self, endpoint: str, carrier: Carrier) -> None:
        """Lets the router send to an endpoint, first of all the calls that wait for one."""
        self._endpoints.connect(endpoint, carrier)
        self._reconsider(one for one in self.functions.values() if one.waiting)

    def observe(self, event: Event) -> None:
        """Tells the router what was learned of a peer beside answers."""
        self._router.observe(time.monotonic(), event)

    def submit(self, call: PendingCall) -> None:
        """Sends a call, or lets it wait for a replica; then `alarms` are to watch it.

        Raises:
            EdgefnError: It was refused.
        """
        now_s = time.monotonic()
        call.size_bytes = len(call.body)
        if call.span is not None:
            call.span.weighed(now_s, self._router.explain(now_s, call))
            now_s = time.monotonic()  # what that took is not the replica's
        decision = self._router.decide(now_s, call, random.random)
        function = self.functions.get(call.function)
        if isinstance(decision, Send):
            self.flights.start(now_s, call, decision)
            if function is not None:
                function.count_sent(decision)
                own_s = decision.service_s + decision.network_s
                slack_s = decision.deadline_s - now_s - own_s
                function.want(decision.variant, now_s, decision.work_s, slack_s)
                if decision.wake:
                    self._wake(function, decision.wake, now_s)
            return
        self._want_more(now_s, call, decision)
        self._carry_out(now_s, call, decision)

    def check(self, call: PendingCall) -> None:
        """Refuses a call whose body is still to be read, if it would be refused now.

        A call that is not refused counts when its body is here, and is submitted.

        Raises:
            EdgefnError: It was refused.
        """
        now_s = time.monotonic()
        if self._router.refusal(now_s, call) is None:
            return
        if call.span is not None:
            call.span.weighed(now_s, self._router.explain(now_s, call))
        decision = self._router.decide(now_s, call, random.random)  # the one that counts
        if isinstance(decision, Refuse):
            self._want_more(now_s, call, decision)
            self._carry_out(now_s, call, decision)
        elif isinstance(decision, Send):
            self._router.observe(now_s, Abandoned(decision, False))

    def explain(self, call: PendingCall) -> Explanation:
        """Returns what would be decided about a call now, and why."""
        return self._router.explain(time.monotonic(), call)

    def submit_again(self, call: PendingCall) -> None:
        """Decides anew on a call that never left, and answers it if it is refused."""
        now_s = time.monotonic()
        try:
            self._carry_out(now_s, call, self._router.decide(now_s, call, random.random))
        except EdgefnError as error:
            call.fail(error)

    def await_replacement(self, call: PendingCall, error: EdgefnError) -> None:
        """Lets a lost call that may run twice wait for a replica that is being started, if any."""
        now_s = time.monotonic()
        decision = self._router.decide(now_s, call, random.random)
        if isinstance(decision, Wait) and not call.lost:
            call.lost = True
            try:
                self._carry_out(now_s, call, decision)
            except EdgefnError as refused:
                call.fail(refused)
            else:
                self.alarms.watch(call)
            return
        if isinstance(decision, Send):  # the router has just said that no retry is worth it
            self._router.observe(now_s, Abandoned(decision, False))
        call.fail(error)

    def round_trip_s(self, place: str) -> float:
        """Returns what a small call spends in the network to a place and back; 0: unknown."""
        return self._router.network_s(place) or 0.0

    def abandon(self, call: PendingCall) -> None:
        """Forgets a call whose caller has left: if its deadline has passed, because it is late."""
        now_s = time.monotonic()
        overdue = call.deadline_s is not None and now_s >= call.deadline_s
        self._let_go(now_s, call, overdue=overdue)

    def take_reports(self) -> tuple[FunctionReport, ...]:
        """Returns what each function counted since the last time."""
        held = self._replicas.held()
        reports = (one.take_report(held.get(name, {})) for name, one in self.functions.items())
        return tuple(report for report in reports if report is not None)

    async def aclose(self) -> None:
        """Ends all links. The calls that they hold fail."""
        self.alarms.close()
        await self._replicas.aclose()

    # What links tell (`replica_link.LinkOwner`).

    def link_up(self, link: ReplicaLink) -> None:
        """Lets the router send to a replica."""
        replica = link.route.replica
        if self._replicas.links.get(replica) is link:
            self.connected(replica, link)

    def link_down(self, link: ReplicaLink, why: str) -> None:
        """Sends nothing more to a replica."""
        if self.carriers.get(link.route.replica) is link:
            self._endpoints.disconnect((link.route.replica,))
        self.silent.pop(link, None)
        if not link.retired:
            self.suspect(link, why)

    def suspect(self, link: ReplicaLink, why: str) -> None:
        """Asks the box to look at a replica."""
        _LOG.warning("replica %s of %s: %s", link.route.replica, link.function, why)
        self._tell(Suspect(link.route.replica, why))

    # What flights tell (`flights.FlightOwner`).

    def sent_again(self, call: PendingCall, send: Send) -> None:
        """Counts a sending."""
        function = self.functions.get(call.function)
        if function is not None:
            function.count_sent(send)

    def overdue(self, flight: Flight) -> None:
        """Notes why a call is late, and has the box look at a replica that says nothing."""
        link = flight.carrier
        if not isinstance(link, ReplicaLink):
            flight.call.miss = "network"
            return
        flight.call.miss = "compute" if link.oldest() is flight else "queue"
        silent = self.silent[link] = self.silent.get(link, 0) + 1
        if silent == _SILENT_CALLS:
            self.suspect(link, f"the last {silent} calls were not answered in time")

    def _ring(self, call: PendingCall) -> None:
        now_s = time.monotonic()
        if call.answered.done():
            return
        if now_s < call.give_up_s or call.fallback is not None:
            self.flights.ring(now_s, call)
            if call.tick == 0 and not call.answered.done():
                self.alarms.watch(call)
            return
        self._let_go(now_s, call, overdue=True)
        call.fail(call.late())

    def _let_go(self, now_s: float, call: PendingCall, *, overdue: bool) -> None:
        function = self.functions.get(call.function)
        if function is not None and call in function.waiting:
            function.waited(call, now_s)
            call.miss = "cold"
        else:
            self.flights.end(now_s, call, overdue=overdue)

    def _carry_out(self, now_s: float, call: PendingCall, decision: Decision) -> None:
        if isinstance(decision, Send):
            self.flights.start(now_s, call, decision)
            self.sent_again(call, decision)
        elif isinstance(decision, Wait):
            function = self.functions[call.function]
            function.wait(call, decision.variant)
            call.alarm_s = call.give_up_s
            if call.span is not None:
                call.span.waits(now_s, decision.variant)
            self._wake(function, decision.variant, now_s)
        else:
            if decision.wake:
                self._wake(self.functions[call.function], decision.wake, now_s)
            raise decision.error

    def _want_more(self, now_s: float, call: PendingCall, decision: Wait | Refuse) -> None:
        """Records demand that no endpoint which is up can meet."""
        function = self.functions.get(call.function)
        if function is not None and decision.variant:
            deadline_s = inf if call.deadline_s is None else call.deadline_s
            slack_s = deadline_s - now_s - decision.work_s
            function.want(decision.variant, now_s, decision.work_s, slack_s)

    def _reconsider(self, functions: Iterable[Function]) -> None:
        """Decides again on the calls that wait: there may be a replica now, or never."""
        now_s = time.monotonic()
        for function in functions:
            for call in tuple(function.waiting):
                decision = self._router.decide(now_s, call, random.random)
                if variant := _still_needed(decision):  # it has begun to wait, and goes on
                    function.wait(call, variant)
                    self._wake(function, variant, now_s)
                    continue
                function.waited(call, now_s)
                try:
                    self._carry_out(now_s, call, decision)
                except EdgefnError as error:
                    call.fail(error)

    def _wake(self, function: Function, variant: str, now_s: float) -> None:
        if now_s - function.woken_s.get(variant, -_WAKE_AGAIN_S) >= _WAKE_AGAIN_S:
            function.woken_s[variant] = now_s
            self._tell(Wake(function.route.name, variant))


def _still_needed(decision: Decision) -> str:
    """Returns the variant of which a replica must start before a call can be sent, or nothing."""
    if isinstance(decision, Wait):
        return decision.variant
    return decision.wake if isinstance(decision, Refuse) else ""
