"""The environments of a box: one folder for each lock, installed once.

<state>/environments/<digest>/      a virtual environment: the lock's distributions come first,
                                    those of the box after them
"""

import asyncio
import logging
import os
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import IO, Final

import msgspec

from edgefn.box.child import Child
from edgefn.box.install_order import RECORD_FILE, Order, Outcome, record
from edgefn.errors import DeploymentFailed
from edgefn_runtime.manifest import Environment

TIMEOUT_S: Final = 900.0  # pip's own limit, and time to make and check the rest

_log = logging.getLogger(__name__)


class Environments:
    """What is installed for functions under one folder, beside what the box itself has.

    Args:
        folder: Made when the first environment is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def python(self, digest: str) -> Path:
        """Returns the interpreter of an environment."""
        return self._folder / digest / "bin" / "python"

    def is_installed(self, environment: Environment) -> bool:
        """Whether it is there, and made by a box like this one. Reads one small file."""
        try:
            return (self._folder / environment.digest() / RECORD_FILE).read_text() == record()
        except FileNotFoundError:
            return False

    async def install(self, environment: Environment, bundle: Path) -> None:
        """Makes sure that an environment is there; several may ask for one at once.

        Args:
            environment: What is to be in it.
            bundle: Folder of a bundle's files, where the wheels are that it brings along.

        Raises:
            DeploymentFailed: It cannot be installed. `detail` has the last lines of the `log`.
        """
        digest = environment.digest()
        async with self._locks[digest]:
            if self.is_installed(environment):
                return
            folders = {str((bundle / path).parent) for path in environment.wheels}
            order = Order(
                folder=str(self._folder / digest), lock=environment.lock, wheels=sorted(folders)
            )
            try:
                self._folder.mkdir(mode=0o700, exist_ok=True)
                outcome = await _carried_out(order)
            except OSError as error:
                outcome = Outcome(reason=str(error))
            if outcome.reason:
                raise DeploymentFailed(
                    f"its environment cannot be installed: {outcome.reason}",
                    log=outcome.log,
                    log_of="the installer",
                )
            _log.info("environment %s is installed", digest[:12])

    def keep(self, digests: set[str]) -> None:
        """Removes all but these. Blocks.

        What is being installed must be among them, or be asked for only when this has returned.
        """
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name not in digests:
                shutil.rmtree(path, ignore_errors=True)


async def _carried_out(order: Order) -> Outcome:
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as told:
        given.write(msgspec.json.encode(order))
        given.flush()
        given.seek(0)
        child = Child(
            "edgefn.box.install",
            [str(given.fileno()), str(told.fileno())],
            pass_fds=[given.fileno(), told.fileno()],
            environ=os.environ,
        )
        try:
            if not await child.wait_at_most(TIMEOUT_S):
                return Outcome(reason=f"it took more than {TIMEOUT_S:g} s")
        finally:
            child.kill()
            await child.wait()
        return _read(told, await child.wait())


def _read(told: IO[bytes], status: int) -> Outcome:
    told.seek(0)
    data = told.read()
    if not data:
        return Outcome(reason=f"its installation was ended (exit status {status})")
    return msgspec.json.decode(data, type=Outcome)
