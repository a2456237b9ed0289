"""The links to the replicas of this box, as the routes say."""

import asyncio
import logging
from functools import partial

from edgefn.gateway.control import FunctionRoute, Routes
from edgefn.gateway.flight import Control
from edgefn.gateway.replica_link import LinkOwner, ReplicaLink

_LOG = logging.getLogger(__name__)


class ReplicaLinks:
    """Keeps a link to each replica of the last routes.

    Args:
        owner: Told when a link is up or down.
        control: Told what becomes of flights.

    Attributes:
        links: By replica; those that are retired are not among them.
    """

    def __init__(self, owner: LinkOwner, control: Control) -> None:
        self._owner = owner
        self._control = control
        self._retiring: set[ReplicaLink] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.links: dict[str, ReplicaLink] = {}

    def connect_new(self, route: FunctionRoute) -> None:
        """Connects the replicas of a function that are not connected yet."""
        for replica in route.replicas:
            if replica.replica not in self.links:
                link = ReplicaLink(replica, route.name, route.revision, self._owner, self._control)
                self.links[replica.replica] = link
                task = asyncio.get_running_loop().create_task(link.run())
                self._tasks.add(task)
                task.add_done_callback(partial(self._ended, link))

    def retire_unlisted(self, routes: Routes) -> list[str]:
        """Ends the links to replicas that are not listed any more, and returns those."""
        listed = {replica.replica for one in routes.functions for replica in one.replicas}
        gone = list(self.links.keys() - listed)
        for replica in gone:
            link = self.links.pop(replica)
            self._retiring.add(link)
            link.retire()
        return gone

    def held(self) -> dict[str, dict[str, int]]:
        """Returns how many calls each replica has, by function."""
        held: dict[str, dict[str, int]] = {}
        for link in (*self.links.values(), *self._retiring):
            held.setdefault(link.function, {})[link.route.replica] = len(link.flights)
        return held

    async def aclose(self) -> None:
        """Ends all links. The calls that they hold fail."""
        for link in (*self.links.values(), *self._retiring):
            link.abort()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, link: ReplicaLink, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._retiring.discard(link)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("the link to %s failed", link.route.replica, exc_info=task.exception())
