"""The keeper of keys and certificates in a running box: tells gateways, and renews in time.

The ledger runs on one thread of its own, one order after the other: a token is used once, and no
two boxes get one name.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final, TypeVar

from edgefn.access.authority import Authority
from edgefn.access.files import AccessFiles
from edgefn.access.joining import renew
from edgefn.access.table import AccessTable, merged
from edgefn.box.access_ledger import Ledger
from edgefn.errors import EdgefnError

_RENEW_CHECK_S: Final = 3600.0

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Access:
    """The ledger of a running box, and its own certificate.

    Args:
        executor: One thread.
        ledger: Used by that thread only.
        files: Of the box.
    """

    def __init__(self, executor: ThreadPoolExecutor, ledger: Ledger, files: AccessFiles) -> None:
        self._executor = executor
        self._ledger = ledger
        self._files = files
        self._publish: Callable[[AccessTable], None] = lambda table: None
        self.table = AccessTable()
        self._followed = AccessTable()

    @classmethod
    async def open(
        cls, files: AccessFiles, name: str, tls_names: tuple[str, ...], *, hub: bool
    ) -> "Access":
        """Opens the ledger on a new thread.

        Args:
            files: Of the box.
            name: Of the box.
            tls_names: Under which clients reach it.
            hub: Whether it has an authority, made on first use, and signs certificates.

        Raises:
            ConfigError: A file is damaged, or others could read it.
        """
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgefn-access")

        def start() -> tuple[Ledger, AccessTable]:
            if hub:
                Authority.open_or_make(files.authority, datetime.now(UTC).replace(microsecond=0))
            ledger = Ledger(files, name, tls_names)
            if hub:
                ledger.certify_self()
            ledger.check_name()
            return ledger, ledger.table()

        try:
            ledger, table = await asyncio.get_running_loop().run_in_executor(executor, start)
        except BaseException:
            executor.shutdown(wait=False)
            raise
        access = cls(executor, ledger, files)
        access.table = table
        return access

    async def aclose(self) -> None:
        """Closes the database and ends the thread."""
        await self._run(self._ledger.close)
        self._executor.shutdown()

    def attach(self, publish: Callable[[AccessTable], None]) -> None:
        """Has each change told from now on, beginning with all that there is."""
        self._publish = publish
        self._tell()

    def follow(self, table: AccessTable) -> None:
        """Has those count, too, who have access by the word of the box's hub."""
        if table != self._followed:
            self._followed = table
            self._tell()

    async def ask(self, order: Callable[[Ledger], T]) -> T:
        """Carries an order out; what it changed is told to gateways before this returns."""
        result, table = await self._run(lambda: (order(self._ledger), self._ledger.table()))
        if table != self.table:
            self.table = table
            self._tell()
        return result

    async def keep_renewed(self) -> None:
        """Renews the box's certificate in time, until cancelled."""
        while True:
            try:
                await self._renew_if_due()
            except EdgefnError as error:
                _log.warning("the certificate cannot be renewed yet: %s", error)
            await asyncio.sleep(_RENEW_CHECK_S)

    async def _renew_if_due(self) -> None:
        if not await self.ask(lambda ledger: ledger.is_renewal_due()):
            return
        if await self.ask(lambda ledger: ledger.authority is not None):
            await self.ask(lambda ledger: ledger.certify_self())
        elif hub := self._files.hub():
            await asyncio.to_thread(renew, hub, self._files)
            await self.ask(lambda ledger: None)  # gateways are told of the new one
        _log.info("the certificate of this box was renewed")

    def _tell(self) -> None:
        self._publish(merged(self.table, self._followed))

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
