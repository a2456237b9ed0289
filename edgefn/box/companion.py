"""A process that runs beside the box as long as it does: the one that speaks with Ray."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Final

from edgefn.box.backoff import Backoff
from edgefn.box.child import Child

STOP_S: Final = 10.0  # for it to end what it started
MISCONFIGURED: Final = 2  # its exit status when starting it again would change nothing

_log = logging.getLogger(__name__)


class Companion:
    """One module, run as a child process; started again when it ends.

    It is told to end by SIGTERM, and asks the kernel itself to die with its parent.

    Args:
        module: To run.
        arguments: Of it.
        environ: Its environment.
    """

    def __init__(
        self, module: str, arguments: Sequence[str], *, environ: Mapping[str, str]
    ) -> None:
        self._module = module
        self._arguments = arguments
        self._environ = environ
        self._child: Child | None = None

    @property
    def pid(self) -> int:
        """Of its process; 0 while there is none."""
        return self._child.pid if self._child is not None else 0

    async def keep(self) -> None:
        """Keeps it running, until it says that it cannot, or this is cancelled; ends it then."""
        backoff = Backoff()
        while True:
            started_s = time.monotonic()
            status = await self._live()
            if status == MISCONFIGURED:
                _log.error("%s cannot run here; the box goes on without it", self._module)
                return
            delay_s = backoff.after(time.monotonic() - started_s)
            _log.error("%s ended (%d); the next one in %g s", self._module, status, delay_s)
            await asyncio.sleep(delay_s)

    async def _live(self) -> int:
        child = self._child = Child(
            self._module, self._arguments, pass_fds=(), environ=self._environ
        )
        try:
            return await child.wait()
        finally:
            self._child = None
            child.terminate()
            if not await child.wait_at_most(STOP_S):
                _log.warning("%s did not end within %g s; killed", self._module, STOP_S)
                child.kill()
