"""What a box remembers of its fleet: written down before it is acted on.

One file, `following.json` in the state directory, replaced as a whole. It has the token of the Ray
cluster and the hashes of keys, and only the box's own user can read it.
"""

import asyncio
import logging
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from edgefn.bundle.private_file import read_own_file, write_own_file
from edgefn.desired.state import DesiredState

FILE: Final = "following.json"
MAX_BYTES: Final = 256 * 1024 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_log = logging.getLogger(__name__)


class _File(msgspec.Struct, frozen=True, kw_only=True):
    fleet: str = ""
    state: DesiredState | None = None
    brought: dict[str, int] = {}


class Memory:
    """What came from the hub last. Use `open`.

    Attributes:
        state: What the hub wants; None: nothing ever came.
        brought: Functions that the hub brought, and the hub's revision that came up last; 0: none
            did yet.
    """

    def __init__(
        self, path: Path, fleet: str, state: DesiredState | None, brought: Mapping[str, int]
    ) -> None:
        self._path = path
        self._fleet = fleet
        self._writing = asyncio.Lock()
        self.state = state
        self.brought = dict(brought)

    @classmethod
    def open(cls, state_dir: Path, fleet: str) -> "Memory":
        """Reads what was remembered. Blocks.

        A file that cannot be read is as none: all of it comes again; but what the hub removes
        meanwhile stays until an operator of the box removes it. What another fleet wanted and whom
        that gave access is forgotten, but not which functions it brought: they go when the box
        hears what its fleet wants now.

        Args:
            state_dir: Of the box.
            fleet: Fingerprint of the fleet's authority.

        Raises:
            ConfigError: Others could read or change it.
        """
        path = state_dir / FILE
        text = read_own_file(path, refused=_OTHERS, max_bytes=MAX_BYTES)
        if text is None:
            return cls(path, fleet, None, {})
        try:
            found = msgspec.json.decode(text, type=_File)
        except msgspec.MsgspecError as error:
            _log.error("%s cannot be read, and is fetched again: %s", path, error)
            found = _File()
        state = found.state if found.fleet == fleet else None
        return cls(path, fleet, state, found.brought)

    async def take(self, state: DesiredState) -> None:
        """Remembers what the hub wants from now on; when this returns it survives a power cut.

        Raises:
            ConfigError: It cannot be written; what was remembered stays.
        """
        async with self._writing:
            await self._write(state, self.brought)
            self.state = state

    async def bring(self, name: str, revision: int) -> None:
        """Remembers that the hub brings a function, and which of its revisions came up.

        Raises:
            ConfigError: It cannot be written.
        """
        if self.brought.get(name) != revision:
            await self._keep({**self.brought, name: revision})

    async def forget(self, name: str) -> None:
        """Remembers that a function that the hub brought is gone.

        Raises:
            ConfigError: It cannot be written.
        """
        await self._keep({one: number for one, number in self.brought.items() if one != name})

    async def _keep(self, brought: dict[str, int]) -> None:
        async with self._writing:
            await self._write(self.state, brought)
            self.brought = brought

    async def _write(self, state: DesiredState | None, brought: dict[str, int]) -> None:
        file = _File(fleet=self._fleet, state=state, brought=brought)
        text = msgspec.json.encode(file).decode()
        await asyncio.to_thread(write_own_file, self._path, text, replace=True)
