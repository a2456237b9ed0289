"""One forkserver for each environment in use: that of the box itself always, others when needed."""

import asyncio
from collections.abc import Callable
from functools import partial

from edgefn.box.environments import Environments
from edgefn.box.forkserver import Forkserver
from edgefn_runtime.lifecycle import FromForkserver


class Forkservers:
    """Starts and ends them; the death of one is that of its own replicas only.

    Environments go by their digest, that of the box by an empty one.

    Args:
        environments: Has the interpreters.
        on_event: Called with what a forkserver says of a replica.
        on_lost: Called with an environment when its forkserver died, and all its replicas with it.
    """

    def __init__(
        self,
        environments: Environments,
        *,
        on_event: Callable[[FromForkserver], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._environments = environments
        self._on_event = on_event
        self._on_lost = on_lost
        own = Forkserver(on_event=on_event, on_lost=partial(on_lost, ""))
        self._forkservers = {"": own}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def keep(self) -> None:
        """Keeps the forkserver of the box running, until cancelled; all others end with it."""
        try:
            await self._forkservers[""].keep()
        finally:
            self.end_all_but(set())
            await asyncio.gather(*self._ending, return_exceptions=True)

    def of(self, digest: str) -> Forkserver:
        """Returns the forkserver of an environment that is installed; starts it if need be."""
        if digest not in self._forkservers:
            forkserver = Forkserver(
                on_event=self._on_event,
                on_lost=partial(self._on_lost, digest),
                python=str(self._environments.python(digest)),
            )
            self._forkservers[digest] = forkserver
            loop = asyncio.get_running_loop()
            self._tasks[digest] = loop.create_task(forkserver.keep())
        return self._forkservers[digest]

    def end_all_but(self, in_use: set[str]) -> None:
        """Ends the forkservers of all environments but these and that of the box.

        Those that it ends must have no replicas any more, or their end is not told.
        """
        for digest in self._tasks.keys() - in_use:
            del self._forkservers[digest]
            task = self._tasks.pop(digest)
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()
