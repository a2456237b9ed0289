"""How whoever decides about replicas gets them from whoever holds their processes."""

from collections.abc import Iterable
from typing import Protocol

from edgefn.box.deaths import Death
from edgefn.box.replica import Replica, ReplicaState
from edgefn.errors import EdgefnError


class LaunchFailed(EdgefnError):
    """The box cannot start a process now."""

    code = "unavailable"


class StartsSoon(LaunchFailed):
    """The forkserver for it was not running, and is being started."""


class ReplicaSource(Protocol):
    """Replicas to be had."""

    def take(self, function: str, revision: int, variant: str) -> Replica:
        """Starts a replica and returns it, in the state `starting`.

        Raises:
            StartsSoon: There was no forkserver for it; there will be one in a moment.
            LaunchFailed: The system refuses another process or file, or the forkserver has died;
                it may work later.
        """

    def give_back(self, replica: str) -> None:
        """Has a replica drained; one that is gone, or drains already, is left alone."""

    def check(self, replica: str) -> ReplicaState:
        """Looks at once whether a replica hangs, has it killed if it does; returns its state."""

    def keep_warm(self, environments: frozenset[str]) -> None:
        """Ends the forkservers of all other environments of deployed functions, as far as these
        have no replicas; the next `take` for such a one has its forkserver started.
        """

    def replicas(self) -> Iterable[Replica]:
        """Returns those that are not gone, oldest first."""


class ReplicaListener(Protocol):
    """Who hears of the replicas' lives."""

    def replica_changed(self, replica: Replica) -> None:
        """Takes note that a replica changed its state; called after the change."""

    def replica_died(self, replica: Replica, death: Death) -> None:
        """Takes note that a replica ended without having been asked to; it is gone."""
