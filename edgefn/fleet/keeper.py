"""Sees to it that a box runs on this machine, and beside it what speaks with Ray for it."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from edgefn.desired.ray import AUTH_MODE
from edgefn.errors import EdgefnError
from edgefn.fleet.box_here import BoxHere
from edgefn.fleet.machines import RayMachine
from edgefn.fleet.patience import Patience
from edgefn.fleet.words import Found, Refused, Reply, Token
from edgefn_runtime.lease_words import STATE_DIR

_LOG = logging.getLogger(__name__)
LOOK_S: Final = 1.0
_OOM_SCORE: Final = Path("/proc/self/oom_score_adj")  # which Ray raises for its processes
_BOX: Final = "box"
_COMPANION: Final = "companion"


class Keeper:
    """Keeps a box and its companion.

    A box that was begun and died is started again; one that was stopped is left alone. The box
    outlives this process, its companion does not.

    Args:
        machine: Which this is.
        cluster: Address of the head of its Ray cluster.
        asks_token: Whether Ray's processes here ask for a token.
        environ: Of the process.
    """

    def __init__(
        self, machine: RayMachine, *, cluster: str, asks_token: bool, environ: Mapping[str, str]
    ) -> None:
        self._machine = machine
        self._cluster = cluster
        self._asks_token = asks_token
        self._environ = dict(environ)
        self._box = BoxHere(environ)
        self._starts = threading.Lock()
        self._patience = Patience(first_s=1.0, longest_s=60.0)
        self._companion: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Keeps them, without an end; the companion ends with the thread that runs this."""
        while True:
            time.sleep(LOOK_S)
            try:
                self._look_after(time.monotonic())
            except Exception as error:  # the tick of a control loop
                _LOG.warning("the box of %s is not looked after: %s", self._machine.box, error)

    def look(self) -> Reply:
        """Returns what there is on this machine."""
        return self._answer(lambda: self._box.look(asks_token=self._asks_token))

    def begin(self, join: str, token: str) -> Reply:
        """Returns what there is once a box runs here.

        Args:
            join: URL of the hub; empty: this is the hub, or the box joined before.
            token: With which it joins; empty: it did before.
        """

        def begun() -> Found:
            with self._starts:
                found = self._box.look(asks_token=self._asks_token)
                if not found.url:
                    self._box.start(self._machine, join=join, token=token)
                    found = self._box.look(asks_token=self._asks_token)
            return found

        return self._answer(begun)

    def join_token(self, box: str, address: str) -> Reply:
        """Returns a token with which another box joins the hub here."""
        return self._answer(lambda: Token(self._box.join_token(box, address)))

    def _answer(self, work: Callable[[], Reply]) -> Reply:
        try:
            return work()
        except EdgefnError as error:
            return Refused(error.message)

    def _look_after(self, now: float) -> None:
        missing: dict[str, Callable[[], None]] = {}
        if self._companion is None or self._companion.poll() is not None:
            missing[_COMPANION] = self._start_companion
        if self._box.died:
            missing[_BOX] = self._start_again
        self._patience.keep(set(missing))
        for name, start in missing.items():
            if self._patience.may_try(name, now):
                self._patience.tried(name, now)
                start()

    def _start_again(self) -> None:
        with self._starts:
            if self._box.died:
                _LOG.warning("the box %s ended; it is started again", self._machine.box)
                self._box.start(self._machine)

    def _start_companion(self) -> None:
        folder = self._box.state_dir
        if not folder.exists():  # no box was begun yet
            return
        self._companion = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "edgefn.fleet"),
                f"--host={self._machine.address}",
                f"--cluster={self._cluster}",
            ],
            stdin=subprocess.DEVNULL,
            env={**self._environ, AUTH_MODE: "token", STATE_DIR: str(folder)},
            cwd=folder,
        )


def keeper_here(machine: bytes, cluster: str, *, asks_token: bool) -> Keeper:
    """Returns the keeper of this machine, at work.

    Args:
        machine: A `RayMachine` as JSON.
        cluster: Address of the head of its Ray cluster.
        asks_token: Whether Ray's processes here ask for a token.
    """
    with suppress(OSError):  # else the box would be the first to go when memory runs out
        _OOM_SCORE.write_text("0")
    found = msgspec.json.decode(machine, type=RayMachine)
    keeper = Keeper(found, cluster=cluster, asks_token=asks_token, environ=os.environ)
    threading.Thread(target=keeper.keep, name="keeper", daemon=True).start()
    return keeper
