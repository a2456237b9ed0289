"""What a box asks of its hub."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from edgefn.desired.errors import HubUnreachable
from edgefn.desired.report import BoxReport
from edgefn.desired.state import DesiredState

if TYPE_CHECKING:
    from edgefn.client.hub import HubConnection

WAIT_S: Final = 20.0  # for which the hub may keep an answer back until something changes
LATE_S: Final = 10.0  # beyond that it does not answer any more


class Hub:
    """The hub, as one who follows it sees it. For one request at a time."""

    def __init__(self, connection: "HubConnection") -> None:
        self._connection = connection

    async def desired(self, known: DesiredState | None) -> DesiredState | None:
        """Returns what the hub wants, once that is something else than what is known.

        None: nothing changed for a while.

        Raises:
            HubUnreachable: There is no answer, or none that can be read.
            HubRefuses: The answer is an error.
        """
        now = known if known is not None else DesiredState(epoch="", revision=0)
        target = (
            f"/fleet/v1/desired?epoch={now.epoch}&revision={now.revision}&digest={now.digest}"
            f"&wait_s={WAIT_S:g}"
        )
        body = await self._connection.ask("GET", target, timeout_s=WAIT_S + LATE_S)
        try:
            if msgspec.json.decode(body, type=_Either).unchanged:
                return None
            return msgspec.json.decode(body, type=DesiredState)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise HubUnreachable(
                f"what the hub wants cannot be read ({error}): upgrade this box, or the hub"
            ) from error

    async def report(self, report: BoxReport) -> None:
        """Tells the hub of this box.

        Raises:
            HubUnreachable: There is no answer.
            HubRefuses: The answer is an error.
        """
        await self._connection.ask("POST", "/fleet/v1/report", msgspec.json.encode(report))

    async def blob(
        self, digest: str, offset: int, size: int, take: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Reads a file of a bundle from an offset on; `take` is awaited with each piece.

        Raises:
            HubUnreachable: The answer ends early, or there is none.
            HubRefuses: The answer is an error.
        """
        await self._connection.read(f"/fleet/v1/blobs/{digest}", offset, size, take)

    async def aclose(self) -> None:
        """Closes the connection."""
        await self._connection.aclose()


class _Either(msgspec.Struct, frozen=True):
    """What tells the two answers to a pull apart (`Unchanged`)."""

    unchanged: bool = False
