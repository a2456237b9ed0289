"""Runs a box in the foreground, as a process of its own would be."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

import uvloop

from edgefn.box.box import Box
from edgefn.box.config import BoxConfig
from edgefn.box.init_system import READY, STOPPING, InitSystem
from edgefn.config import SECRET_VARIABLES
from edgefn.errors import ConfigError, EdgefnError, StateLocked
from edgefn_runtime.process import raise_descriptor_limit

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
CONFLICT: Final = 3

# The end of the terminal is no reason to drop calls either.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run_box(config: BoxConfig, on_ready: Callable[[str], None] = lambda url: None) -> int:
    """Runs a box until a signal ends it, and returns the exit code of its process.

    The first SIGINT, SIGTERM or SIGHUP lets it answer what is under way, a second one ends it at
    once. What keeps it from starting is written to standard error in one sentence. systemd hears
    when it is ready and when it stops (`Type=notify`).

    Call it on the main thread: its children die with the thread that started them.

    Args:
        config: Of the box.
        on_ready: Called with the URL once calls are accepted.

    Returns:
        0 after a drain; 1 if it was ended at once, or failed; 2 if the configuration does not do;
        3 if another box uses the state directory.
    """
    raise_descriptor_limit()
    for name in SECRET_VARIABLES:  # not for the functions that it will run
        os.environ.pop(name, None)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(config, on_ready))
    except EdgefnError as error:
        return _refuse(error)
    except BaseExceptionGroup as group:
        if len(group.exceptions) == 1 and isinstance(group.exceptions[0], EdgefnError):
            return _refuse(group.exceptions[0])
        raise


async def _run(config: BoxConfig, on_ready: Callable[[str], None]) -> int:
    init_system = InitSystem.asked_by(os.environ)
    box = Box(config)
    running = asyncio.current_task()
    assert running is not None
    signals = 0

    def on_signal() -> None:
        nonlocal signals
        signals += 1
        if signals == 1:
            init_system.tell(STOPPING)
            box.stop()
        else:
            running.cancel()

    def ready(url: str) -> None:
        init_system.tell(READY)
        on_ready(url)

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal)
    try:
        await box.run(ready)
    except asyncio.CancelledError:
        return FAILED
    return OK


def _refuse(error: EdgefnError) -> int:
    print(f"edgefn: {error}", file=sys.stderr)
    if isinstance(error, StateLocked):
        return CONFLICT
    return USAGE if isinstance(error, ConfigError) else FAILED
