"""`python -P -m edgefn.fleet.driver ADDRESS`: has Ray Serve hold the pools that it is told.

A process of its own, because Ray ends the processes of those who lost its head. Each line of its
standard input is a JSON list of pools, which replaces the one before; with its end the driver ends.
What it cannot do now it tries again; what hangs ends it, and whoever started it starts the next.
"""

import logging
import os
import select
import signal
import sys
import time
from typing import Final

import msgspec

from edgefn.fleet import serving
from edgefn.fleet.applications import Change, change, name_of
from edgefn.fleet.patience import Patience
from edgefn_runtime.leasing import Pool
from edgefn_runtime.process import die_with

_LOG = logging.getLogger("edgefn.fleet.driver")
RECHECK_S: Final = 5.0  # between looks at what became of it
RETRY_S: Final = 0.5
PASS_S: Final = 90  # one that takes longer hangs
MOST_FAILURES: Final = 20  # in a row: a new connection may do better
FIRST_PAUSE_S: Final = 2.0
LONGEST_PAUSE_S: Final = 60.0
CONNECTED: Final = b"connected\n"
_READ_BYTES: Final = 65536
_POOLS: Final = msgspec.json.Decoder(tuple[Pool, ...])


class Driver:
    """Makes what there is what is wanted, one pass after the other."""

    def __init__(self) -> None:
        self._patience = Patience(first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S)
        self._told: dict[str, int] = {}

    def step(self, pools: tuple[Pool, ...], now: float) -> None:
        """Does what is to be done now."""
        there = serving.applications()
        todo = change(pools, there)
        if todo.delete:
            _LOG.info("ends %s", ", ".join(todo.delete))
            serving.delete(todo.delete)
        self._deploy(todo, now)
        self._scale(todo)

    def _deploy(self, todo: Change, now: float) -> None:
        self._patience.keep({name_of(pool) for pool in todo.deploy})
        ready = [pool for pool in todo.deploy if self._patience.may_try(name_of(pool), now)]
        if not ready:
            return
        _LOG.info("begins %s", ", ".join(map(name_of, ready)))
        for pool in ready:
            self._patience.tried(name_of(pool), now)
            self._told[name_of(pool)] = pool.count
        serving.deploy(ready)

    def _scale(self, todo: Change) -> None:
        known = {name_of(pool) for pool in (*todo.scale, *todo.deploy)}
        self._told = {name: count for name, count in self._told.items() if name in known}
        for pool in todo.scale:
            name = name_of(pool)
            if self._told.get(name) != pool.count:
                serving.scale(pool)
                self._told[name] = pool.count


def drive(address: str, pools_fd: int, says_fd: int) -> int:
    """Drives Serve until the input ends; returns the exit status."""
    signal.alarm(PASS_S)  # unhandled, it ends the process
    serving.start(address)
    signal.alarm(0)
    os.write(says_fd, CONNECTED)
    driver, lines = Driver(), _Lines(pools_fd)
    pools: tuple[Pool, ...] | None = None
    failures, wait_s = 0, RECHECK_S
    while lines.wait(wait_s):
        pools = lines.newest(pools)
        if pools is None:
            continue
        signal.alarm(PASS_S)
        try:
            driver.step(pools, time.monotonic())
            failures, wait_s = 0, RECHECK_S
        except Exception as error:  # the tick of a control loop
            failures, wait_s = failures + 1, RETRY_S
            _LOG.warning("Ray Serve did not follow: %s", _in_short(error))
        signal.alarm(0)
        if failures > MOST_FAILURES:
            return 1
    return 0


class _Lines:
    """Lines of pools, of which the last one counts."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._bytes = b""
        self._newest: bytes | None = None

    def wait(self, timeout_s: float) -> bool:
        """Waits for a line for a time; returns False at the end of the input."""
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            if not select.select([self._fd], [], [], left_s)[0]:
                break
            read = os.read(self._fd, _READ_BYTES)
            if not read:
                return False
            *lines, self._bytes = (self._bytes + read).split(b"\n")
            if lines:
                self._newest = lines[-1]
                break
        return True

    def newest(self, before: tuple[Pool, ...] | None) -> tuple[Pool, ...] | None:
        """Returns the pools of the newest line, or those before if there is none."""
        line, self._newest = self._newest, None
        return before if line is None else _POOLS.decode(line)


def _in_short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"


def main() -> int:
    """Runs the driver in this process."""
    die_with(os.getppid())
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s fleet %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    says_fd = os.dup(1)
    os.dup2(2, 1)  # what Ray prints is for the log
    try:
        return drive(sys.argv[1], 0, says_fd)
    except Exception as error:
        print(f"edgefn.fleet: cannot use Ray at {sys.argv[1]}: {_in_short(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
