"""What can still be done for a call that found no replica, or whose replica died."""

from typing import Protocol, runtime_checkable

from edgefn.routing.decisions import Decision, Demand, Rng, Send
from edgefn.simulate.engine.call import Visit


@runtime_checkable
class Retrying(Protocol):
    """A policy that knows what to do with calls that were lost."""

    def retry(self, now_s: float, call: Demand, lost: Send, rng: Rng) -> Send | None:
        """Returns where a call that was lost should go instead, if anywhere."""


class Wakes(Protocol):
    """Who starts replicas."""

    def wanted(self, now_s: float, visit: Visit, decision: Decision) -> None:
        """A call came in, and that was decided."""

    def wake(self, now_s: float, function: str, variant: str) -> None:
        """A call waits for a replica."""

    def asked(self, function: str, asker: str, replicas: int) -> None:
        """A site of a lower tier wants so many replicas to be ready."""
