"""Brings calls to replicas: does what the router decides, and tells it what came of it."""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from edgefn.errors import EdgefnError, NotDeployed
from edgefn.gateway.call import PendingCall
from edgefn.gateway.control import (
    FunctionReport,
    FunctionRoute,
    Routes,
    Suspect,
    VariantRoute,
    Wake,
)
from edgefn.gateway.errors import Unavailable
from edgefn.gateway.function import Function
from edgefn.gateway.replica_link import ReplicaLink
from edgefn.routing.decisions import Decision, Refuse, Send, Wait
from edgefn.routing.events import (
    Abandoned,
    Answered,
    Connected,
    Disconnected,
    TableChanged,
)
from edgefn.routing.router import Router
from edgefn.routing.table import DeployedEndpoint, DeployedVariant, Deployment
from edgefn_runtime.wire import Reply

_LOG = logging.getLogger(__name__)
_WAKE_AGAIN_S: Final = 0.2
_SILENT_CALLS: Final = 3  # overdue in a row, without any answer: the box should look


class Dispatcher:
    """The functions of a gateway, and the links to their replicas.

    Args:
        tell: Sends a message to the box.

    Attributes:
        functions: By name, as of the last routes.
        routed: Whether there were routes yet.
        version: Of the last routes.
    """

    def __init__(self, tell: Callable[[Wake | Suspect], None]) -> None:
        self._tell = tell
        self._router = Router()
        self._links: dict[str, ReplicaLink] = {}
        self._retiring: set[ReplicaLink] = set()
        self._up: set[str] = set()
        self._silent: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.functions: dict[str, Function] = {}
        self.routed = False
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
            replica.variant == route.default and replica.replica in self._up
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
        self._router.observe(
            time.monotonic(), TableChanged(tuple(_deployment(one) for one in routes.functions))
        )
        self._retire_unlisted(routes)
        for route in routes.functions:
            self._connect_new(route)
        for function in (*previous.values(), *self.functions.values()):
            self._reconsider(function)

    def submit(self, call: PendingCall) -> None:
        """Sends a call, or lets it wait for a replica.

        Raises:
            EdgefnError: It was refused.
        """
        now_s = time.monotonic()
        self._carry_out(now_s, call, self._router.decide(now_s, call, random.random))

    def give_up(self, call: PendingCall) -> None:
        """Answers a call whose time is up."""
        if not call.answered.done():
            now_s = time.monotonic()
            self._let_go(call, now_s, overdue_s=now_s - call.sent_s)
            call.fail(call.late())

    def abandon(self, call: PendingCall) -> None:
        """Forgets a call whose caller has left."""
        self._let_go(call, time.monotonic(), overdue_s=0.0)

    def take_reports(self) -> tuple[FunctionReport, ...]:
        """Returns what each function counted since the last time."""
        held: dict[str, dict[str, int]] = {name: {} for name in self.functions}
        for link in (*self._links.values(), *self._retiring):
            if link.function in held:
                held[link.function][link.route.replica] = len(link.calls)
        reports = (one.take_report(held[name]) for name, one in self.functions.items())
        return tuple(report for report in reports if report is not None)

    async def aclose(self) -> None:
        """Ends all links. The calls that they hold fail."""
        for link in (*self._links.values(), *self._retiring):
            link.abort()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # What links tell (`replica_link.LinkOwner`).

    def link_up(self, link: ReplicaLink) -> None:
        """Lets the router send to a replica, first of all the calls that wait for one."""
        self._up.add(link.route.replica)
        self._router.observe(time.monotonic(), Connected(link.route.replica))
        function = self.functions.get(link.function)
        if function is not None:
            self._reconsider(function)

    def link_down(self, link: ReplicaLink, why: str, unsent: list[PendingCall]) -> None:
        """Sends nothing more to a replica; what never left goes to another one."""
        if self._links.get(link.route.replica) is link:
            self._up.discard(link.route.replica)
            self._router.observe(time.monotonic(), Disconnected(link.route.replica))
        if not link.retired:
            self.suspect(link, why)
        for call in unsent:
            if not call.answered.done():
                self._submit_again(call)

    def replied(self, link: ReplicaLink, call: PendingCall | None, reply: Reply) -> None:
        """Hands a reply to the one who waits for it."""
        replica = link.route.replica
        if self._silent:
            self._silent.pop(replica, None)
        if call is not None and call.send is not None:
            answered = Answered(
                call.send,
                reply.queue_us * 1e-6,
                reply.service_us * 1e-6,
                reply.backlog_us * 1e-6,
                reply.batch,
            )
            self._router.observe(time.monotonic(), answered)
        if call is not None and not call.answered.done():
            call.answered.set_result(reply)

    def suspect(self, link: ReplicaLink, why: str) -> None:
        """Asks the box to look at a replica."""
        _LOG.warning("replica %s of %s: %s", link.route.replica, link.function, why)
        self._tell(Suspect(link.route.replica, why))

    def _let_go(self, call: PendingCall, now_s: float, overdue_s: float) -> None:
        function = self.functions.get(call.function)
        if function is not None and call in function.waiting:
            function.waited(call, now_s)
            call.miss = "cold"
            return
        link = self._link_of(call)
        if link is None:
            return
        call.miss = "compute" if link.oldest() is call else "queue"
        link.forget(call)
        replica = link.route.replica
        if call.send is not None:
            self._router.observe(now_s, Abandoned(call.send, overdue_s > 0.0))
        if overdue_s:
            silent = self._silent[replica] = self._silent.get(replica, 0) + 1
            if silent == _SILENT_CALLS:
                self.suspect(link, f"the last {silent} calls were not answered in time")

    def _link_of(self, call: PendingCall) -> ReplicaLink | None:
        if call.replica is None:
            return None
        link = self._links.get(call.replica.replica)
        if link is not None and link.calls.get(call.id) is call:
            return link
        return next((one for one in self._retiring if one.calls.get(call.id) is call), None)

    def _carry_out(self, now_s: float, call: PendingCall, decision: Decision) -> None:
        if isinstance(decision, Send):
            call.send = decision
            self._links[decision.endpoint].send(call, now_s)
        elif isinstance(decision, Wait):
            function = self.functions[call.function]
            function.wait(call, decision.variant)
            self._wake(function, decision.variant, now_s)
        else:
            if decision.wake:
                self._wake(self.functions[call.function], decision.wake, now_s)
            raise decision.error

    def _submit_again(self, call: PendingCall) -> None:
        try:
            self.submit(call)
        except EdgefnError as error:
            call.fail(error)

    def _reconsider(self, function: Function) -> None:
        """Decides again on the calls that wait: there may be a replica now, or never."""
        now_s = time.monotonic()
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

    def _connect_new(self, route: FunctionRoute) -> None:
        for replica in route.replicas:
            if replica.replica not in self._links:
                link = ReplicaLink(replica, route.name, route.revision, self)
                self._links[replica.replica] = link
                task = asyncio.get_running_loop().create_task(link.run())
                self._tasks.add(task)
                task.add_done_callback(partial(self._ended, link))

    def _retire_unlisted(self, routes: Routes) -> None:
        listed = {replica.replica for one in routes.functions for replica in one.replicas}
        for replica in self._links.keys() - listed:
            link = self._links.pop(replica)
            self._up.discard(replica)
            self._silent.pop(replica, None)
            self._retiring.add(link)
            link.retire()

    def _ended(self, link: ReplicaLink, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._retiring.discard(link)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("the link to %s failed", link.route.replica, exc_info=task.exception())


def _still_needed(decision: Decision) -> str:
    """Returns the variant of which a replica must start before a call can be sent, or nothing."""
    if isinstance(decision, Wait):
        return decision.variant
    return decision.wake if isinstance(decision, Refuse) else ""


def _deployment(route: FunctionRoute) -> Deployment:
    return Deployment(
        name=route.name,
        revision=route.revision,
        variants=tuple(_deployed(route, one) for one in route.variants),
        default=route.default,
    )


def _deployed(route: FunctionRoute, one: VariantRoute) -> DeployedVariant:
    name = one.variant.name
    return DeployedVariant(
        name=name,
        endpoints=tuple(
            DeployedEndpoint(name=r.replica) for r in route.replicas if r.variant == name
        ),
        accuracy=one.variant.accuracy,
        unavailable=one.reason if one.state == "unavailable" else "",
        quarantined=one.reason if one.state == "quarantined" else "",
        load_s=one.load_s,
    )
