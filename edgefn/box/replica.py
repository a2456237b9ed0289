"""One replica as its box sees it, and the states that it may go through."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from edgefn.box.deaths import Death
from edgefn.box.revision import Revision
from edgefn_runtime.variant import Variant

ReplicaState = Literal["starting", "ready", "draining", "gone"]

TRANSITIONS: Final[Mapping[ReplicaState, frozenset[ReplicaState]]] = {
    "starting": frozenset({"ready", "draining", "gone"}),
    "ready": frozenset({"draining", "gone"}),
    "draining": frozenset({"gone"}),
    "gone": frozenset(),
}


@dataclass(slots=True, kw_only=True)
class Replica:
    """One process that serves one variant of one revision.

    Attributes:
        id: Unique on the box for its life.
        revision: What it serves.
        variant: Of that revision.
        socket: Path of the Unix socket on which it takes calls.
        requested_s: When the box asked for it (monotonic).
        started_at: The same on the wall clock, for people.
        state: Where it is; changed by `move` only.
        pid: Of its process, once there is one.
        ready_s: When it said that it is ready (monotonic).
        load_s: How long that took, from fork to ready, by its own account.
        death: How it ended, if it was not asked to.
    """

    id: str
    revision: Revision
    variant: Variant
    socket: str
    requested_s: float
    started_at: datetime
    state: ReplicaState = "starting"
    pid: int | None = None
    ready_s: float = 0.0
    load_s: float = 0.0
    death: Death | None = None

    def move(self, state: ReplicaState) -> None:
        """Goes to another state.

        Raises:
            ValueError: There is no such transition.
        """
        if state not in TRANSITIONS[self.state]:
            raise ValueError(f"replica {self.id} cannot go from {self.state} to {state}")
        self.state = state
