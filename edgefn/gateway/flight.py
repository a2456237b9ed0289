"""A call on its way to one endpoint: most calls have one flight, a hedged one has two."""

from typing import Protocol

import msgspec

from edgefn.errors import EdgefnError
from edgefn.gateway.call import PendingCall
from edgefn.routing.decisions import Send
from edgefn_runtime.wire import Reply


class Flight(msgspec.Struct, eq=False):
    """One sending of a call.

    Attributes:
        call: Whose answer it may become.
        send: As the router decided.
        carrier: That has it.
        id: On the connection that carries it.
        abandoned: Whether no one waits for it any more. Its answer still tells the router how
            long that took.
    """

    call: PendingCall
    send: Send
    carrier: "Carrier"
    id: int = 0
    abandoned: bool = False


class Carrier(Protocol):
    """What flights are sent with: the link to a replica, or that to a peer."""

    def send(self, flight: Flight, now_s: float) -> None:
        """Sends it.

        Raises:
            ProtocolError: The call does not fit a frame.
        """

    def forget(self, flight: Flight) -> None:
        """Stops waiting for it, and tells the other side so.

        If an answer comes all the same, `Control.replied` is told; nothing else is, not even that
        it is lost.
        """


class Control(Protocol):
    """Who hears what becomes of flights."""

    def replied(self, flight: Flight, reply: Reply) -> None:
        """It was answered. `reply.batch` is 0 if it never ran there: then it was refused."""

    def lost(self, flight: Flight, error: EdgefnError, *, unsent: bool) -> None:
        """It will not be answered; `unsent`: it never left, and nothing can have run.

        First the router is told that its endpoint takes no calls any more, if that is so.
        """
