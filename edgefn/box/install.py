"""Installs one environment: run in a process of its own, which ends with the box.

    python -P -m edgefn.box.install <descriptor of an Order> <descriptor for an Outcome>

An environment is made where it will stay, for scripts and compiled modules remember where they are;
and it counts only from the moment that its record, written last, has appeared under its name.
"""

import os
import shutil
import subprocess
import sys
import venv
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from edgefn.box.install_order import RECORD_FILE, Order, Outcome, box_folders, record
from edgefn.bundle.installer import InstallerFailed, pip, run, uv
from edgefn.bundle.lock import Locked, parse_lock, render_lock
from edgefn.bundle.store import sync_folder
from edgefn.errors import EdgefnError
from edgefn_runtime.forkserver import PRELOAD
from edgefn_runtime.process import die_with

_BOX_FILE: Final = "edgefn_box.pth"
_CHECK_TIMEOUT_S: Final = 120.0


def install(order: Order) -> None:
    """Makes the environment, whatever was there.

    Raises:
        InstallerFailed: A wheel is not to be had, or the result does not work.
        OSError: The disk is full or fails.
    """
    folder = Path(order.folder)
    if folder.exists():
        shutil.rmtree(folder)
    needed = [each for each in parse_lock(order.lock) if each.applies()]
    venv.EnvBuilder(symlinks=True).create(folder)
    _install_wheels(folder, needed, order.wheels)
    # Only now: pip would take the box's packages for the environment's own, and replace them.
    _add_box(folder)
    _check(folder, needed)
    os.sync()  # all that was written, before the one file that vouches for it
    unfinished = folder / f"{RECORD_FILE}.new"
    unfinished.write_text(record())
    unfinished.rename(folder / RECORD_FILE)
    sync_folder(folder)


def _install_wheels(folder: Path, needed: list[Locked], wheels: list[str]) -> None:
    python = folder / "bin" / "python"
    lock = folder / "requirements.lock"
    lock.write_text(render_lock(needed))
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    if wheels:
        options += ["--no-index", *(f"--find-links={each}" for each in wheels)]
    if (found := uv()) is not None:
        command = [*found, "pip", "install", "--python", str(python), "--compile-bytecode"]
    else:
        command = [*pip(python), "install", "--progress-bar", "off", "--retries", "2"]
        command += ["--no-warn-script-location"]
    run([*command, *options, "--requirement", str(lock)], before=_die_with_this())


def _add_box(folder: Path) -> None:
    """Lets the environment see the box's packages, after its own."""
    (own,) = folder.glob("lib/python*/site-packages")
    lines = [f"import site; site.addsitedir({box!r})\n" for box in box_folders()]
    (own / _BOX_FILE).write_text("".join(lines))


def _check(folder: Path, needed: list[Locked]) -> None:
    checker = Path(__file__).with_name("self_check.py")
    versions = [f"{each.name}=={each.version}" for each in needed]
    done = subprocess.run(
        [folder / "bin" / "python", "-P", checker, ",".join(PRELOAD), *versions],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        preexec_fn=_die_with_this(),
        timeout=_CHECK_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0 or done.stdout:
        reason = done.stdout.strip().splitlines() or [f"exit status {done.returncode}"]
        raise InstallerFailed(
            f"what was installed does not work: {'; '.join(reason)}",
            log=done.stderr.splitlines()[-40:],
        )


def _die_with_this() -> partial[None]:
    return partial(die_with, os.getpid())


def main() -> int:
    """Does what the order of the first descriptor says, and tells the second what came of it."""
    die_with(os.getppid())
    order_fd, outcome_fd = map(int, sys.argv[1:3])
    for descriptor in (order_fd, outcome_fd):
        os.set_inheritable(descriptor, False)
    with open(order_fd, "rb") as file:
        order = msgspec.json.decode(file.read(), type=Order)
    try:
        install(order)
        outcome = Outcome()
    except EdgefnError as error:
        outcome = Outcome(reason=error.message, log=error.detail.get("log", []))
    except (OSError, subprocess.SubprocessError) as error:
        outcome = Outcome(reason=str(error))
    with open(outcome_fd, "wb") as file:
        file.write(msgspec.json.encode(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
