"""What the engine needs of others: calls, networks, faults and policies, as protocols.

Sites and boxes are named by their indices in `edgefn.simulate.fleet.sites_of`. The engine asks with
a virtual time that never goes back, so a timeline may be drawn as it is needed and be forgotten.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from edgefn.simulate.arrival import Arrival
from edgefn.simulate.policy import Policy

Arrivals = Iterator[Arrival]  # in order of `at_s`; it ends with the scenario's duration


class Path(Protocol):
    """The network from one site to another, one way; the way back is a path of its own.

    Both may share their states: an outage usually has both directions.
    """

    @property
    def base_rtt_s(self) -> float:
        """There and back, empty, undisturbed and without noise."""

    def trip_s(self, now_s: float, size_bytes: int, luck: float) -> float:
        """Returns how long a message that leaves now takes, one way.

        A message that leaves in an outage arrives when that has ended: the wait is in the result.

        Args:
            now_s: Never before that of the last time.
            size_bytes: Of the message.
            luck: Standard normal, from the call.
        """

    def expected_s(self, now_s: float, size_bytes: int) -> float:
        """Returns the same without noise, with the rest of an outage if there is one."""


class Network(Protocol):
    """All paths; `edgefn.simulate.network.network_of(scenario, seed=)` makes it."""

    def path(self, from_site: int, to_site: int) -> Path | None:
        """Returns the path between two different sites; None: they do not reach each other.

        It is asked for each pair only once.
        """


class Crash(NamedTuple):
    """A box loses all that it holds, and is gone for a while."""

    at_s: float
    box: int
    until_s: float


class Faults(Protocol):
    """What goes wrong with boxes; `edgefn.simulate.faults.faults_of(scenario, seed=)` makes it."""

    def speed_of(self, box: int) -> Callable[[float], float] | None:
        """Returns what tells a box's share of its speed by time (never going back).

        None: it has all of it, always.
        """

    def crashes(self) -> Iterable[Crash]:
        """Returns crashes, in order of `at_s`; it is an iterator that ends, or for ever goes on."""


class Oracle(Protocol):
    """The truth at an instant, without the luck that single calls will have.

    A server is a box of the policy's site, or a whole peer, whose servers bear the name of its
    place: then what is said of it is true of that of its boxes which is free the soonest.
    """

    def backlog_s(self, now_s: float, server: str) -> float:
        """Returns how long a call that is sent now would wait, work on its way there included.

        Work of whatever site counts, at the speed of the moment. Infinite while it is down.
        """

    def held(self, now_s: float, server: str) -> int:
        """Returns how many calls are queued or run at a server; of a peer, at all its boxes."""

    def speed(self, now_s: float, server: str) -> float:
        """Returns at which speed a server runs now; 0 while it is down."""

    def network_s(self, now_s: float, site: str, place: str, size_bytes: float) -> float:
        """Returns the time from a site to a place and back, as its state is now.

        What is left of an outage is in it.
        """


PolicyFactory = Callable[[str, Oracle], Policy]
"""Makes the policy of one site, by its name.

A policy hears `TableChanged`, then `Connected` for every endpoint, before the first call. Endpoints
here are named `function/variant@box`, with the box as their server; those at a peer
`place/function/variant`, with the place as their server. A site that only gets forwarded calls has
a policy too: those have `hops` 1, ask for their variant by `choice`, and may only be answered at
`table.HERE`.
"""
