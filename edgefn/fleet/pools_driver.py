"""The driver of Ray Serve, as the companion sees it: told the pools, started again when it ends."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from edgefn_runtime.leasing import Pool

_END_TIMEOUT_S: Final = 5.0


class PoolsDriver:
    """One process that drives Serve (`edgefn.fleet.driver`)."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, address: str, environ: Mapping[str, str], folder: Path) -> Self:
        """Starts one for the cluster at an address."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "edgefn.fleet.driver", address,
            stdin=PIPE, stdout=PIPE, env=dict(environ), cwd=folder, start_new_session=True,
        )  # fmt: skip
        return cls(process)

    async def connected(self) -> bool:
        """Waits until it is connected with the cluster; False: it ended before."""
        pipe = self._process.stdout
        return pipe is not None and bool(await pipe.readline())

    def tell(self, pools: tuple[Pool, ...]) -> None:
        """Tells it what the pools are now."""
        pipe = self._process.stdin
        if pipe is not None and not pipe.is_closing():
            pipe.write(msgspec.json.encode(pools) + b"\n")

    async def ended(self) -> int:
        """Waits for its end, and returns the exit status."""
        return await self._process.wait()

    async def kill(self) -> None:
        """Ends it; what Serve holds stays."""
        with suppress(ProcessLookupError):
            self._process.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT_S):
                await self._process.wait()
