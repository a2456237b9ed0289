"""The replicas of a site that are up, and who is told when the first comes or the last goes."""

from typing import TYPE_CHECKING

from edgefn.simulate.engine.replica import Replica

if TYPE_CHECKING:
    from edgefn.simulate.engine.peer import Peer

Key = tuple[str, str]  # names of the function and of the variant


class Serving:
    """The replicas of one site.

    Args:
        callers: Links of those who may call it; read whenever something changes.

    Attributes:
        starts: Whether a call is enough to start a replica: then there is always an endpoint.
        changes: How often a replica came or went, and one.
    """

    def __init__(self, callers: "list[Peer]") -> None:
        self.starts = False
        self.changes = 1
        self._callers = callers
        self._up: dict[Key, list[Replica]] = {}

    def add(self, now_s: float, replica: Replica) -> None:
        """A replica is up."""
        key = (replica.function, replica.model.name)
        up = self._up.setdefault(key, [])
        up.append(replica)
        self.changes += 1
        if len(up) == 1:
            self._tell_callers(now_s, key)

    def remove(self, now_s: float, replica: Replica) -> bool:
        """A replica is gone, or gets no more calls; returns whether it was up."""
        key = (replica.function, replica.model.name)
        up = self._up.get(key, [])
        if replica not in up:
            return False
        up.remove(replica)
        self.changes += 1
        if not up:
            self._tell_callers(now_s, key)
        return True

    def serves(self, key: Key) -> bool:
        """Whether there is a replica of a variant."""
        return bool(self._up.get(key))

    def load(self, key: Key) -> tuple[float, int]:
        """Returns how long a call would wait, as queues believe, and how many replicas are up."""
        up = self._up.get(key)
        if not up:
            return 0.0, 0
        return min(replica.device.backlog_s() for replica in up), len(up)

    def _tell_callers(self, now_s: float, key: Key) -> None:
        for peer in () if self.starts else self._callers:
            endpoint = peer.endpoints.get(key)
            if endpoint is not None:
                peer.changed(now_s, endpoint)
