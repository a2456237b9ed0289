"""What Ray Serve calls a replica: an actor that holds a lease of the box on its machine.

No call passes through it. Serve starts it where the box should have one more replica, asks it
whether that replica is well, and ends it where the box needs one less.
"""

import contextlib
from typing import Final

from ray import serve

from edgefn.fleet.state_dir import state_dir_here
from edgefn_runtime.lease_client import AsyncLease
from edgefn_runtime.lease_words import LeaseLost, socket_path

CHECK_TIMEOUT_S: Final = 5.0


class Unwell(Exception):
    """The box says that the replica of a lease is not well, and why."""


class LeaseHolder:
    """Takes a lease at its start, and gives it back when Serve ends it.

    A holder that is killed, as all of a machine are when Ray there loses its head, loses its lease
    instead: the box goes on with the replica.
    """

    _lease: AsyncLease | None = None

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, function: str, variant: str
    ) -> None:
        """Takes the lease.

        Raises:
            NoBox: No box runs on this machine.
            NotLeased: It refuses the lease, and says why.
        """
        lease = await AsyncLease.connect(socket_path(state_dir_here()))
        try:
            await lease.take(function, variant, holder=_own_name())
        except BaseException:
            lease.drop()
            raise
        self._lease = lease

    async def check_health(self) -> None:
        """Asks the box, for Serve.

        Raises:
            LeaseLost: The box is gone.
            Unwell: The box has no replica for it that answers.
        """
        if self._lease is None:
            return
        state = await self._lease.check(CHECK_TIMEOUT_S)
        if not state.healthy:
            raise Unwell(state.reason)

    # Serve awaits it, after the last call. Python itself, at the end of a process, does not: so
    # only a holder that is ended on purpose gives its lease back.
    async def __del__(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            with contextlib.suppress(LeaseLost):
                await lease.give_back()


def _own_name() -> str:
    return str(serve.get_replica_context().replica_id.unique_id)
