"""What is deployed on a box, and the routing table that follows from it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from edgefn.box.crash_loop import CrashLoop
from edgefn.box.deaths import Death
from edgefn.box.replica import Replica
from edgefn.box.revision import Revision
from edgefn.gateway.control import FunctionRoute, ReplicaRoute


@dataclass(slots=True, kw_only=True)
class Function:
    """One deployed function.

    Attributes:
        serving: The revision that takes its calls.
        crash_loop: Whether its replicas may be started.
        load_s: How long the last one took from fork to ready.
        deaths: Of replicas of all its revisions, since the box started.
        last_death: The newest of them.
    """

    serving: Revision
    crash_loop: CrashLoop = field(default_factory=CrashLoop)
    load_s: float = 0.0
    deaths: int = 0
    last_death: Death | None = None

    def serves(self, replica: Replica) -> bool:
        """Whether a replica is one of the revision that serves."""
        return (
            replica.revision.function == self.serving.function
            and replica.revision.number == self.serving.number
        )

    def route(self, replicas: Iterable[Replica]) -> FunctionRoute:
        """Returns what gateways are told, given all replicas of the box."""
        reason = self.crash_loop.quarantined_because
        return FunctionRoute(
            name=self.serving.function,
            revision=self.serving.number,
            spec=self.serving.spec,
            schema=self.serving.manifest.schema,
            replicas=tuple(
                ReplicaRoute(replica.id, replica.revision.variant.name, replica.socket)
                for replica in replicas
                if replica.state == "ready" and self.serves(replica)
            ),
            state="quarantined" if reason else "serving",
            reason=reason,
            load_s=self.load_s,
        )
