"""The box of this machine, as Ray's processes find, start and ask it."""

import fcntl
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

import edgefn
from edgefn.access.files import AccessFiles
from edgefn.access.orders import NewToken
from edgefn.client.admin import AdminClient
from edgefn.errors import EdgefnError
from edgefn.fleet.machines import RayMachine
from edgefn.fleet.state_dir import state_dir_here
from edgefn.fleet.words import Found
from edgefn_runtime.lease_words import NoBox, socket_path

LISTENS_AT: Final = "0.0.0.0:8443"
START_TIMEOUT_S: Final = 120.0
_LISTEN: Final = "EDGEFN_LISTEN"
_TOKEN: Final = "EDGEFN_JOIN_TOKEN"
# What Ray sets for its own processes, and what opens its cluster: neither is for functions.
_RAYS: Final = ("OMP_NUM_THREADS", "PYTHONBREAKPOINT", "PYTHONUNBUFFERED")
_SAID_BYTES: Final = 2000


class _Holder(msgspec.Struct):
    """What the lock file of a state directory says of its box."""

    url: str = ""


class BoxHere:
    """The box of this machine, whoever started it.

    Args:
        environ: Of the process.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = _without_rays(environ)
        self.state_dir = state_dir_here(environ)
        self._note = self.state_dir / "started-by-ray"

    def look(self, *, asks_token: bool) -> Found:
        """Returns what there is. Raises ConfigError if its files were tampered with."""
        joined = AccessFiles(self.state_dir).hub()
        found = Found(version=edgefn.__version__, asks_token=asks_token, joined=joined)
        url = self._url()
        if not url:
            return found
        try:
            with AdminClient(url) as admin:
                status = admin.status()
        except EdgefnError:
            return found
        if Path(status.state_dir) != self.state_dir:  # the lock file is of one that is gone
            return found
        return msgspec.structs.replace(
            found, version=status.version, url=url, secure_url=status.secure_url,
            is_hub=status.is_hub,
        )  # fmt: skip

    @property
    def died(self) -> bool:
        """Whether a box that was started here ended without being told to.

        One that was told to removes what it noted of its sockets before it lets its state go.
        """
        if not self._note.exists():
            return False
        try:
            path = socket_path(self.state_dir)
        except NoBox:
            return False
        return _is_deserted(path) and _is_free(self.state_dir / "lock")

    def start(self, machine: RayMachine, *, join: str = "", token: str = "") -> None:
        """Starts it, as a process that outlives those of Ray, and returns when it is up.

        Args:
            machine: Which this is.
            join: URL of the hub; empty: it is the hub, or joined before.
            token: With which it joins; empty: it did before.

        Raises:
            EdgefnError: It did not start; the message says why.
        """
        environ = {_LISTEN: LISTENS_AT, **self._environ} | ({_TOKEN: token} if token else {})
        command = [
            *(sys.executable, "-P", "-m", "edgefn", "up", "--detach", "--json"),
            f"--state-dir={self.state_dir}",
            *(f"--name={machine.box}", f"--tier={machine.tier}", f"--site={machine.site}"),
            f"--tls-name={machine.address}",
            *(["--hub"] if machine.is_head else []),
            *([f"--join={join}"] if join else []),
        ]
        try:
            done = subprocess.run(
                command, env=environ, cwd="/", stdin=subprocess.DEVNULL, capture_output=True,
                text=True, timeout=START_TIMEOUT_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise EdgefnError(f"the box was not up within {START_TIMEOUT_S:g} s") from None
        if done.returncode != 0:
            said = done.stderr.strip().removeprefix("error: ")[-_SAID_BYTES:]
            raise EdgefnError(said or f"`edgefn up` ended with exit status {done.returncode}")
        self._note.touch(mode=0o600)

    def join_token(self, box: str, address: str) -> str:
        """Has the box, which is a hub, make a token with which another joins it.

        Args:
            box: Name of the other.
            address: Under which it is reached; empty: under none of its own.

        Raises:
            EdgefnError: The hub does not answer, or refuses.
        """
        order = NewToken(name=box, tls_names=(address,) if address else ())
        with AdminClient(self._url()) as admin:
            return admin.make_join_token(order).text

    def _url(self) -> str:
        try:
            return msgspec.json.decode((self.state_dir / "lock").read_bytes(), type=_Holder).url
        except (OSError, msgspec.MsgspecError):
            return ""


def _without_rays(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("RAY_") and name not in _RAYS
    }


def _is_deserted(path: str) -> bool:
    """Whether there is a socket at which nobody listens."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:  # its box has not come so far yet
            return False
    return False


def _is_free(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
